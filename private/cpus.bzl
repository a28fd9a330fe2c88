"""The target architectures: what a BPF program must know of the machine that it will run on."""

# cpu -> how clang, the kernel's headers and Bazel's platforms name it.
#   constraint   the value of @platforms//cpu
#   endian       "little" (-target bpfel) or "big" (-target bpfeb)
#   target_arch  the X of __TARGET_ARCH_X, which libbpf's bpf_tracing.h reads
#   triplets     names of the architecture's folder in /usr/include and /usr, most likely first
#   uapi         its folder in /usr/lib/linux/uapi
#   long_bits    the size of its long, in bits
#   hosts        what repository_ctx.os.arch says on it
CPUS = {
    "aarch32": struct(
        constraint = "@platforms//cpu:aarch32",
        endian = "little",
        target_arch = "arm",
        triplets = ["arm-linux-gnueabihf", "arm-linux-gnueabi", "arm-linux-gnu"],
        uapi = "arm",
        long_bits = 32,
        hosts = ["arm"],
    ),
    "aarch64": struct(
        constraint = "@platforms//cpu:aarch64",
        endian = "little",
        target_arch = "arm64",
        triplets = ["aarch64-linux-gnu", "aarch64-linux-musl"],
        uapi = "arm64",
        long_bits = 64,
        hosts = ["aarch64", "arm64"],
    ),
    "armv7": struct(
        constraint = "@platforms//cpu:armv7",
        endian = "little",
        target_arch = "arm",
        triplets = ["arm-linux-gnueabihf", "arm-linux-gnueabi", "arm-linux-gnu"],
        uapi = "arm",
        long_bits = 32,
        hosts = ["armv7l"],
    ),
    "i386": struct(
        constraint = "@platforms//cpu:i386",
        endian = "little",
        target_arch = "x86",
        triplets = ["i386-linux-gnu", "i686-linux-gnu"],
        uapi = "x86",
        long_bits = 32,
        hosts = ["i386", "i686", "x86"],
    ),
    "loongarch64": struct(
        constraint = "@platforms//cpu:loongarch64",
        endian = "little",
        target_arch = "loongarch",
        triplets = ["loongarch64-linux-gnu"],
        uapi = "loongarch",
        long_bits = 64,
        hosts = ["loongarch64"],
    ),
    "ppc64le": struct(
        constraint = "@platforms//cpu:ppc64le",
        endian = "little",
        target_arch = "powerpc",
        triplets = ["powerpc64le-linux-gnu", "ppc64le-linux-gnu"],
        uapi = "powerpc",
        long_bits = 64,
        hosts = ["ppc64le"],
    ),
    "riscv64": struct(
        constraint = "@platforms//cpu:riscv64",
        endian = "little",
        target_arch = "riscv",
        triplets = ["riscv64-linux-gnu"],
        uapi = "riscv",
        long_bits = 64,
        hosts = ["riscv64"],
    ),
    "s390x": struct(
        constraint = "@platforms//cpu:s390x",
        endian = "big",
        target_arch = "s390",
        triplets = ["s390x-linux-gnu"],
        uapi = "s390",
        long_bits = 64,
        hosts = ["s390x"],
    ),
    "x86_32": struct(
        constraint = "@platforms//cpu:x86_32",
        endian = "little",
        target_arch = "x86",
        triplets = ["i386-linux-gnu", "i686-linux-gnu"],
        uapi = "x86",
        long_bits = 32,
        hosts = ["i386", "i686", "x86"],
    ),
    "x86_64": struct(
        constraint = "@platforms//cpu:x86_64",
        endian = "little",
        target_arch = "x86",
        triplets = ["x86_64-linux-gnu", "x86_64-linux-musl"],
        uapi = "x86",
        long_bits = 64,
        hosts = ["amd64", "x86_64"],
    ),
}
