"""What the rules tell each other, for those who write rules of their own.

    load("@rules_bpf//:providers.bzl", "BpfObjectInfo")
"""

load(
    "//private:providers.bzl",
    _BpfLibraryInfo = "BpfLibraryInfo",
    _BpfLoaderInfo = "BpfLoaderInfo",
    _BpfObjectInfo = "BpfObjectInfo",
    _BpfSigningKeyInfo = "BpfSigningKeyInfo",
    _BpfToolchainInfo = "BpfToolchainInfo",
)

BpfLibraryInfo = _BpfLibraryInfo
BpfLoaderInfo = _BpfLoaderInfo
BpfObjectInfo = _BpfObjectInfo
BpfSigningKeyInfo = _BpfSigningKeyInfo
BpfToolchainInfo = _BpfToolchainInfo
