"""The kernels that fetch-kernels has fetched, as a repository. For work on rules_bpf only."""

# What fetch-kernels fetches.
SERIES = ["5.10", "6.1", "6.12", "6.18", "7.0", "7.1", "7.2", "7.3"]

# Of other machines, by Debian's names: one kernel each.
OTHERS = {
    "armhf": "7.2-armhf",
    "arm64": "7.3-arm64",
    "s390x": "7.2-s390x",
}

_BUILD = """\
package(default_visibility = ["//visibility:public"])

exports_files(glob(["*/release"]))
"""

_SERIES = """
filegroup(
    name = "{series}",
    srcs = glob(["{series}/*"]),
)
"""

def _kernel_repo_impl(rctx):
    cache = rctx.getenv("RULES_BPF_CACHE")
    if not cache:
        cache = (rctx.getenv("XDG_CACHE_HOME") or (rctx.getenv("HOME") or "") + "/.cache") + "/rules_bpf"
    for series in SERIES + OTHERS.values():
        kernel = rctx.path(cache).get_child("kernels").get_child(series)

        # Fetched anew when a kernel comes or is replaced by a newer one.
        rctx.watch(kernel.get_child("release"))
        if kernel.get_child("vmlinuz").exists:
            rctx.file(series + "/release", rctx.read(kernel.get_child("release")), executable = False)
            rctx.symlink(kernel.get_child("vmlinuz"), series + "/vmlinuz")
        else:
            # Its test has something to name, and finds no image beside it.
            rctx.file(series + "/release", "", executable = False)
    rctx.file("BUILD.bazel", _BUILD + "".join([_SERIES.format(series = s) for s in SERIES + OTHERS.values()]), executable = False)

_kernel_repo = repository_rule(
    implementation = _kernel_repo_impl,
    doc = "A file `SERIES/release` for every series, and `SERIES/vmlinuz` for those in the cache of fetch-kernels.",
)

def _kernels_impl(_mctx):
    _kernel_repo(name = "debian_kernels")

kernels = module_extension(
    doc = "Makes the repository `debian_kernels`.",
    implementation = _kernels_impl,
)
