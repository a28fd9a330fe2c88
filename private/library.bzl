"""bpf_library: headers for reuse."""

load(":headers.bzl", "HEADER_ATTRS", "collect_headers")
load(":providers.bzl", "BpfLibraryInfo")

_DOC = """Headers that several BPF programs include, with the headers that these need.

    bpf_library(
        name = "maps",
        hdrs = ["maps.bpf.h"],
        deps = ["//bpf/common"],
    )

A program that names it in `deps` includes the header by its path from the repository's root
(`#include "path/to/maps.bpf.h"`), by its name alone from the same package, or by whatever `includes` allows.
Nothing is compiled. A plain `cc_library` serves in `deps` too."""

def _bpf_library_impl(ctx):
    headers = collect_headers(ctx)
    return [
        DefaultInfo(files = depset(ctx.files.hdrs)),
        headers,
    ]

bpf_library = rule(
    doc = _DOC,
    implementation = _bpf_library_impl,
    attrs = HEADER_ATTRS,
    provides = [BpfLibraryInfo],
)
