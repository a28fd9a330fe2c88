"""bpf_go_library: a signed loader to a Go package."""

load("@rules_go//go:def.bzl", "go_library")
load(":providers.bzl", "BpfLoaderInfo")

def _bpf_go_source_impl(ctx):
    name = ctx.attr.library
    bundle = ctx.actions.declare_file(name + ".bpfl")
    ctx.actions.symlink(output = bundle, target_file = ctx.attr.loader[BpfLoaderInfo].bundle)

    # The suffix keeps Go from reading a platform or a test into the library's name.
    source = ctx.actions.declare_file(name + "_bpf.go")
    args = ctx.actions.args()
    args.add("-bundle", bundle)
    args.add("-importpath", ctx.attr.importpath)
    args.add("-embed", bundle.basename)
    args.add("-out", source)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._gogen,
        inputs = [bundle],
        mnemonic = "BpfGoGen",
        outputs = [source],
        progress_message = "Generating Go %{output}",
    )
    return [
        DefaultInfo(files = depset([source])),
        OutputGroupInfo(bundle = depset([bundle])),
    ]

_bpf_go_source = rule(
    doc = "The generated half of a bpf_go_library: its Go file, and the bundle under the name that the file embeds.",
    implementation = _bpf_go_source_impl,
    attrs = {
        "importpath": attr.string(
            doc = "The Go package's import path.",
            mandatory = True,
        ),
        "library": attr.string(
            doc = "The bpf_go_library's name, which names the files.",
            mandatory = True,
        ),
        "loader": attr.label(
            doc = "The bpf_signed_loader.",
            mandatory = True,
            providers = [BpfLoaderInfo],
        ),
        "_gogen": attr.label(
            cfg = "exec",
            default = "//private:gogen",
            executable = True,
        ),
    },
)

# What the generated package imports. Labels of this module, whoever calls.
_DEPS = [
    Label("//bundle"),
    Label("//runtime"),
    Label("@com_github_cilium_ebpf//:ebpf"),
]

def bpf_go_library(name, loader, importpath, **kwargs):
    """A Go package that embeds a signed loader and loads it: a `go_library`.

        bpf_go_library(
            name = "execsnoop",
            importpath = "example.com/monitor/execsnoop",
            loader = ":execsnoop_loader",
        )

    The package, named after the last part of `importpath`, has

    - `Load(ctx, opts...) (*Objects, error)`, with the options of `runtime`;
    - `Objects`, with a field of type `*ebpf.Map` a map and one of type `*ebpf.Program` a program, `AttachAll` and `Close`;
    - `Variables`, a field of `Objects`, with one of type `*runtime.Variable[T]` a global variable;
    - Go types of the maps' keys and values and of the global variables;
    - `Bundle`, the embedded loader itself.

    Go names are made of C names as bpf2go does: `on_exec` is `OnExec`. A map and a program of one name get `Map` and
    `Program` appended.

    Args:
      name: the target's name.
      loader: the `bpf_signed_loader`.
      importpath: the package's import path.
      **kwargs: attributes of `go_library` that do not say what is compiled, such as `visibility`, `tags`, `testonly`,
        `importmap`. `target_compatible_with` is Linux, unless it is set.
    """
    for attr in ["cgo", "deps", "embed", "embedsrcs", "srcs"]:
        if attr in kwargs:
            fail("bpf_go_library %s: %s is the rule's own business: put Go code of yours into a go_library that has this one in deps" % (name, attr))
    kwargs.setdefault("target_compatible_with", [Label("@platforms//os:linux")])
    common = {a: kwargs[a] for a in ["compatible_with", "restricted_to", "tags", "target_compatible_with", "testonly"] if a in kwargs}
    _bpf_go_source(
        name = name + "_go",
        importpath = importpath,
        library = name,
        loader = loader,
        visibility = ["//visibility:private"],
        **common
    )
    bundle = name + "_bundle"
    _output_group(
        name = bundle,
        src = name + "_go",
        visibility = ["//visibility:private"],
        **common
    )
    go_library(
        name = name,
        srcs = [name + "_go"],
        embedsrcs = [bundle],
        importpath = importpath,
        deps = _DEPS,
        **kwargs
    )

def _output_group_impl(ctx):
    return [DefaultInfo(files = ctx.attr.src[OutputGroupInfo].bundle)]

_output_group = rule(
    doc = "The bundle of a _bpf_go_source, for go_library's embedsrcs.",
    implementation = _output_group_impl,
    attrs = {"src": attr.label(
        mandatory = True,
        providers = [OutputGroupInfo],
    )},
)
