"""bpf_loader_audit_test: a proof that a loader checks what it acts on."""

load(":check.bzl", "LOADER_ATTR", "command", "script", "tool_attr")
load(":exec_groups.bzl", "TEST", "TEST_EXEC_GROUPS")
load(":providers.bzl", "BpfLoaderInfo")

_DOC = """A test that proves of each loader in a bundle that it acts only on what was signed: `signtool audit`.

    bpf_loader_audit_test(
        name = "execsnoop_audit_test",
        size = "small",
        loader = ":execsnoop_loader",
    )

It takes neither root nor a kernel, and looks at the instructions alone: docs/audit.md says at what."""

def _bpf_loader_audit_test_impl(ctx):
    bundle = ctx.attr.loader[BpfLoaderInfo].bundle
    return script(
        ctx,
        ["exec " + command(ctx.attr._signtool, ["audit", bundle])],
        tool = ctx.attr._signtool,
        files = [bundle],
    )

bpf_loader_audit_test = rule(
    doc = _DOC,
    implementation = _bpf_loader_audit_test_impl,
    attrs = {
        "loader": LOADER_ATTR,
        "_signtool": tool_attr("//private:signtool", TEST),
    },
    exec_groups = TEST_EXEC_GROUPS,
    test = True,
)
