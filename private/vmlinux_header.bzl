"""bpf_vmlinux_header: a kernel's types as a C header."""

load(":headers.bzl", "merge_headers")
load(":providers.bzl", "BpfLibraryInfo")
load(":show.bzl", "show")

_DOC = """Writes a kernel's types as a C header, `vmlinux.h`, from the kernel's type information (BTF). No kernel has to run.

    bpf_vmlinux_header(
        name = "vmlinux",
        btf = "vmlinux-7.3.btf",
    )

    bpf_object(
        name = "execsnoop_bpf",
        srcs = ["execsnoop.bpf.c"],  # #include "vmlinux.h"
        deps = [":vmlinux"],
    )

The header has all structs, unions, enumerations and typedefs, laid out as in the kernel, and the kernel functions that
programs may call. It is what `bpftool btf dump file ... format c` gives: relocatable (`preserve_access_index`, unless
`BPF_NO_PRESERVE_ACCESS_INDEX` is defined), and with functions unless `BPF_NO_KFUNC_PROTOTYPES` is. The same file gives the same bytes.

Types are those of the architecture that the BTF is of: with several target platforms, `select` the file. For 32-bit kernels the
layout is not the kernel's, since BPF's pointers have 64 bits; CO-RE finds the right offsets."""

def _bpf_vmlinux_header_impl(ctx):
    out = ctx.outputs.out
    if not out:
        name = ctx.label.name.split("/")[-1]
        out = ctx.actions.declare_file("_vmlinux/%s/%s" % (ctx.label.name, name if name.endswith(".h") else name + ".h"))
    if not out.basename.endswith(".h"):
        fail("%s: out: %r does not end in .h" % (show(ctx.label), out.basename))
    args = ctx.actions.args()
    args.add("-btf", ctx.file.btf)
    args.add_all(ctx.files.modules, before_each = "-module")
    args.add("-out", out)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._vmlinuxheader,
        inputs = [ctx.file.btf] + ctx.files.modules,
        mnemonic = "BpfVmlinuxHeader",
        outputs = [out],
        progress_message = "Writing the types of %{input} to %{output}",
    )
    return [
        DefaultInfo(files = depset([out])),
        merge_headers([], headers = [out], includes = [out.dirname]),
    ]

bpf_vmlinux_header = rule(
    doc = _DOC,
    implementation = _bpf_vmlinux_header_impl,
    attrs = {
        "btf": attr.label(
            allow_single_file = True,
            doc = "The kernel's type information: raw BTF, as a running kernel shows in /sys/kernel/btf/vmlinux, or an ELF file " +
                  "with a section `.BTF`, as the `vmlinux` of a kernel's build. Not a compressed kernel (`vmlinuz`).",
            mandatory = True,
        ),
        "modules": attr.label_list(
            allow_files = True,
            doc = "The type information of modules of that very kernel, as it shows in /sys/kernel/btf: their types and functions are " +
                  "in the header too.",
        ),
        "out": attr.output(
            doc = "The header's file. By default it is called `<name>.h`, in a folder of its own. Programs include it by its name " +
                  "alone, whatever folder it is in.",
        ),
        "_vmlinuxheader": attr.label(
            cfg = "exec",
            default = "//private:vmlinuxheader",
            executable = True,
        ),
    },
    provides = [BpfLibraryInfo],
)
