//go:build linux

// Package guest holds the tests that run in virtual machines. Here there is a
// kernel to do anything with: nothing else uses it, and it ends with the tests.
package guest

import (
	"testing"

	"github.com/rules-bpf/rules_bpf/tests/examples"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

func TestMain(m *testing.M) {
	examples.Main()
	guest.Main(m)
}
