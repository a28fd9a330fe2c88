//go:build linux

package guest

import (
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/attack/matrix"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// What this kernel does, for docs/kernels.md. The host compares it with what is there.
func TestMatrix(t *testing.T) {
	needExclusive(t) // the table is about what follows from them
	enroll(t)
	before := objects(t)
	row, err := matrix.Measure(signer(t))
	qt.Assert(t, qt.IsNil(err))
	t.Log(guest.Measured + strings.Join(row, " | "))
	nothingLeft(t, before)
}
