"""The providers of all rules; //:providers.bzl is where users load them from."""

BpfLibraryInfo = provider(
    doc = "Headers for BPF C, with all that they need themselves.",
    fields = {
        "defines": "depset of strings: macros, `NAME` or `NAME=VALUE`, that whoever includes the headers must define.",
        "headers": "depset of Files: the headers, own and of the deps.",
        "includes": "depset of strings: folders to search for `#include <...>` and `\"...\"`, relative to the execution root.",
        "quote_includes": "depset of strings: folders to search for `#include \"...\"` only: the roots of the repositories.",
        "system_includes": "depset of strings: folders to search after all others, and whose headers give no warnings.",
    },
)

BpfObjectInfo = provider(
    doc = "A BPF object file: ELF, with BTF. With DWARF, if it was compiled from one source.",
    fields = {
        "compiler": "string: the compiler's name and version, as the toolchain declares them.",
        "debug_objects": "list of Files: what the compiler wrote for each source, with DWARF, for llvm-objdump.",
        "endian": "string: byte order, `little` or `big`.",
        "flags": "list of strings: the compiler's flags, less those that say where folders are on one machine.",
        "object": "File: the object.",
        "sources": "depset of Files: the sources and the headers that they may include, less the system's.",
        "target_arch": "string: the X of `__TARGET_ARCH_X`, the kernel's architecture for which the object was compiled.",
    },
)

BpfLoaderInfo = provider(
    doc = "A signed loader: the bundle that runtime.Load and bpfload take.",
    fields = {
        "bundle": "File: the signed bundle (.bpfl).",
        "key_kinds": "list of strings: the kinds of the keys that signed, `development`, `test` or `production`.",
        "object": "BpfObjectInfo: what the loader was compiled from.",
        "provenance": "File: the in-toto statement (JSON) of what the bundle was made from.",
        "schemes": "list of strings: the attestation schemes that the bundle holds loaders for.",
        "tbs": "list of Files in one folder: the bytes to sign of each scheme, and their manifest.",
        "unsigned": "File: the bundle before it was signed.",
    },
)

BpfSigningKeyInfo = provider(
    doc = "A key that signs loaders: a private key in a file, or a signer. Only the signing action may have the private half as its input.",
    fields = {
        "certificate": "File: the certificate (X.509, DER or PEM) by which kernels know the key.",
        "env": "list of strings: names of the environment variables that the signer gets.",
        "kind": "string: what the key is for, `development`, `test` or `production`.",
        "label": "Label: the bpf_signing_key target, for messages.",
        "passphrase_env": "string: name of the environment variable with its passphrase, or empty.",
        "passphrase_file": "string: absolute path of the file with its passphrase, or empty.",
        "private_key": "File: the private key (PEM), or None.",
        "signer": "FilesToRunProvider: the program that signs, or None.",
        "signer_args": "list of strings: its arguments.",
        "signer_key": "string: the key's name, as the signer knows it.",
    },
)

BpfToolchainInfo = provider(
    doc = "What compiles BPF C for one target architecture.",
    fields = {
        "clang": "string: the compiler's path: absolute, or relative to the execution root.",
        "copts": "list of strings: flags for each compilation, before the target's own.",
        "cpu": "string: the target's cpu as `@platforms//cpu` names it.",
        "endian": "string: the target's byte order, `little` or `big`.",
        "env": "dict of strings: the tools' environment. It holds the compiler's version, so that caches tell two apart.",
        "error": "string: why this toolchain cannot be used, or empty.",
        "headers": "BpfLibraryInfo: the system's headers: libbpf's, the kernel's UAPI, the compiler's own.",
        "target_arch": "string: the X of `__TARGET_ARCH_X`.",
        "tools": "depset of Files: what the tools are made of, where they are labels.",
        "version": "string: the compiler's version.",
        "version_check": "File: a header that every compilation includes, which fails a compiler of another version.",
    },
)
