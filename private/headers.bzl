"""Headers: what bpf_library, bpf_object and bpf_toolchain share."""

load("@bazel_skylib//lib:paths.bzl", "paths")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load(":providers.bzl", "BpfLibraryInfo")
load(":show.bzl", "show")

HEADER_EXTENSIONS = [".h"]

HEADER_ATTRS = {
    "defines": attr.string_list(
        doc = "Macros to define, `NAME` or `NAME=VALUE`, here and in everything that depends on this.",
    ),
    "deps": attr.label_list(
        doc = "`bpf_library` or `cc_library` targets whose headers these files include. Of a `cc_library` only headers, " +
              "include folders and defines are used, but it needs a C toolchain for the target platform, which a `bpf_library` does not.",
        providers = [[BpfLibraryInfo], [CcInfo]],
    ),
    "hdrs": attr.label_list(
        allow_files = HEADER_EXTENSIONS,
        doc = "Headers. Only what is listed here and in `deps` can be included.",
    ),
    "includes": attr.string_list(
        doc = "Folders, relative to the package, to search for included headers, here and in everything that depends on this. " +
              "A file includes headers of its own folder, and headers by their path from the repository's root, without this.",
    ),
}

def headers_of(dep):
    """Returns the BpfLibraryInfo of a dep: its own, or one made of what a cc_library says.

    Args:
      dep: a Target with BpfLibraryInfo or CcInfo.

    Returns:
      A BpfLibraryInfo.
    """
    if BpfLibraryInfo in dep:
        return dep[BpfLibraryInfo]
    cc = dep[CcInfo].compilation_context
    return BpfLibraryInfo(
        defines = cc.defines,
        headers = cc.headers,
        includes = cc.includes,
        quote_includes = cc.quote_includes,
        # With the feature external_include_paths, all folders of other repositories are in external_includes.
        system_includes = depset(transitive = [cc.system_includes, cc.external_includes], order = "topological"),
    )

def _roots(ctx):
    """Where the target's headers are: in the source tree, in the output tree, or in both."""
    source, output = ctx.label.workspace_root, paths.join(ctx.bin_dir.path, ctx.label.workspace_root)
    kinds = {f.is_source: None for f in ctx.files.hdrs}
    if kinds.keys() == [True]:
        return [source]
    if kinds.keys() == [False]:
        return [output]
    return [source, output]

def _folders(ctx):
    """The package's includes as paths from the execution root."""
    found = []
    for include in ctx.attr.includes:
        folder = paths.normalize(paths.join(ctx.label.package, include))
        if paths.is_absolute(include) or folder == ".." or folder.startswith("../"):
            fail("%s: includes: %r leads out of the repository: name a folder in it, relative to the package" % (show(ctx.label), include))
        for root in _roots(ctx):
            found.append(paths.normalize(paths.join(root, folder)))
    return found

def merge_headers(libraries, headers = [], defines = [], includes = [], quote_includes = [], system_includes = []):
    """Makes one BpfLibraryInfo of several and of lists of one's own, which come first.

    Args:
      libraries: list of BpfLibraryInfo.
      headers: list of Files.
      defines: list of strings.
      includes: list of paths from the execution root, as the next two.
      quote_includes: list of paths.
      system_includes: list of paths.

    Returns:
      A BpfLibraryInfo.
    """
    return BpfLibraryInfo(
        defines = depset(defines, transitive = [lib.defines for lib in libraries], order = "topological"),
        headers = depset(headers, transitive = [lib.headers for lib in libraries]),
        includes = depset(includes, transitive = [lib.includes for lib in libraries], order = "topological"),
        quote_includes = depset(quote_includes, transitive = [lib.quote_includes for lib in libraries], order = "topological"),
        system_includes = depset(system_includes, transitive = [lib.system_includes for lib in libraries], order = "topological"),
    )

def collect_headers(ctx):
    """Returns the BpfLibraryInfo of a target that has HEADER_ATTRS."""
    root = ctx.label.workspace_root
    return merge_headers(
        [headers_of(d) for d in ctx.attr.deps],
        defines = ctx.attr.defines,
        headers = ctx.files.hdrs,
        includes = _folders(ctx),
        quote_includes = [root or ".", paths.normalize(paths.join(ctx.bin_dir.path, root))],
    )
