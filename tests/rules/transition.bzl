"""Targets as another configuration would have them."""

_ACTION_ENV = "//command_line_option:action_env"
_MODE = "//command_line_option:compilation_mode"
_PLATFORMS = "//command_line_option:platforms"

def _configure_impl(settings, attr):
    return {
        _ACTION_ENV: settings[_ACTION_ENV] + attr.action_env,
        _MODE: attr.compilation_mode or settings[_MODE],
        _PLATFORMS: [attr.platform] if attr.platform else settings[_PLATFORMS],
    }

_configure = transition(
    implementation = _configure_impl,
    inputs = [_ACTION_ENV, _MODE, _PLATFORMS],
    outputs = [_ACTION_ENV, _MODE, _PLATFORMS],
)

def _configured_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = out, target_file = ctx.file.target)
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

configured = rule(
    doc = "The one file of a target, built for another platform or in another compilation mode.",
    implementation = _configured_impl,
    cfg = _configure,
    attrs = {
        "action_env": attr.string_list(doc = "As --action_env."),
        "compilation_mode": attr.string(doc = "As -c."),
        "platform": attr.label(doc = "As --platforms."),
        "target": attr.label(
            allow_single_file = True,
            doc = "What to build.",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

_FLAGS = {
    str(Label("//signing:allowed_kinds")): ["test"],
    str(Label("//signing:key")): Label("//tests/rules:test_key"),
    str(Label("@rules_go//go/config:linkmode")): "pie",
    str(Label("@rules_go//go/config:msan")): True,
    str(Label("@rules_go//go/config:pure")): False,
    str(Label("@rules_go//go/config:race")): True,
}

# Each flag by itself, and none.
_each_flag = transition(
    implementation = lambda settings, _attr: {"none": settings} | {flag: settings | {flag: value} for flag, value in _FLAGS.items()},
    inputs = _FLAGS.keys(),
    outputs = _FLAGS.keys(),
)

def _with_each_flag_impl(ctx):
    return [DefaultInfo(files = depset(ctx.files.target))]

with_each_flag = rule(
    doc = "The files of a target, in builds with various flags: one file if none of them matters.",
    implementation = _with_each_flag_impl,
    attrs = {
        "target": attr.label(
            cfg = _each_flag,
            doc = "What to build.",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

def _in_tool_impl(ctx):
    return [DefaultInfo(files = depset(ctx.files.target))]

in_tool = rule(
    doc = "The files of a target, built for an executable that runs in the build.",
    implementation = _in_tool_impl,
    attrs = {"target": attr.label(
        cfg = "exec",
        doc = "What to build.",
        mandatory = True,
    )},
)
