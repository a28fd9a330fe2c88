//go:build linux

// Package guest holds the tests that run in virtual machines. Here there is a
// kernel to do anything with: nothing else uses it, and it ends with the tests.
package guest

import (
	"os"
	"testing"

	"github.com/rules-bpf/rules_bpf/internal/vm/guest"
)

func TestMain(m *testing.M) {
	if addresses := os.Getenv(connectTo); addresses != "" && os.Getpid() != 1 {
		connect(addresses)
		return
	}
	guest.Main(m)
}
