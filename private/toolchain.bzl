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
    "tools": attr.label_list(
        allow_files = True,
        cfg = "exec",
        doc = "Other files that `clang` needs to run, such as shared libraries.",
    ),
    "version": attr.string(
        doc = "The compiler's version, `21.1.8` or the first line of `clang --version`. At least 15. It is part of each " +
              "compilation's cache key. A compilation by a clang with other numbers fails; `21` leaves open which 21 it is.",
        mandatory = True,
    ),
}

def version_numbers(version):
    """Finds the numbers in a version.

    Args:
      version: such as "21", "21.1.8" or "Debian clang version 21.1.8 (13)".

    Returns:
      A list of at most three numbers: major, minor, patch. Empty, if no word begins with a number.
    """
    for word in version.split(" "):
        numbers = []
        for part in word.split(".")[:3]:
            digits = part[:len(part) - len(part.lstrip("0123456789"))]
            if digits:
                numbers.append(int(digits))
            if digits != part:
                break
        if numbers:
            return numbers
    return []

# clang's names for the numbers.
_VERSION_MACROS = ["__clang_major__", "__clang_minor__", "__clang_patchlevel__"]

# Every compilation includes it, so the check costs no process and runs wherever the compiler runs.
_VERSION_CHECK = """\
/* Made by {label}. */
_Static_assert({condition},
	"the clang that runs here is " __clang_version__ ", and the toolchain {label} declares {version}. "
	"Either declare the version that runs, or keep these actions off machines with another one: give the toolchain() "
	"exec_compatible_with = [a constraint_value of yours], and that value to the platform() of the machines that have this clang, "
	"whose exec_properties choose them.");
"""

def _write_version_check(ctx, version, numbers):
    """Writes the header that fails a compilation by another version than the declared one."""
    out = ctx.actions.declare_file(ctx.label.name + ".version.h")
    ctx.actions.write(out, _VERSION_CHECK.format(
        condition = " && ".join(["%s == %d" % pair for pair in zip(_VERSION_MACROS, numbers)]),
        label = show(ctx.label),
        version = version.replace("\\", "\\\\").replace("\"", "\\\""),
    ))
    return out

def _clang(ctx):
    """Returns the compiler's path, and its File or None."""
    file, path = ctx.file.clang, ctx.attr.clang_path
    if bool(file) == bool(path):
        fail("%s: set either clang or clang_path" % show(ctx.label))
    if path and not path.startswith("/"):
        fail("%s: clang_path %r is not absolute" % (show(ctx.label), path))
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
    clang, clang_file = _clang(ctx)
    numbers = version_numbers(ctx.attr.version)
    if not numbers:
        fail("%s: version %r has no number in it" % (show(ctx.label), ctx.attr.version))
    if numbers[0] < MIN_CLANG:
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
            target_arch = cpu.target_arch,
            tools = depset(([clang_file] if clang_file else []) + ctx.files.tools),
            version = ctx.attr.version,
            version_check = _write_version_check(ctx, ctx.attr.version, numbers),
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
            target_arch = cpu.target_arch,
            tools = depset(),
            version = "",
            version_check = None,
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
