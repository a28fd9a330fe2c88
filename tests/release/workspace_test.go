//go:build linux

// Package release_test does what a release team does, in a Bazel workspace of its own: all that docs/signing.md says, and
// a search for the key in whatever that leaves behind. tools/test runs it where Bazel, SoftHSM and a C compiler are.
package release_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

// module is the workspace's MODULE.bazel. The name of the SDK is what tools/offline replaces.
const module = `module(name = "acme")

bazel_dep(name = "rules_bpf", version = "0.0.0")

bazel_dep(name = "rules_go", version = "0.64.2")
go_sdk = use_extension("@rules_go//go:extensions.bzl", "go_sdk")
go_sdk.download(name = "sdk", version = %q)
`

// bazelrc has options that come after those that the machine's Bazel has: what the tools are compiled with in this repository, too.
const bazelrc = `common --noshow_progress --color=no --remote_download_outputs=all
build --incompatible_strict_action_env
build --sandbox_default_allow_network=false
build --@rules_go//go/config:pure
build --verbose_failures
`

// workspace is a Bazel workspace with an output base of its own, in a folder with nothing else in it.
type workspace struct {
	t *testing.T
	// dir has all that Bazel and the commands write; src is the workspace in it.
	dir, src string
}

// newWorkspace makes a workspace with a BPF program in it, and programs on PATH: bazel, signtool, loadergen.
func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	bazel := strings.Fields(os.Getenv(guide.EnvBazel))
	if len(bazel) == 0 {
		t.Skip("no Bazel to use: tools/test names one in " + guide.EnvBazel)
	}
	// Its path, for `bazel` on PATH is going to be a script that calls it.
	program, err := exec.LookPath(bazel[0])
	qt.Assert(t, qt.IsNil(err))
	bazel[0] = program
	for _, program := range []string{"openssl", "softhsm2-util", "pkcs11-tool", "cc", "clang"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	qt.Assert(t, qt.IsNil(err))
	w := &workspace{t: t, dir: t.TempDir()}
	w.src = w.path("acme")
	for _, dir := range []string{"acme", "bin", "secrets", "tokens"} {
		qt.Assert(t, qt.IsNil(os.Mkdir(w.path(dir), 0o755)))
	}
	for _, program := range []string{"signtool", "loadergen"} {
		cmd := exec.Command("go", "build", "-o", w.path("bin", program), "./tools/"+program)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
	}
	w.write("bin/bazel", fmt.Sprintf("#!/bin/sh\nunset TMPDIR # which Bazel lets actions write to\nexec %s --bazelrc=%s --output_base=%s --max_idle_secs=60 \"$@\"\n",
		strings.Join(bazel, " "), w.path("bazelrc"), w.path("base")))
	qt.Assert(t, qt.IsNil(os.Chmod(w.path("bin", "bazel"), 0o755)))
	w.write("softhsm2.conf", "directories.tokendir = "+w.path("tokens")+"\n")
	goVersion, err := exec.Command("go", "env", "GOVERSION").Output()
	qt.Assert(t, qt.IsNil(err))
	w.write("acme/MODULE.bazel", fmt.Sprintf(module, strings.TrimPrefix(strings.TrimSpace(string(goVersion)), "go")))
	rc := guide.FromCheckout(root) + bazelrc
	w.write("bazelrc", rc)
	source, err := os.ReadFile(filepath.Join(root, "examples", "execsnoop", "execsnoop.bpf.c"))
	qt.Assert(t, qt.IsNil(err))
	w.write("acme/execsnoop.bpf.c", string(source))

	t.Setenv("PATH", w.path("bin")+":"+os.Getenv("PATH"))
	t.Setenv("RULES_BPF", root)
	t.Setenv("SOFTHSM2_CONF", w.path("softhsm2.conf"))
	t.Cleanup(func() {
		w.sh("bazel shutdown")
		// Bazel takes the right to write from folders that it made, and then they cannot be removed.
		w.sh("chmod -R u+w ../base")
	})
	w.warm(string(source))
	w.write("bazelrc", rc+"common --disk_cache="+w.path("disk")+"\n")
	return w
}

// warm has the tools come from the machine's cache: what is built after this goes into a cache of its own, which is searched.
// Bazel has folders of their own for tools with and without flags on its command line, whatever these are.
func (w *workspace) warm(source string) {
	w.t.Helper()
	w.write("acme/warm/warm.bpf.c", source)
	w.write("acme/warm/BUILD.bazel", `load("@rules_bpf//:defs.bzl", "bpf_object", "bpf_signed_loader", "bpf_signing_key")

bpf_signing_key(
    name = "key",
    certificate = "cert.der",
    private_key = "key.pem",
)

bpf_object(
    name = "object",
    srcs = ["warm.bpf.c"],
)

bpf_signed_loader(
    name = "loader",
    certificate = "cert.der",
    kind = "test",
    object = ":object",
)
`)
	const build = "bazel build //warm:loader --output_groups=tbs"
	w.sh(build)
	w.sh(build + " --@rules_bpf//signing:key=//warm:key --@rules_bpf//signing:allowed_kinds=test")
	w.sh("bazel build @rules_bpf//runtime && rm -r warm")
}

// in is the workspace in another test.
func (w *workspace) in(t *testing.T) *workspace {
	other := *w
	other.t = t
	return &other
}

// path is the path of a file in the folder.
func (w *workspace) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// write writes a file, and its folder.
func (w *workspace) write(name, data string) {
	w.t.Helper()
	path := w.path(name)
	qt.Assert(w.t, qt.IsNil(os.MkdirAll(filepath.Dir(path), 0o755)))
	qt.Assert(w.t, qt.IsNil(os.WriteFile(path, []byte(data), 0o644)))
}

// sh runs a script in the workspace that must succeed, and returns what it printed.
func (w *workspace) sh(script string) string {
	w.t.Helper()
	out, err := w.try(script)
	qt.Assert(w.t, qt.IsNil(err), qt.Commentf("%s\n\n%s", script, out))
	return out
}

// try runs a script in the workspace. The variables that it sets are there for the next one.
func (w *workspace) try(script string) (string, error) {
	const keep = "declare -p | grep -vE '^declare -[a-zA-Z]*[rA]' > ../variables\n"
	cmd := exec.Command("bash", "-c", "set -euo pipefail\nif [ -f ../variables ]; then . ../variables 2>/dev/null; fi\n"+script+"\n"+keep)
	cmd.Dir = w.src
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
