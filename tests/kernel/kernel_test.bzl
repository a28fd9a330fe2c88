"""`kernel_test`: the tests in //tests/kernel/guest, run in a virtual machine with a Debian kernel."""

load("@rules_go//go:def.bzl", "go_test")

def kernel_test(name, series, data = [], guest = "//tests/kernel/guest:guest_amd64_test", tags = [], **kwargs):
    """Boots a kernel and runs the guest's tests in it.

    Args:
        name: The target's name.
        series: The kernel's series, one of those in kernels.bzl.
        data: Files that the guest's tests find in /data, by their base names.
        guest: The guest's test binary, for the kernel's architecture.
        tags: The target's tags.
        **kwargs: Further attributes of the go_test.
    """
    release = "@debian_kernels//:%s/release" % series
    go_test(
        name = name,
        size = "medium",
        timeout = "long",
        srcs = [
            "bundles_test.go",
            "kernel_test.go",
            "tools_test.go",
        ],
        data = [
            release,
            "@debian_kernels//:" + series,
            "//docs:kernels.md",
            "//internal/object:testdata",
            "//signing:development_cert.der",
            "//signing:development_key.pem",
            guest,
        ] + native.glob(["testdata/**"], allow_empty = True) + data,
        env = {
            "RULES_BPF_TEST_DATA": " ".join(["$(rlocationpaths %s)" % d for d in data]),
            "RULES_BPF_TEST_GUEST": "$(rlocationpath %s)" % guest,
            "RULES_BPF_TEST_KERNEL": "$(rlocationpath %s)" % release,
        },
        # Whether a missing kernel is a failure or a skip.
        env_inherit = ["CI"],
        tags = tags + ["cpu:1"],
        deps = [
            "//bundle",
            "//internal/certs",
            "//internal/loader",
            "//internal/object",
            "//internal/signing",
            "//tests/internal/vm",
            "//tests/internal/vm/guest",
            "//tests/attack/matrix",
        ],
        **kwargs
    )
