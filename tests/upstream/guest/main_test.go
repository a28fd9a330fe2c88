//go:build linux

// Package guest holds the tests that run in a virtual machine.
package guest

import (
	"testing"

	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

func TestMain(m *testing.M) { guest.Main(m) }
