//go:build linux

// Package guides_test does what the guides say, from an empty folder, with a Bazel of its own. tools/test runs it where Bazel and
// clang are.
package guides_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

// The guides, in the order in which a reader who starts from nothing comes to them: each goes on where the one before has ended.
func TestGuides(t *testing.T) {
	const root = "../.."
	w := guide.NewWorkspace(t, root, "tour", "tools/loadergen", "tools/signtool")
	for _, program := range []string{"clang", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	for _, name := range []string{"getting-started", "migration", "audit", "toolchain"} {
		document, err := os.ReadFile(filepath.Join(root, "docs", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		ok := t.Run(name, func(t *testing.T) { guide.Run(t, string(document), w.Dir, w.Shell) })
		if !ok {
			t.FailNow()
		}
	}
}
