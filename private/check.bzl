"""Tests that run a tool on files: what the tests of loaders share."""

load("@bazel_skylib//lib:shell.bzl", "shell")
load(":providers.bzl", "BpfLoaderInfo")

LOADER_ATTR = attr.label(
    doc = "The `bpf_signed_loader`.",
    mandatory = True,
    providers = [BpfLoaderInfo],
)

def tool_attr(label, group):
    """An attribute with a tool of this repository.

    Args:
      label: the tool.
      group: the execution group whose machine runs it.

    Returns:
      An attribute.
    """
    return attr.label(
        cfg = config.exec(group),
        default = label,
        executable = True,
    )

def quote(word):
    """Returns a word of a command line as a shell reads it: a File is its path in the runfiles."""
    return shell.quote(word if type(word) == "string" else word.short_path)

def script(ctx, lines, tool, files = []):
    """Makes the target's executable, a shell script that starts in its runfiles, as `bazel test` and `bazel run` have it.

    Args:
      ctx: the rule's context.
      lines: list of strings: the script.
      tool: the Target of the one tool in it.
      files: list of Files that it reads.

    Returns:
      A DefaultInfo.
    """
    out = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(out, "\n".join(["#!/bin/sh"] + lines) + "\n", is_executable = True)
    runfiles = ctx.runfiles(files).merge(tool[DefaultInfo].default_runfiles)
    return DefaultInfo(
        executable = out,
        files = depset([out]),
        runfiles = runfiles.merge(ctx.runfiles([tool[DefaultInfo].files_to_run.executable])),
    )

def command(tool, args):
    """Returns a command line of a shell script.

    Args:
      tool: the Target of the tool.
      args: list of strings and Files.

    Returns:
      A string.
    """
    return " ".join([quote(a) for a in [tool[DefaultInfo].files_to_run.executable] + args])
