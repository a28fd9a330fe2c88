"""For those who bring their own clang: a toolchain for bpf_object.

    load("@rules_bpf//:toolchain.bzl", "BPF_CPUS", "bpf_toolchain")

    [bpf_toolchain(
        name = "bpf_" + cpu,
        clang = "@llvm//:clang",
        cpu = cpu,
        version = "21.1.8",
        deps = [":headers_" + cpu],
    ) for cpu in BPF_CPUS]

    [toolchain(
        name = "bpf_toolchain_" + cpu,
        target_compatible_with = [constraint],
        toolchain = ":bpf_" + cpu,
        toolchain_type = "@rules_bpf//toolchain:toolchain_type",
    ) for cpu, constraint in BPF_CPUS.items()]

and in MODULE.bazel

    register_toolchains("//path/to:all")
"""

load("//private:cpus.bzl", "CPUS")
load("//private:toolchain.bzl", _bpf_toolchain = "bpf_toolchain")

bpf_toolchain = _bpf_toolchain

# cpu -> the constraint that a toolchain for it is compatible with
BPF_CPUS = {cpu: c.constraint for cpu, c in CPUS.items()}
