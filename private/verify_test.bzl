"""bpf_loader_verify_test: that a loader is signed by whom one trusts."""

load(":check.bzl", "LOADER_ATTR", "command", "script", "tool_attr")
load(":exec_groups.bzl", "TEST", "TEST_EXEC_GROUPS")
load(":providers.bzl", "BpfLoaderInfo")
load(":show.bzl", "show")
load(":signing_key.bzl", "CERTIFICATES")

_DOC = """A test that every loader in a bundle has a good signature by a trusted key: `signtool verify`.

    bpf_loader_verify_test(
        name = "execsnoop_verify_test",
        size = "small",
        certificate = "//keys:release.der",
        loader = ":execsnoop_loader",
    )

It takes neither root nor a kernel. Certificates must be valid at the time of the test, or at the time `at`."""

_ATTRS = {
    "at": attr.string(
        doc = "When certificates must be valid, as `2026-01-01T00:00:00Z`: for releases whose certificate has expired since.",
    ),
    "certificate": attr.label(
        allow_single_file = CERTIFICATES,
        doc = "The certificate of the key that must have signed: a file, or a `bpf_signing_key`. Either this or `policy`.",
    ),
    "data": attr.label_list(
        allow_files = True,
        doc = "The certificates that `policy` names.",
    ),
    "loader": LOADER_ATTR,
    "policy": attr.label(
        allow_single_file = [".json"],
        doc = "A trust policy (docs/signing.md), instead of `certificate`.",
    ),
    "roots": attr.label(
        allow_single_file = CERTIFICATES,
        doc = "Certificates that `certificate` must lead to.",
    ),
    "_signtool": tool_attr("//private:signtool", TEST),
}

def _bpf_loader_verify_test_impl(ctx):
    bundle = ctx.attr.loader[BpfLoaderInfo].bundle
    if bool(ctx.file.certificate) == bool(ctx.file.policy):
        fail("%s: set either certificate or policy" % show(ctx.label))
    if ctx.file.policy and ctx.file.roots:
        fail("%s: roots goes with certificate: those of a policy are in its file" % show(ctx.label))
    args = ["verify"]
    for flag, file in [("-cert", ctx.file.certificate), ("-roots", ctx.file.roots), ("-policy", ctx.file.policy)]:
        if file:
            args += [flag, file]
    if ctx.attr.at:
        args += ["-at", ctx.attr.at]
    args.append(bundle)
    return script(
        ctx,
        ["exec " + command(ctx.attr._signtool, args)],
        tool = ctx.attr._signtool,
        files = [f for f in args if type(f) != "string"] + ctx.files.data,
    )

bpf_loader_verify_test = rule(
    doc = _DOC,
    implementation = _bpf_loader_verify_test_impl,
    attrs = _ATTRS,
    exec_groups = TEST_EXEC_GROUPS,
    test = True,
)
