"""Execution groups: which machine a rule's tools are built for, where it is not the one that compiles."""

load("@platforms//host:constraints.bzl", "HOST_CONSTRAINTS")

# The machine that runs Bazel. A signature is made there, since the key, the token or the service is within its reach only, and so is
# what `bazel run` starts. By default, tools are built for the first execution platform, which may be a remote one of another CPU.
LOCAL = exec_group(exec_compatible_with = HOST_CONSTRAINTS)

# The name of the group in rules that sign.
SIGN = "sign"

# The machine that runs a test. Bazel 9 requires it to match the target platform unless the rule declares the group: these tests inspect
# files, so any machine will do, whatever the files are for.
TEST = "test"
TEST_EXEC_GROUPS = {TEST: exec_group()}
