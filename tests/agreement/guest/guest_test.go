//go:build linux

// Package guest compares the simulated kernel with the one of a virtual machine.
package guest

import (
	"os"
	"testing"

	"github.com/rules-bpf/rules_bpf/tests/agreement/loads"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

func TestMain(m *testing.M) { guest.Main(m) }

func TestAgreement(t *testing.T) {
	loads.Compare(t, os.DirFS(guest.DataDir), true)
}
