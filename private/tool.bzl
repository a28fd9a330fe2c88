"""bpf_tool: a program of this repository that the rules run, the same one whatever key a build signs with."""

_KEY = str(Label("//signing:key"))
_KINDS = str(Label("//signing:allowed_kinds"))

# Starlark flags reach what runs in the build as well: without this, each key would have the tools, and Go's library with
# them, compiled anew.
_without_key = transition(
    implementation = lambda _settings, _attr: {
        _KEY: Label("//signing:development_key"),
        _KINDS: [],
    },
    inputs = [],
    outputs = [_KEY, _KINDS],
)

def _bpf_tool_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(is_executable = True, output = out, target_file = ctx.executable.tool)
    return [DefaultInfo(
        executable = out,
        files = depset([out]),
        runfiles = ctx.runfiles([out]).merge(ctx.attr.tool[DefaultInfo].default_runfiles),
    )]

bpf_tool = rule(
    doc = "A program as `//signing`'s flags have it by default.",
    implementation = _bpf_tool_impl,
    attrs = {
        "tool": attr.label(
            doc = "The program.",
            executable = True,
            # The configuration is the rule's own, after its transition.
            cfg = "target",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    cfg = _without_key,
    executable = True,
)
