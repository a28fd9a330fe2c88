//go:build linux

package guides_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

// toolchains declares three versions of the machine's clang, of which the last is not true.
const toolchains = `load("@rules_bpf//:defs.bzl", "bpf_object")
load("@rules_bpf//:toolchain.bzl", "bpf_toolchain")

bpf_object(
    name = "object",
    srcs = ["program.bpf.c"],
)

[
    (
        bpf_toolchain(
            name = name,
            clang_path = %q,
            cpu = "x86_64",
            version = version,
        ),
        toolchain(
            name = name + "_toolchain",
            toolchain = name,
            toolchain_type = "@rules_bpf//toolchain:toolchain_type",
        ),
    )
    for name, version in {"line": %q, "major": %q, "other": "15.0.1"}.items()
]
`

// A compilation by another clang than the toolchain declares fails, and says what to do. It runs in no process of its own.
func TestCompilerVersion(t *testing.T) {
	w := guide.NewWorkspace(t, "../..", "compiler")
	clang, err := exec.LookPath("clang")
	if err != nil {
		t.Skip("clang is not installed")
	}
	version, err := exec.Command(clang, "--version").Output()
	qt.Assert(t, qt.IsNil(err))
	line, _, _ := strings.Cut(string(version), "\n")
	_, number, _ := strings.Cut(line, "version ")
	major, _, _ := strings.Cut(number, ".")
	for name, data := range map[string]string{
		"MODULE.bazel":  external["MODULE.bazel"],
		"BUILD.bazel":   fmt.Sprintf(toolchains, clang, line, major),
		"program.bpf.c": "int zero __attribute__((section(\"socket\"), used)) = 0;\n",
	} {
		module := strings.NewReplacer("bazel_dep(name = \"other\")\n", "", "local_path_override(module_name = \"other\", path = \"other\")\n", "")
		qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(w.Dir, name), []byte(module.Replace(data)), 0o644)))
	}
	const build = "bazel build //:object --extra_toolchains=//:%s_toolchain"
	for _, name := range []string{"line", "major"} {
		out, err := w.Shell(fmt.Sprintf(build, name))
		qt.Check(t, qt.IsNil(err), qt.Commentf("%s: %s", name, out))
	}
	out, err := w.Shell(fmt.Sprintf(build, "other"))
	qt.Check(t, qt.IsNotNil(err))
	for _, part := range []string{"the clang that runs here is " + major + ".", "//:other declares 15.0.1", "exec_compatible_with", "exec_properties"} {
		qt.Check(t, qt.StringContains(out, part))
	}
}
