"""bpf_toolchain: a clang for BPF, and the headers of a system."""

load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load(":cpus.bzl", "CPUS")
load(":headers.bzl", "headers_of", "merge_headers")
load(":providers.bzl", "BpfLibraryInfo", "BpfToolchainInfo")
load(":show.bzl", "show")

TOOLCHAIN_TYPE = Label("//toolchain:toolchain_type")

# clang 15 is the first whose BTF has everything that the kernel's headers need: enum64, type tags.
MIN_CLANG = 15

_DOC = """A clang for BPF and the system headers of one target cpu, as a toolchain of type `@rules_bpf//toolchain:toolchain_type`.

    bpf_toolchain(
        name = "bpf_aarch64",
        clang = "@llvm//:clang",
        cpu = "aarch64",
        llvm_strip = "@llvm//:llvm-strip",
        version = "21.1.8",
        deps = [":libbpf_headers", ":uapi_headers_arm64"],
    )

`deps` are all the headers that `#include <...>` finds: libbpf's (`bpf/bpf_helpers.h`), the kernel's UAPI of the target
cpu (`linux/bpf.h`, `asm/types.h`), and the compiler's own (`stddef.h`, `stdint.h`). Nothing is searched in `/usr`:
compilations are hermetic to the degree that clang is."""

_ATTRS = {
    "clang": attr.label(
        allow_single_file = True,
        cfg = "exec",
        doc = "The compiler. Either this or `clang_path`.",
    ),
    "clang_path": attr.string(
        doc = "The compiler, by its absolute path on the machine that runs the actions.",
    ),
    "copts": attr.string_list(
        doc = "Flags for each compilation, before those of the target.",
    ),
    "cpu": attr.string(
        doc = "The cpu that programs are compiled for, as `@platforms//cpu` names it: byte order and `__TARGET_ARCH_X` follow from it.",
        mandatory = True,
        values = CPUS.keys(),
    ),
    "deps": attr.label_list(
        doc = "`bpf_library` or `cc_library` targets: the system's headers.",
        providers = [[BpfLibraryInfo], [CcInfo]],
    ),
    "llvm_strip": attr.label(
        allow_single_file = True,
        cfg = "exec",
        doc = "llvm-strip. Either this or `llvm_strip_path`.",
    ),
    "llvm_strip_path": attr.string(
        doc = "llvm-strip, by its absolute path on the machine that runs the actions.",
    ),
    "tools": attr.label_list(
        allow_files = True,
        cfg = "exec",
        doc = "Other files that `clang` and `llvm_strip` need to run, such as shared libraries.",
    ),
    "version": attr.string(
        doc = "The compiler's version, `21.1.8` or the first line of `clang --version`. At least 15. It is part of each " +
              "compilation's cache key.",
        mandatory = True,
    ),
}

def major_version(version):
    """Finds the major number in a version.

    Args:
      version: such as "21.1.8" or "Debian clang version 21.1.8 (13)".

    Returns:
      The number, or None.
    """
    for word in version.split(" "):
        number = word.partition(".")[0]
        if number.isdigit():
            return int(number)
    return None

def _one_of(ctx, name):
    """Returns the path of the tool that attribute `name` or `name`_path has, and its File or None."""
    file = getattr(ctx.file, name)
    path = getattr(ctx.attr, name + "_path")
    if bool(file) == bool(path):
        fail("%s: set either %s or %s_path" % (show(ctx.label), name, name))
    if path and not path.startswith("/"):
        fail("%s: %s_path %r is not absolute" % (show(ctx.label), name, path))
    return (file.path if file else path), file

def _system(dep):
    """The headers of a dep, all of its folders as system folders."""
    lib = headers_of(dep)
    return BpfLibraryInfo(
        defines = lib.defines,
        headers = lib.headers,
        includes = depset(),
        quote_includes = depset(),
        system_includes = depset(transitive = [lib.includes, lib.system_includes], order = "topological"),
    )

def _bpf_toolchain_impl(ctx):
    clang, clang_file = _one_of(ctx, "clang")
    strip, strip_file = _one_of(ctx, "llvm_strip")
    major = major_version(ctx.attr.version)
    if major == None:
        fail("%s: version %r has no number in it" % (show(ctx.label), ctx.attr.version))
    if major < MIN_CLANG:
        fail("%s: clang %s is too old: rules_bpf needs clang %d or newer" % (show(ctx.label), ctx.attr.version, MIN_CLANG))
    cpu = CPUS[ctx.attr.cpu]
    return [platform_common.ToolchainInfo(
        bpf = BpfToolchainInfo(
            clang = clang,
            copts = ctx.attr.copts,
            cpu = ctx.attr.cpu,
            endian = cpu.endian,
            env = {"BPF_CLANG_VERSION": ctx.attr.version},
            error = "",
            headers = merge_headers([_system(d) for d in ctx.attr.deps]),
            llvm_strip = strip,
            target_arch = cpu.target_arch,
            tools = depset([f for f in [clang_file, strip_file] if f] + ctx.files.tools),
            version = ctx.attr.version,
        ),
    )]

bpf_toolchain = rule(
    doc = _DOC,
    implementation = _bpf_toolchain_impl,
    attrs = _ATTRS,
)

def _missing_bpf_toolchain_impl(ctx):
    cpu = CPUS[ctx.attr.cpu]
    return [platform_common.ToolchainInfo(
        bpf = BpfToolchainInfo(
            clang = "",
            copts = [],
            cpu = ctx.attr.cpu,
            endian = cpu.endian,
            env = {},
            error = ctx.attr.error,
            headers = merge_headers([]),
            llvm_strip = "",
            target_arch = cpu.target_arch,
            tools = depset(),
            version = "",
        ),
    )]

missing_bpf_toolchain = rule(
    doc = "Stands in where no compiler was found: resolves as any toolchain, and fails what uses it.",
    implementation = _missing_bpf_toolchain_impl,
    attrs = {
        "cpu": attr.string(mandatory = True, values = CPUS.keys()),
        "error": attr.string(
            doc = "Why there is no compiler, and what to do.",
            mandatory = True,
        ),
    },
)
