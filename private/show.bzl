"""Labels in messages."""

_SELF = Label("//:BUILD.bazel").repo_name

def show(label):
    """Returns a label as a user would write it, where that can be known.

    Args:
      label: a Label.

    Returns:
      A string.
    """
    if not label.repo_name:
        repo = ""
    elif label.repo_name == _SELF:
        repo = "@rules_bpf"
    else:
        repo = "@@" + label.repo_name  # buildifier: disable=canonical-repository
    return "%s//%s:%s" % (repo, label.package, label.name)
