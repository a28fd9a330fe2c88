"""bpf_tool: a program of this repository that the rules run, the same one whatever flags a build has."""

# What a build says of its own programs, and what its tools are instead.
_SETTINGS = {
    # A loader in a tool would have each key compile the tool anew.
    str(Label("//signing:allowed_kinds")): [],
    str(Label("//signing:key")): Label("//signing:development_key"),
    # Tools run on any machine and need no C compiler, which the race detector would. From Bazel 10 on, flags of the command line do not
    # reach tools, so a bazelrc cannot say this.
    str(Label("@rules_go//go/config:linkmode")): "auto",
    str(Label("@rules_go//go/config:msan")): False,
    str(Label("@rules_go//go/config:pure")): True,
    str(Label("@rules_go//go/config:race")): False,
}

# Starlark flags reach what runs in the build as well: without this, each set of them would have the tools, and Go's library with them,
# compiled anew.
_as_tool = transition(
    implementation = lambda _settings, _attr: _SETTINGS,
    inputs = [],
    outputs = _SETTINGS.keys(),
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
    doc = "A program, built the same whatever a build says of its keys and of its own Go programs.",
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
    cfg = _as_tool,
    executable = True,
)
