"""bpf_object: BPF C to an object file."""

load("@bazel_skylib//lib:paths.bzl", "paths")
load(":headers.bzl", "HEADER_ATTRS", "HEADER_EXTENSIONS", "collect_headers")
load(":providers.bzl", "BpfObjectInfo")
load(":show.bzl", "show")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

_DOC = """Compiles BPF C to an ELF object, `<name>.bpf.o`, with BTF.

    bpf_object(
        name = "execsnoop_bpf",
        srcs = ["execsnoop.bpf.c"],
        hdrs = ["event.h"],
        deps = ["//bpf/common:maps"],
    )

`#include <...>` finds libbpf's headers, the kernel's UAPI headers and the compiler's own (`stddef.h`, `stdint.h`), all as
declared by the toolchain, and nothing in the machine's `/usr/include`: BPF programs have no C library.

Byte order, `__TARGET_ARCH_X` and the kernel's headers are those of the target platform: `--platforms` cross-compiles.
The same sources give the same bytes wherever they are built.

Several `srcs` become one object, as with `bpftool gen object`: a global has one definition, which others declare `extern`;
`__weak` ones give way; `static` ones stay apart; all have the same license.

The object of a single source is what the compiler wrote, with DWARF, for `llvm-objdump -S`. A loader has no DWARF in it.

Output groups: `debug`, what the compiler wrote for each source, with DWARF; `stripped`, the object without DWARF, for programs that embed
the object itself: `<name>.stripped.bpf.o`, or `<name>.bpf.o` if there are several sources."""

_ATTRS = HEADER_ATTRS | {
    "copts": attr.string_list(
        doc = "Flags for the compiler, after all others.",
    ),
    "hdrs": attr.label_list(
        allow_files = HEADER_EXTENSIONS,
        doc = "Headers that only these sources include.",
    ),
    "mcpu": attr.string(
        default = "v3",
        doc = "The BPF instruction set, from `v1` to `v4`. `v3` runs on every kernel that can verify a loader.",
        values = ["v1", "v2", "v3", "v4"],
    ),
    "srcs": attr.label_list(
        allow_empty = False,
        allow_files = [".c"],
        doc = "The sources, usually named `*.bpf.c`. Several are linked into one object: they may use one another's functions, " +
              "variables and maps, declared `extern`.",
        mandatory = True,
    ),
    "_linker": attr.label(
        cfg = "exec",
        default = "//private:linker",
        executable = True,
    ),
}

# What every program is compiled with. BTF comes from -g; the verifier needs -O2. Not -fno-ident: provenance reads the compiler's name from the
# debug information, and a loader has neither that nor the section .comment.
_COPTS = [
    "-g",
    "-O2",
    "-Wall",
    "-fno-addrsig",
    "-fno-stack-protector",
    # Distributions patch clang to search here and there: all that can be included is declared.
    "-nostdinc",
]

def _flags(ctx, toolchain, headers):
    """Returns the compiler's flags but those with paths in them."""
    return [
        "-target",
        "bpfeb" if toolchain.endian == "big" else "bpfel",
        "-mcpu=" + ctx.attr.mcpu,
        "-D__TARGET_ARCH_" + toolchain.target_arch,
    ] + _COPTS + toolchain.copts + ["-D" + d for d in headers.defines.to_list() + toolchain.headers.defines.to_list()]

def _declare_object(ctx, src):
    """Declares what the compiler writes for one of several sources."""
    return ctx.actions.declare_file("_objs/%s/%s.o" % (ctx.label.name, paths.replace_extension(src.short_path.replace("../", "external/"), "")))

def _compile(ctx, toolchain, headers, flags, src, out):
    args = ctx.actions.args()
    args.add("-c")
    args.add_all(flags)

    # Paths are in BTF's line info and in __FILE__: as written in the sources, wherever they and generated files are.
    args.add("-ffile-compilation-dir=.")
    args.add(ctx.bin_dir.path, format = "-ffile-prefix-map=%s/=")
    args.add_all(toolchain.headers.system_includes, format_each = "-ffile-prefix-map=%s=/usr/include")

    args.add_all(headers.quote_includes, before_each = "-iquote")
    args.add_all(headers.includes, before_each = "-I")
    args.add_all(headers.system_includes, before_each = "-isystem")
    args.add_all(toolchain.headers.system_includes, before_each = "-idirafter")
    args.add_all(ctx.attr.copts)
    args.add("-include", toolchain.version_check)
    args.add(src)
    args.add("-o", out)
    ctx.actions.run(
        arguments = [args],
        env = toolchain.env,
        executable = toolchain.clang,
        inputs = depset([src, toolchain.version_check], transitive = [headers.headers, toolchain.headers.headers]),
        mnemonic = "BpfCompile",
        outputs = [out],
        progress_message = "Compiling BPF %s for %%{label}" % src.short_path,
        toolchain = TOOLCHAIN_TYPE,
        tools = toolchain.tools,
    )

def _link(ctx, objects, out):
    """Links objects. The linker leaves DWARF out."""
    args = ctx.actions.args()
    args.add("-out", out)
    args.add_all(objects)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._linker,
        inputs = objects,
        mnemonic = "BpfLink",
        outputs = [out],
        progress_message = "Linking BPF %{output}",
    )

def _bpf_object_impl(ctx):
    toolchain = ctx.toolchains[TOOLCHAIN_TYPE].bpf
    if toolchain.error:
        fail("%s: %s" % (show(ctx.label), toolchain.error))
    headers = collect_headers(ctx)
    flags = _flags(ctx, toolchain, headers)
    object = ctx.actions.declare_file(ctx.label.name + ".bpf.o")
    if len(ctx.files.srcs) == 1:
        objects = [object]
        _compile(ctx, toolchain, headers, flags, ctx.files.srcs[0], object)
        stripped = ctx.actions.declare_file(ctx.label.name + ".stripped.bpf.o")
    else:
        objects = [_declare_object(ctx, src) for src in ctx.files.srcs]
        for src, out in zip(ctx.files.srcs, objects):
            _compile(ctx, toolchain, headers, flags, src, out)
        stripped = object
    _link(ctx, objects, stripped)
    return [
        DefaultInfo(files = depset([object])),
        OutputGroupInfo(
            debug = depset(objects),
            stripped = depset([stripped]),
        ),
        BpfObjectInfo(
            compiler = toolchain.version if "clang" in toolchain.version else "clang " + toolchain.version,
            debug_objects = objects,
            endian = toolchain.endian,
            flags = flags + ctx.attr.copts,
            object = object,
            sources = depset(ctx.files.srcs, transitive = [headers.headers]),
            target_arch = toolchain.target_arch,
        ),
    ]

bpf_object = rule(
    doc = _DOC,
    implementation = _bpf_object_impl,
    attrs = _ATTRS,
    provides = [BpfObjectInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
