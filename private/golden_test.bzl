"""bpf_loader_golden_test: what a loader does, as a text in the source tree."""

load(":check.bzl", "LOADER_ATTR", "command", "quote", "script", "tool_attr")
load(":exec_groups.bzl", "LOCAL", "TEST", "TEST_EXEC_GROUPS")
load(":providers.bzl", "BpfLoaderInfo")
load(":show.bzl", "show")

# `bazel run` starts the update on the machine that runs Bazel.
_RUN = "run"

def _bpf_loader_golden_test_impl(ctx):
    bundle = ctx.attr.loader[BpfLoaderInfo].bundle
    update = "bazel run %s.update" % show(ctx.label)
    return script(
        ctx,
        [
            command(ctx.attr._loadergen, ["golden", "-check", ctx.file.golden, bundle]) + " && exit",
            "status=$?",
            "echo %s >&2" % quote("If that is what the loader shall do, rewrite the file: " + update),
            "exit $status",
        ],
        tool = ctx.attr._loadergen,
        files = [bundle, ctx.file.golden],
    )

_bpf_loader_golden_test = rule(
    doc = "The test of a bpf_loader_golden_test.",
    implementation = _bpf_loader_golden_test_impl,
    attrs = {
        "golden": attr.label(
            allow_single_file = True,
            doc = "The golden file.",
            mandatory = True,
        ),
        "loader": LOADER_ATTR,
        "_loadergen": tool_attr("//private:loadergen", TEST),
    },
    exec_groups = TEST_EXEC_GROUPS,
    test = True,
)

def _update_impl(ctx):
    bundle = ctx.attr.loader[BpfLoaderInfo].bundle

    # A string, not a file: the file need not be there yet.
    golden = ctx.attr.golden.removeprefix(":")
    if golden.startswith("//"):
        golden = golden.removeprefix("//").replace(":", "/").removeprefix("/")
    else:
        golden = ctx.label.package + "/" + golden
    if golden.startswith("@") or ctx.label.repo_name:
        lines = ["echo %s >&2" % quote("%s: the golden file is not in this repository" % show(ctx.label)), "exit 1"]
    else:
        lines = [
            "golden=${BUILD_WORKSPACE_DIRECTORY:?run this with bazel run}/" + quote(golden),
            command(ctx.attr._loadergen, ["golden", "-update"]) + " \"$golden\" " + quote(bundle) + " || exit",
            "echo \"wrote $golden\"",
        ]
    return script(ctx, lines, tool = ctx.attr._loadergen, files = [bundle])

_update = rule(
    doc = "The program of a bpf_loader_golden_test that rewrites the golden file.",
    implementation = _update_impl,
    attrs = {
        "golden": attr.string(
            doc = "The golden file's label.",
            mandatory = True,
        ),
        "loader": LOADER_ATTR,
        "_loadergen": tool_attr("//private:loadergen", _RUN),
    },
    exec_groups = {_RUN: LOCAL},
    executable = True,
)

def bpf_loader_golden_test(name, loader, golden, **kwargs):
    """A test that a loader does what a golden file says, so that a reviewer sees in a diff what a change does to it.

        bpf_loader_golden_test(
            name = "execsnoop_golden_test",
            golden = "execsnoop.golden",
            loader = ":execsnoop_loader",
        )

    The file lists, for each scheme, what the loader asks of the kernel, and its instructions with what they are about. It
    takes neither root nor a kernel. `bazel run :execsnoop_golden_test.update` writes the file, also for the first time.

    Of the BPF programs the file has the number of instructions and a digest, and of BTF the size: another version of the
    compiler can change these lines, as it changes what is loaded. Where developers have various compilers, register one
    `bpf_toolchain`, or give the test a tag. Keys and signatures are not in the file. Byte order is, for the first line and
    the digests: with several target platforms, test one.

    Args:
      name: the test's name; `<name>.update` rewrites the file.
      loader: the `bpf_signed_loader`.
      golden: the golden file, of the same repository.
      **kwargs: attributes of all tests, such as `size`, `tags`, `visibility`.
    """
    kwargs.setdefault("size", "small")
    _bpf_loader_golden_test(
        name = name,
        golden = golden,
        loader = loader,
        **kwargs
    )
    common = {a: kwargs[a] for a in ["compatible_with", "restricted_to", "target_compatible_with"] if a in kwargs}
    _update(
        name = name + ".update",
        golden = golden,
        loader = loader,
        tags = ["manual"],
        testonly = True,
        visibility = ["//visibility:private"],
        **common
    )
