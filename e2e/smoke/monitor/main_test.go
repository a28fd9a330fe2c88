//go:build linux

package main

import (
	"testing"

	"github.com/rules-bpf/rules_bpf/bundle"

	"example.com/smoke/monitor/exec"
	"example.com/smoke/monitor/exit"
	"example.com/smoke/monitor/fork"
)

// The binary has a loader for each program, signed for each scheme with this workspace's key.
func TestBundles(t *testing.T) {
	for name, open := range map[string]func() (*bundle.Bundle, error){"exec": exec.Bundle, "exit": exit.Bundle, "fork": fork.Bundle} {
		b, err := open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(b.Loaders) != 2 {
			t.Errorf("%s: %d loaders, want one a scheme", name, len(b.Loaders))
		}
		for _, l := range b.Loaders {
			if len(l.Signatures) != 1 || l.Signatures[0].Kind != bundle.KindTest {
				t.Errorf("%s: scheme %v: signatures %v, want one by a test key", name, l.Scheme, l.Signatures)
			}
		}
	}
}
