"""bpf_signed_loader: an object file to a signed loader."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":exec_groups.bzl", "LOCAL", "SIGN")
load(":providers.bzl", "BpfLoaderInfo", "BpfObjectInfo", "BpfSigningKeyInfo")
load(":show.bzl", "show")
load(":sign.bzl", "attach", "provenance", "sign", "tbs")
load(":signing_key.bzl", "CERTIFICATES", "KINDS")

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
nor its output go to a remote cache. A Go package that embeds the signed bundle may, which gives nothing away.

`signtool` and a signer are built for the machine that runs Bazel, even when remote platforms of another CPU are registered first: the
action is in the execution group `sign`, which takes an execution platform with this machine's CPU and OS. Bazel adds the host platform
to the execution platforms itself. If you set `--host_platform` to a remote platform of another kind, register `@platforms//host` too.

Signatures that were made elsewhere, by a key that no build gets at, go in with `signatures`, once they are verified to be of
these bytes:

    bpf_signed_loader(
        name = "execsnoop_loader",
        certificate = "//keys:release.der",
        kind = "production",
        manifest = "ceremony/manifest.json",
        object = ":execsnoop_bpf",
        signatures = glob(["ceremony/*.p7s"], allow_empty = True),
    )

While there are none, `--output_groups=tbs` builds the bytes to sign, and all that needs the bundle itself fails.

Signatures add up: with `loader` instead of `object`, those of another `bpf_signed_loader` are kept and this one's are added, as
when a new key takes an old one's place. docs/signing.md shows all of it, step by step.

Whatever generates a loader also proves that its instructions act on nothing but what is signed (docs/audit.md). A loader that fails the
audit is not written, so nothing can sign it.

Output groups: `tbs`, the exact bytes to sign for each scheme, and a manifest with their digests; `provenance`, an in-toto statement of
what the bundle was made from; `audit`, the findings of the audit; `unsigned`, the bundle before it was signed; `object`, the object file."""

_ATTRS = {
    "at": attr.string(
        doc = "When the certificate must be valid, as `2026-01-01T00:00:00Z`; by default when it is built. For building old releases again " +
              "whose certificate has expired since.",
    ),
    "certificate": attr.label(
        allow_single_file = CERTIFICATES,
        doc = "The certificate of the key that made `signatures`, or that is to make them.",
    ),
    "kconfig": attr.string_dict(
        doc = "Values of the object's kconfig externs, which a signed loader cannot take from the host: " +
              "`{\"CONFIG_HZ\": \"250\", \"CONFIG_BPF_LSM\": \"y\"}`.",
    ),
    "kernel_btf": attr.label(
        allow_single_file = True,
        doc = "The type information of a kernel (raw BTF, as in /sys/kernel/btf/vmlinux), for objects with `struct_ops` maps: " +
              "the layout of the kernel's types, where the loader cannot ask the host for it.",
    ),
    "kind": attr.string(
        doc = "What the key that made `signatures` is for: `development`, `test` or `production`.",
        values = [""] + KINDS,
    ),
    "loader": attr.label(
        doc = "Another `bpf_signed_loader`, instead of `object`: its bundle gets a further signature.",
        providers = [BpfLoaderInfo],
    ),
    "manifest": attr.label(
        allow_single_file = [".json"],
        doc = "The manifest that came with the bytes that `signatures` are of: should they be of other bytes, the error says what has " +
              "changed since.",
    ),
    "object": attr.label(
        doc = "The `bpf_object`. Either this or `loader`.",
        providers = [BpfObjectInfo],
    ),
    "raw": attr.string(
        doc = "`signatures` are raw values over digests by this algorithm, as hardware modules give them, and not CMS.",
        values = ["", "sha256", "sha384", "sha512"],
    ),
    "schemes": attr.string_list(
        allow_empty = False,
        default = SCHEMES,
        doc = "The attestation schemes to make loaders for: `map-hash` for kernels up to 7.2, `payload` from 7.3.",
    ),
    "signatures": attr.label_list(
        allow_files = True,
        doc = "Signatures of the files in output group `tbs`, one for each scheme, instead of a key: CMS in DER, as `signtool sign-tbs` and " +
              "`openssl cms` make them. One that is not of these very bytes by `certificate`'s key fails the build.",
    ),
    "signing_key": attr.label(
        doc = "The `bpf_signing_key` that signs, by default the one that `--@rules_bpf//signing:key` names.",
        providers = [BpfSigningKeyInfo],
    ),
    "_allowed_kinds": attr.label(
        default = _KINDS_FLAG,
        providers = [BuildSettingInfo],
    ),
    "_default_key": attr.label(
        default = _KEY_FLAG,
        providers = [BpfSigningKeyInfo],
    ),
    "_local_signtool": attr.label(
        cfg = config.exec(SIGN),
        default = "//private:signtool",
        executable = True,
    ),
    "_loadergen": attr.label(
        cfg = "exec",
        default = "//private:loadergen",
        executable = True,
    ),
    "_signtool": attr.label(
        cfg = "exec",
        default = "//private:signtool",
        executable = True,
    ),
}

def _flag(label):
    return "--" + show(label)

def _is_tool(ctx):
    # An executable that runs in the build is made with -c opt whatever the user said, and ships to nobody.
    return "-exec" in ctx.bin_dir.path

