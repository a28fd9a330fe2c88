"""Finds clang and the system's headers on the machine that Bazel runs on."""

load(":cpus.bzl", "CPUS")
load(":toolchain.bzl", "MIN_CLANG", "TOOLCHAIN_TYPE", "version_numbers")

_MAX_CLANG = 30  # the newest name to try

_INSTALL = """Install clang %d or newer, libbpf's headers and the kernel's (Debian, Ubuntu: apt install clang libbpf-dev linux-libc-dev; \
Fedora: dnf install clang libbpf-devel kernel-headers; Alpine: apk add clang libbpf-dev linux-headers), or say where clang is with \
--repo_env=BPF_CLANG=/path/to/clang, or register a bpf_toolchain of your own. After installing: bazel fetch --force --configure, or bazel shutdown.""" % MIN_CLANG

# Where libc headers would be: what the kernel's UAPI headers include of them (linux/if.h: struct sockaddr).
_SOCKET_H = """\
/* What the kernel's UAPI headers need of a C library's sys/socket.h. BPF programs have no C library. */
#ifndef RULES_BPF_SYS_SOCKET_H
#define RULES_BPF_SYS_SOCKET_H

#include <linux/socket.h>

typedef __kernel_sa_family_t sa_family_t;

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

#endif
"""

# For a cpu whose asm/ is not on the machine: as much as linux/bpf.h and libbpf need. All Linux architectures of CPUS agree.
_ASM = {
    "bitsperlong.h": "#define __BITS_PER_LONG {bits}\n#include <asm-generic/bitsperlong.h>\n",
    "byteorder.h": "#include <linux/byteorder/{endian}_endian.h>\n",
    "errno.h": "#include <asm-generic/errno.h>\n",
    "ioctl.h": "#include <asm-generic/ioctl.h>\n",
    "param.h": "#include <asm-generic/param.h>\n",
    "posix_types.h": "#include <asm-generic/posix_types.h>\n",
    "socket.h": "#include <asm-generic/socket.h>\n",
    "sockios.h": "#include <asm-generic/sockios.h>\n",
    "swab.h": "#include <asm-generic/swab.h>\n",
    "types.h": "#include <asm-generic/types.h>\n",
}

# The compiler's headers that are of use without its machine's instructions.
_BUILTIN = ["__std*.h", "float.h", "inttypes.h", "iso646.h", "limits.h", "std*.h", "varargs.h"]

_HEADER = """\
# Made by rules_bpf from what is on this machine: {version}.
load("{defs}", "bpf_library")
load("{toolchain}", "bpf_toolchain", "missing_bpf_toolchain")
load("@platforms//host:constraints.bzl", "HOST_CONSTRAINTS")

package(default_visibility = ["//visibility:public"])

"""

_HEADERS = """\
bpf_library(
    name = "system",
    hdrs = glob({hdrs}, allow_empty = True),
    includes = {includes},
)

"""

_TOOLCHAIN = """\
bpf_library(
    name = "asm_{cpu}",
    hdrs = glob(["asm/{cpu}/**/*.h"]),
    includes = ["asm/{cpu}"],
)

bpf_toolchain(
    name = "bpf_{cpu}",
    clang_path = "{clang}",
    cpu = "{cpu}",
    version = "{version}",
    deps = [
        ":asm_{cpu}",
        ":system",
    ],
)

"""

_MISSING = """\
missing_bpf_toolchain(
    name = "bpf_{cpu}",
    cpu = "{cpu}",
    error = {error},
)

"""

_REGISTRATION = """\
toolchain(
    name = "toolchain_{cpu}",
    exec_compatible_with = HOST_CONSTRAINTS,
    target_compatible_with = ["{constraint}"],
    toolchain = ":bpf_{cpu}",
    toolchain_type = "{type}",
)

"""

def _version(rctx, clang):
    """Returns clang's version line, or None and why it cannot be used."""
    ran = rctx.execute([clang, "--version"])
    if ran.return_code != 0:
        return None, "%s does not run: %s" % (clang, (ran.stderr or ran.stdout).strip().split("\n")[0])
    line = ran.stdout.strip().split("\n")[0].strip()
    numbers = version_numbers(line)
    if "clang" not in line or not numbers:
        return None, "%s is not a clang: it says %r" % (clang, line)
    if numbers[0] < MIN_CLANG:
        return None, "%s is version %d, too old" % (clang, numbers[0])
    targets = rctx.execute([clang, "--print-targets"]).stdout
    if targets and "bpf" not in targets:
        return None, "%s was built without the BPF target" % clang
    return line, None

