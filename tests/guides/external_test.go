//go:build linux

package guides_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

// external is a workspace whose BPF program includes a header of another repository's cc_library. The name of the SDK is what
// tools/offline replaces.
var external = map[string]string{
	"MODULE.bazel": `module(name = "external")

bazel_dep(name = "rules_bpf", version = "0.1.0")
bazel_dep(name = "rules_go", version = "0.64.2")
bazel_dep(name = "other")
local_path_override(module_name = "other", path = "other")

go_sdk = use_extension("@rules_go//go:extensions.bzl", "go_sdk")
go_sdk.download(name = "sdk", version = "1.26.0")
`,
	"BUILD.bazel": `load("@rules_bpf//:defs.bzl", "bpf_object")

[bpf_object(
    name = name,
    srcs = ["program.bpf.c"],
    deps = ["@other//:" + name],
) for name in ["includes", "strip_include_prefix"]]

bpf_object(
    name = "path",
    srcs = ["path.bpf.c"],
    deps = ["@other//:path"],
)
`,
	"program.bpf.c": `#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <other/answer.h>

SEC("socket")
int program(void *ctx)
{
	return ANSWER;
}
`,
	"path.bpf.c": `#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include "include/other/answer.h"

SEC("socket")
int program(void *ctx)
{
	return ANSWER;
}
`,
	"other/MODULE.bazel": `module(name = "other")

bazel_dep(name = "rules_cc", version = "0.1.5")
`,
	"other/BUILD.bazel": `load("@rules_cc//cc:cc_library.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])

cc_library(name = "includes", hdrs = ["include/other/answer.h"], includes = ["include"])

cc_library(name = "strip_include_prefix", hdrs = ["include/other/answer.h"], strip_include_prefix = "include")

cc_library(name = "path", hdrs = ["include/other/answer.h"])
`,
	"other/include/other/answer.h": "#define ANSWER 42\n",
}

// A program finds the headers of another repository's cc_library, also where Bazel keeps external repositories' folders apart.
func TestExternalIncludes(t *testing.T) {
	w := guide.NewWorkspace(t, "../..", "external")
	for name, data := range external {
		path := filepath.Join(w.Dir, name)
		qt.Assert(t, qt.IsNil(os.MkdirAll(filepath.Dir(path), 0o755)))
		qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte(data), 0o644)))
	}
	for _, flag := range []string{"", "--features=external_include_paths"} {
		out, err := w.Shell("bazel build //:includes //:strip_include_prefix //:path " + flag)
		qt.Check(t, qt.IsNil(err), qt.Commentf("%s\n%s", flag, out))
	}
}
