"""The module extension that finds a clang for BPF on this machine."""

load("//private:host.bzl", "host_toolchains")

_DOC = """Makes the repository `bpf_toolchains`: one toolchain a target cpu around the clang of this machine.

rules_bpf registers them itself; a toolchain that your own module registers comes before them. Nothing is looked for
before a build needs it, and when nothing fit is found only the targets that need it fail, with the reasons.

Variables of the environment (or `--repo_env`) that it reads:

- `BPF_CLANG`: the compiler to take. Otherwise the first of clang, clang-30 ... clang-15 on `PATH` that can be used.
- `BPF_SYSROOT`: a folder to look for `usr/include` in, instead of `/`: headers of libbpf and the kernel's UAPI.
"""

def _bpf_impl(mctx):
    host_toolchains(name = "bpf_toolchains")
    return mctx.extension_metadata(reproducible = True)

bpf = module_extension(
    doc = _DOC,
    implementation = _bpf_impl,
)