def _find_clang(rctx):
    """Returns a usable clang's path and version, or None, None and a list of what was looked at."""
    chosen = rctx.getenv("BPF_CLANG")
    if chosen:
        path = rctx.path(chosen) if chosen.startswith("/") else rctx.which(chosen)
        if not path or not path.exists:
            return None, None, ["BPF_CLANG=%s does not exist" % chosen]
        version, why = _version(rctx, path)
        return (path, version, []) if version else (None, None, ["BPF_CLANG: " + why])
    rejected = []
    for name in ["clang"] + ["clang-%d" % v for v in range(_MAX_CLANG, MIN_CLANG - 1, -1)]:
        path = rctx.which(name)
        if not path:
            continue
        version, why = _version(rctx, path)
        if version:
            return path, version, rejected
        rejected.append(why)
    return None, None, rejected or ["no clang on PATH"]

def _link(rctx, folder, name):
    """Shows a folder of the machine as `name`; returns whether it is there."""
    if not folder.exists:
        return False
    rctx.symlink(folder, name)
    return True

def _asm(rctx, sysroot, cpu):
    """Shows the asm/ of the cpu, or writes a small one."""
    c = CPUS[cpu]
    places = ["usr/include/%s/asm" % t for t in c.triplets]
    places.append("usr/lib/linux/uapi/%s/asm" % c.uapi)
    places.extend(["usr/%s/include/asm" % t for t in c.triplets])
    if rctx.os.arch in c.hosts:
        places.append("usr/include/asm")
    for place in places:
        if sysroot.get_child(place).get_child("types.h").exists:
            rctx.symlink(sysroot.get_child(place), "asm/%s/asm" % cpu)
            return
    for name, text in _ASM.items():
        rctx.file("asm/%s/asm/%s" % (cpu, name), text.format(bits = c.long_bits, endian = c.endian), executable = False)

def _headers(rctx, clang, sysroot):
    """Shows the headers that all cpus share; returns the bpf_library of them."""
    include = sysroot.get_child("usr/include")
    hdrs, includes = [], []
    if _link(rctx, include.get_child("bpf"), "libbpf/bpf"):
        hdrs.append("libbpf/bpf/*.h")
        includes.append("libbpf")
    for folder in ["linux", "asm-generic"]:
        if _link(rctx, include.get_child(folder), "uapi/" + folder):
            hdrs.append("uapi/%s/**/*.h" % folder)
    includes.append("uapi")
    builtin = rctx.execute([clang, "--print-resource-dir"]).stdout.strip()
    if builtin and _link(rctx, rctx.path(builtin).get_child("include"), "clang/include"):
        hdrs.extend(["clang/include/" + h for h in _BUILTIN])
        includes.append("clang/include")
    rctx.file("libc/sys/socket.h", _SOCKET_H, executable = False)
    hdrs.append("libc/sys/socket.h")
    includes.append("libc")
    return _HEADERS.format(hdrs = repr(hdrs), includes = repr(includes))

def _host_toolchains_impl(rctx):
    clang, version, rejected = _find_clang(rctx)
    error = None if clang else "no clang for BPF on this machine: %s. %s" % ("; ".join(rejected), _INSTALL)

    build = _HEADER.format(
        defs = Label("//private:library.bzl"),
        toolchain = Label("//private:toolchain.bzl"),
        version = version or "no clang",
    )
    sysroot = rctx.path(rctx.getenv("BPF_SYSROOT") or "/")
    if not error:
        build += _headers(rctx, clang, sysroot)
    for cpu, c in CPUS.items():
        if error:
            build += _MISSING.format(cpu = cpu, error = repr(error))
        else:
            _asm(rctx, sysroot, cpu)
            build += _TOOLCHAIN.format(clang = clang, cpu = cpu, version = version)
        build += _REGISTRATION.format(constraint = c.constraint, cpu = cpu, type = TOOLCHAIN_TYPE)
    rctx.file("BUILD.bazel", build.rstrip("\n") + "\n", executable = False)

host_toolchains = repository_rule(
    doc = "Toolchains around the clang of this machine, one a target cpu. See the extension `bpf`.",
    implementation = _host_toolchains_impl,
    configure = True,
    environ = ["BPF_CLANG", "BPF_SYSROOT", "PATH"],
    local = True,
)
