//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// bpfload runs the command.
func bpfload(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, strings.NewReader("no bundle"), &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"a", "b"}, {"-probe", "a"}, {"-keyring", "nonsense", "a"}, {"-nonsense"}} {
		code, stdout, stderr := bpfload(args...)
		qt.Assert(t, qt.Equals(code, 2), qt.Commentf("%q", args))
		qt.Assert(t, qt.Equals(stdout, ""))
		qt.Assert(t, qt.StringContains(stderr, "usage: bpfload"))
	}
	code, _, stderr := bpfload("-h")
	qt.Assert(t, qt.Equals(code, 0))
	qt.Assert(t, qt.StringContains(stderr, "-keyring"))
}

func TestRefused(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.bpfl")
	qt.Assert(t, qt.IsNil(os.WriteFile(bad, []byte("no bundle"), 0o600)))
	for _, args := range [][]string{{bad}, {"absent.bpfl"}, {"-enroll", "absent.der", bad}} {
		code, stdout, stderr := bpfload(args...)
		qt.Assert(t, qt.Equals(code, 1), qt.Commentf("%q", args))
		qt.Assert(t, qt.Equals(stdout, ""))
		qt.Assert(t, qt.StringContains(stderr, "bpfload: "))
	}
}

func TestKeyrings(t *testing.T) {
	var k keyrings
	qt.Assert(t, qt.IsNil(k.Set("session")))
	qt.Assert(t, qt.IsNil(k.Set("42")))
	qt.Assert(t, qt.Equals(k.String(), "session 42"))
}

func TestLastLines(t *testing.T) {
	qt.Assert(t, qt.Equals(lastLines("a\nb\n", 2), "a\nb"))
	qt.Assert(t, qt.Equals(lastLines("a\nb\nc\n", 2), "[1 lines left out]\nb\nc"))
}
