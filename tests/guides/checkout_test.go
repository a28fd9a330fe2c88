//go:build linux

package guides_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

// A sandbox has a /tmp of its own. Actions must see the files of a checkout under the machine's /tmp all the same.
func TestCheckoutUnderTmp(t *testing.T) {
	root, err := os.MkdirTemp("/tmp", "rules_bpf_checkout")
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	// What a cache cannot have: the action must run.
	text := filepath.Base(root) + "\n"
	for name, data := range map[string]string{
		"MODULE.bazel": `module(name = "rules_bpf", version = "0.1.0")`,
		"BUILD.bazel":  `genrule(name = "copy", srcs = ["file.txt"], outs = ["copy.txt"], cmd = "cp $< $@")`,
		"file.txt":     text,
	} {
		qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(root, name), []byte(data), 0o644)))
	}
	t.Setenv(guide.EnvRegistry, "")
	t.Setenv(guide.EnvDir, "")
	w := guide.NewWorkspace(t, root, "checkout")
	module := `bazel_dep(name = "rules_bpf", version = "0.1.0")`
	qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(w.Dir, "MODULE.bazel"), []byte(module), 0o644)))
	out, err := w.Shell("bazel build --spawn_strategy=linux-sandbox @rules_bpf//:copy\ncat bazel-bin/external/rules_bpf*/copy.txt > ../copied")
	qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
	copied, err := os.ReadFile(filepath.Join(w.Dir, "..", "copied"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(copied), text))
}