def _check_kind(ctx, kind, key):
    """Fails if the build does not allow keys of a kind; key names it."""
    allowed = ctx.attr._allowed_kinds[BuildSettingInfo].value
    for k in allowed:
        if k not in KINDS:
            fail("%s: no kind of key is called %r: use %s" % (_flag(_KINDS_FLAG), k, ", ".join(KINDS)))
    if allowed:
        if kind not in allowed:
            fail("%s: %s is a %s key, and %s allows only %s: set %s=//your:key" % (
                show(ctx.label),
                key,
                kind,
                _flag(_KINDS_FLAG),
                ", ".join(allowed),
                _flag(_KEY_FLAG),
            ))
    elif kind == "development" and ctx.var["COMPILATION_MODE"] == "opt" and not _is_tool(ctx):
        fail("%s: a build with -c opt does not sign with the development key %s, which anyone has: set %s=//your:key, " % (
                 show(ctx.label),
                 key,
                 _flag(_KEY_FLAG),
             ) +
             "a bpf_signing_key of kind test or production")

def _check_attributes(ctx):
    """Fails for attributes that do not go together."""

    def bad(format, *args):
        fail(("%s: " % show(ctx.label)) + format % args)

    if bool(ctx.attr.object) == bool(ctx.attr.loader):
        bad("set either object or loader")
    if ctx.attr.loader:
        for name in ["kconfig", "kernel_btf"]:
            if getattr(ctx.attr, name):
                bad("%s is for an object: set it on %s", name, show(ctx.attr.loader.label))
        if ctx.attr.schemes != SCHEMES:
            bad("schemes is for an object: set it on %s", show(ctx.attr.loader.label))
    for scheme in ctx.attr.schemes:
        if scheme not in SCHEMES:
            bad("schemes: %r is none of %s", scheme, ", ".join(SCHEMES))
    if len({s: None for s in ctx.attr.schemes}) != len(ctx.attr.schemes):
        bad("schemes: one is named twice")
    if ctx.attr.certificate:
        if ctx.attr.signing_key:
            bad("set either signing_key, or certificate and signatures; for signatures by two keys, name in loader the target that has the first")
        if not ctx.attr.kind:
            bad("set kind: what the certificate's key is for")
    else:
        for name in ["kind", "manifest", "raw", "signatures"]:
            if getattr(ctx.attr, name):
                bad("%s goes with certificate, that of the key that signed, and there is none", name)

def _generate(ctx, object):
    """Compiles an object to an unsigned bundle, and returns what is known of it."""
    unsigned = ctx.actions.declare_file(ctx.label.name + ".unsigned.bpfl")
    audit = ctx.actions.declare_file(ctx.label.name + ".audit.json")
    args = ctx.actions.args()
    args.add("-object", object.object)
    args.add("-out", unsigned)
    args.add("-audit", audit)
    args.add_joined("-scheme", ctx.attr.schemes, join_with = ",")
    args.add_all(["%s=%s" % item for item in sorted(ctx.attr.kconfig.items())], before_each = "-kconfig")
    if ctx.file.kernel_btf:
        args.add("-kernel-btf", ctx.file.kernel_btf)
    ctx.actions.run(
        arguments = [args],
        executable = ctx.executable._loadergen,
        inputs = [object.object] + ctx.files.kernel_btf,
        mnemonic = "BpfLoaderGen",
        outputs = [unsigned, audit],
        progress_message = "Generating loader %{output}",
    )
    return struct(
        audit = audit,
        bundle = unsigned,
        key_kinds = [],
        object = object,
        provenance = provenance(ctx, unsigned, object, ctx.attr.kconfig, ctx.files.kernel_btf),
        schemes = ctx.attr.schemes,
        tbs = tbs(ctx, unsigned, ctx.attr.schemes),
        unsigned = unsigned,
    )

def _bpf_signed_loader_impl(ctx):
    _check_attributes(ctx)
    key = None if ctx.attr.certificate else (ctx.attr.signing_key or ctx.attr._default_key)[BpfSigningKeyInfo]
    kind = key.kind if key else ctx.attr.kind
    _check_kind(ctx, kind, show(key.label) if key else "that of %s" % show(ctx.attr.certificate.label))
    base = ctx.attr.loader[BpfLoaderInfo] if ctx.attr.loader else _generate(ctx, ctx.attr.object[BpfObjectInfo])
    signed = sign(ctx, key, base.bundle) if key else attach(ctx, base.bundle)
    return [
        DefaultInfo(files = depset([signed])),
        OutputGroupInfo(
            # A loader that another one is made of has audited itself.
            audit = depset([] if ctx.attr.loader else [base.audit]),
            object = depset([base.object.object]),
            provenance = depset([base.provenance]),
            tbs = depset(base.tbs),
            unsigned = depset([base.unsigned]),
        ),
        BpfLoaderInfo(
            bundle = signed,
            key_kinds = base.key_kinds + [kind],
            object = base.object,
            provenance = base.provenance,
            schemes = base.schemes,
            tbs = base.tbs,
            unsigned = base.unsigned,
        ),
    ]

bpf_signed_loader = rule(
    doc = _DOC,
    implementation = _bpf_signed_loader_impl,
    attrs = _ATTRS,
    exec_groups = {SIGN: LOCAL},
    provides = [BpfLoaderInfo],
)
