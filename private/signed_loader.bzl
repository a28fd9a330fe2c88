"""bpf_signed_loader: an object file to a signed loader."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":providers.bzl", "BpfLoaderInfo", "BpfObjectInfo", "BpfSigningKeyInfo")
load(":show.bzl", "show")
load(":signing_key.bzl", "KINDS")

SCHEMES = ["map-hash", "payload"]

_KEY_FLAG = Label("//signing:key")
_KINDS_FLAG = Label("//signing:allowed_kinds")

_DOC = """Compiles an object to a loader program and signs it: `<name>.bpfl`, a bundle that `runtime.Load` and `bpfload` take.

    bpf_signed_loader(
        name = "execsnoop_loader",
        object = ":execsnoop_bpf",
    )

The kernel verifies the signature, then the loader makes the object's maps and loads its programs. One bundle holds a loader
for each of `schemes`, and the host's kernel decides which one is used.

The key is `signing_key`, by default what the flag `--@rules_bpf//signing:key=//your:key` says, by default an insecure
development key, which a build with `-c opt` refuses. The signing action runs on the local machine only, and neither its inputs
nor its output go to a remote cache.

Output groups: `unsigned`, the bundle before it was signed; `object`, the object file."""

_ATTRS = {
    "kconfig": attr.string_dict(
        doc = "Values of the object's kconfig externs, which a signed loader cannot take from the host: " +
              "`{\"CONFIG_HZ\": \"250\", \"CONFIG_BPF_LSM\": \"y\"}`.",
    ),
    "kernel_btf": attr.label(
        allow_single_file = True,
        doc = "The type information of a kernel (raw BTF, as in /sys/kernel/btf/vmlinux), for objects with `struct_ops` maps: " +
              "the layout of the kernel's types, where the loader cannot ask the host for it.",
    ),
    "object": attr.label(
        doc = "The `bpf_object`.",
        mandatory = True,
        providers = [BpfObjectInfo],
    ),
    "schemes": attr.string_list(
        allow_empty = False,
        default = SCHEMES,
        doc = "The attestation schemes to make loaders for: `map-hash` for kernels up to 7.2, `payload` from 7.3.",
    ),
    "signing_key": attr.label(
        default = _KEY_FLAG,
        doc = "The `bpf_signing_key` that signs.",
        providers = [BpfSigningKeyInfo],
    ),
    "_allowed_kinds": attr.label(
        default = _KINDS_FLAG,
        providers = [BuildSettingInfo],
    ),
    "_loadergen": attr.label(
        cfg = "exec",
        default = "//tools/loadergen",
        executable = True,
    ),
    "_signtool": attr.label(
        cfg = "exec",
        default = "//tools/signtool",
        executable = True,
    ),
}

def _flag(label):
    return "--" + show(label)

def _is_tool(ctx):
    # An executable that runs in the build is made with -c opt whatever the user said, and ships to nobody.
    return "-exec" in ctx.bin_dir.path

def _check_kind(ctx, key):
    allowed = ctx.attr._allowed_kinds[BuildSettingInfo].value
    for kind in allowed:
        if kind not in KINDS:
            fail("%s: no kind of key is called %r: use %s" % (_flag(_KINDS_FLAG), kind, ", ".join(KINDS)))
    if allowed:
        if key.kind not in allowed:
            fail("%s: %s is a %s key, and %s allows only %s: set %s=//your:key" % (
                show(ctx.label),
                show(key.label),
                key.kind,
                _flag(_KINDS_FLAG),
                ", ".join(allowed),
                _flag(_KEY_FLAG),
            ))
    elif key.kind == "development" and ctx.var["COMPILATION_MODE"] == "opt" and not _is_tool(ctx):
        fail("%s: a build with -c opt does not sign with the development key %s, which anyone has: set %s=//your:key, " % (
                 show(ctx.label),
                 show(key.label),
                 _flag(_KEY_FLAG),
             ) +
             "a bpf_signing_key of kind test or production")

def _generate(ctx, object):
    out = ctx.actions.declare_file(ctx.label.name + ".unsigned.bpfl")
    args = ctx.actions.args()
    args.add("-object", object)
    args.add("-out", out)
    args.add_joined("-scheme", ctx.attr.schemes, join_with = ",")
    args.add_all(["%s=%s" % item for item in sorted(ctx.attr.kconfig.items())], before_each = "-kconfig")
    if ctx.file.kernel_btf:
        args.add("-kernel-btf", ctx.file.kernel_btf)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._loadergen,
        inputs = [object] + ctx.files.kernel_btf,
        mnemonic = "BpfLoaderGen",
        outputs = [out],
        progress_message = "Generating loader %{output}",
    )
    return out

def _sign(ctx, key, unsigned):
    out = ctx.actions.declare_file(ctx.label.name + ".bpfl")
    args = ctx.actions.args()
    args.add("sign")
    args.add("-cert", key.certificate)
    args.add("-kind", key.kind)
    args.add("-in", unsigned)
    args.add("-out", out)

    # no-remote: neither executed nor cached remotely, so the key stays here. The disk cache keeps what was signed, as
    # the output tree does.
    requirements = {
        "no-remote": "1",
        "no-remote-cache": "1",
        "no-remote-exec": "1",
    }
    if key.signer:
        # A signer reaches devices, sockets and networks, and each signature is one that somebody counts.
        requirements |= {"local": "1", "no-cache": "1", "requires-network": "1"}
        path = key.signer.executable.path
        args.add("-signer", path if "/" in path else "./" + path)
        args.add_all(key.signer_args, before_each = "-signer-arg")
        args.add_all(["PATH"] + key.env, before_each = "-signer-env")
        if key.signer_key:
            args.add("-signer-key", key.signer_key)
    else:
        args.add("-key", key.private_key)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._signtool,
        execution_requirements = requirements,
        inputs = [f for f in [key.private_key, key.certificate, unsigned] if f],
        mnemonic = "BpfSign",
        outputs = [out],
        progress_message = "Signing %{output}",
        tools = [key.signer] if key.signer else [],
        # What --action_env passes on, of which signtool gives the signer what the key names.
        use_default_shell_env = bool(key.signer),
    )
    return out

def _bpf_signed_loader_impl(ctx):
    for scheme in ctx.attr.schemes:
        if scheme not in SCHEMES:
            fail("%s: schemes: %r is none of %s" % (show(ctx.label), scheme, ", ".join(SCHEMES)))
    if len({s: None for s in ctx.attr.schemes}) != len(ctx.attr.schemes):
        fail("%s: schemes: one is named twice" % show(ctx.label))
    key = ctx.attr.signing_key[BpfSigningKeyInfo]
    _check_kind(ctx, key)
    object = ctx.attr.object[BpfObjectInfo]
    unsigned = _generate(ctx, object.object)
    signed = _sign(ctx, key, unsigned)
    return [
        DefaultInfo(files = depset([signed])),
        OutputGroupInfo(
            object = depset([object.object]),
            unsigned = depset([unsigned]),
        ),
        BpfLoaderInfo(
            bundle = signed,
            key_kind = key.kind,
            object = object,
            schemes = ctx.attr.schemes,
            unsigned = unsigned,
        ),
    ]

bpf_signed_loader = rule(
    doc = _DOC,
    implementation = _bpf_signed_loader_impl,
    attrs = _ATTRS,
    provides = [BpfLoaderInfo],
)
