"""The rules: BPF C to an object, to a signed loader, to a Go package; and tests of loaders.

    load("@rules_bpf//:defs.bzl", "bpf_go_library", "bpf_library", "bpf_object", "bpf_signed_loader", "bpf_signing_key")

Definitions outside this file, //:providers.bzl, //:toolchain.bzl and //:extensions.bzl are private.
"""

load("//private:audit_test.bzl", _bpf_loader_audit_test = "bpf_loader_audit_test")
load("//private:go_library.bzl", _bpf_go_library = "bpf_go_library")
load("//private:golden_test.bzl", _bpf_loader_golden_test = "bpf_loader_golden_test")
load("//private:key_file.bzl", _bpf_signing_key = "bpf_signing_key")
load("//private:library.bzl", _bpf_library = "bpf_library")
load("//private:object.bzl", _bpf_object = "bpf_object")
load("//private:signed_loader.bzl", _bpf_signed_loader = "bpf_signed_loader")
load("//private:verify_test.bzl", _bpf_loader_verify_test = "bpf_loader_verify_test")
load("//private:vmlinux_header.bzl", _bpf_vmlinux_header = "bpf_vmlinux_header")

bpf_go_library = _bpf_go_library
bpf_library = _bpf_library
bpf_loader_audit_test = _bpf_loader_audit_test
bpf_loader_golden_test = _bpf_loader_golden_test
bpf_loader_verify_test = _bpf_loader_verify_test
bpf_object = _bpf_object
bpf_signed_loader = _bpf_signed_loader
bpf_signing_key = _bpf_signing_key
bpf_vmlinux_header = _bpf_vmlinux_header
