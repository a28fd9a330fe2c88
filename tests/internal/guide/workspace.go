package guide

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// EnvBazel names the variable with a Bazel and its startup options. Without it, no guide runs.
const EnvBazel = "RULES_BPF_TEST_BAZEL"

// EnvDir names the variable with a folder for workspaces, where Bazel's outputs of an earlier run are of use. Without it they are
// in a temporary folder.
const EnvDir = "RULES_BPF_TEST_WORKSPACES"

// EnvRegistry names the variable with the URL of a registry that has this checkout as a release: what tools/release makes. Without
// it, Bazel takes the checkout itself.
const EnvRegistry = "RULES_BPF_TEST_REGISTRY"

// Workspace is a folder, empty at first, where a guide's commands run as a reader would run them, with this checkout's rules in
// the place of a release's.
type Workspace struct {
	t testing.TB
	// Dir is the reader's folder. Bin, beside it, is on PATH.
	Dir, Bin string
}

// FromCheckout returns the lines of a bazelrc that take rules_bpf from a checkout. A sandbox has a /tmp of its own, in which
// Bazel shows only the workspace and its outputs: without the mount, actions could not read a checkout under /tmp.
func FromCheckout(root string) string {
	return "common --override_module=rules_bpf=" + root + "\nbuild --sandbox_add_mount_pair=" + root + "\n"
}

// NewWorkspace makes a workspace and puts on PATH: bazel, and commands of this repository, by their folders.
func NewWorkspace(t *testing.T, root, name string, commands ...string) *Workspace {
	t.Helper()
	bazel := strings.Fields(os.Getenv(EnvBazel))
	if len(bazel) == 0 {
		t.Skip("no Bazel to use: tools/test names one in " + EnvBazel)
	}
	root, err := filepath.Abs(root)
	check(t, err)
	// Its path, for `bazel` on PATH is going to be a script that calls it.
	bazel[0], err = exec.LookPath(bazel[0])
	check(t, err)
	parent := os.Getenv(EnvDir)
	if parent == "" {
		parent = t.TempDir()
	}
	top := filepath.Join(parent, name)
	w := &Workspace{t: t, Dir: filepath.Join(top, "workspace"), Bin: filepath.Join(top, "bin")}
	check(t, os.RemoveAll(w.Dir))
	for _, dir := range []string{w.Dir, w.Bin} {
		check(t, os.MkdirAll(dir, 0o755))
	}
	for _, command := range commands {
		cmd := exec.Command("go", "build", "-o", filepath.Join(w.Bin, filepath.Base(command)), "./"+command)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", command, err, out)
		}
	}
	rules := FromCheckout(root)
	if registry := os.Getenv(EnvRegistry); registry != "" {
		rules = "common --registry=" + registry
		if len(bazel) == 1 { // no bazelrc that names another registry
			rules += " --registry=https://bcr.bazel.build"
		}
		rules += "\n"
	}
	rc := rules + "common --noshow_progress --color=no\nbuild --verbose_failures\n"
	check(t, os.WriteFile(filepath.Join(top, "bazelrc"), []byte(rc), 0o644))
	script := fmt.Sprintf("#!/bin/sh\nexec %s --bazelrc=%s --output_base=%s --max_idle_secs=60 \"$@\"\n",
		strings.Join(bazel, " "), filepath.Join(top, "bazelrc"), filepath.Join(top, "base"))
	check(t, os.WriteFile(filepath.Join(w.Bin, "bazel"), []byte(script), 0o755))
	t.Setenv("PATH", w.Bin+":"+os.Getenv("PATH"))
	check(t, os.RemoveAll(w.variables()))
	t.Cleanup(func() {
		if _, err := w.Shell("bazel shutdown"); err != nil {
			t.Errorf("bazel shutdown: %v", err)
		}
		if os.Getenv(EnvDir) == "" {
			// Bazel takes the right to write from folders that it made, and then they cannot be removed.
			_ = exec.Command("chmod", "-R", "u+w", top).Run()
		}
	})
	return w
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *Workspace) variables() string { return filepath.Join(filepath.Dir(w.Bin), "variables") }

// Shell runs a script in the workspace, with the variables that scripts before it have set.
func (w *Workspace) Shell(script string) (string, error) {
	const frame = "set -euo pipefail\nif [ -f %[1]q ]; then . %[1]q 2>/dev/null; fi\n%[2]s\ndeclare -p | grep -vE '^declare -[a-zA-Z]*[rA]' > %[1]q\n"
	cmd := exec.Command("bash", "-c", fmt.Sprintf(frame, w.variables(), script))
	cmd.Dir = w.Dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
