"""bpf_signing_key: a key that signs loaders."""

load(":providers.bzl", "BpfSigningKeyInfo")
load(":show.bzl", "show")

KINDS = ["development", "test", "production"]

CERTIFICATES = [".pem", ".der", ".crt", ".cer"]

_DOC = """A key that signs loaders: in files, or wherever a signer reaches it.

    bpf_signing_key(
        name = "ci_key",
        certificate = "ci.der",
        kind = "test",
        private_key = "ci.pem",
    )

Choose it for a whole build with `--@rules_bpf//signing:key=//path/to:ci_key`, or for one loader with the attribute
`signing_key` of `bpf_signed_loader`. A key in a file is for development and tests, for a file that a build reads is in the reach of
whatever the build runs. It may be encrypted:

    bpf_signing_key(
        name = "ci_key",
        certificate = "ci.der",
        kind = "test",
        passphrase_file = "/run/secrets/passphrase",
        private_key = "ci.pem",  # -----BEGIN ENCRYPTED PRIVATE KEY-----
    )

A production key is no file of the build. A signer reaches it, or it signs elsewhere and only its signatures come into the
build: see `signatures` of `bpf_signed_loader`.

    bpf_signing_key(
        name = "release_key",
        certificate = "release.der",
        env = ["PKCS11_MODULE"],
        kind = "production",
        signer = "//tools:pkcs11_signer",
        signer_key = "pkcs11:token=release;object=bpf?pin-source=/run/secrets/pin",
    )

A signer is a program that speaks a small protocol (docs/signer-protocol.md). It runs on the local machine, outside the sandbox
and with the network, and what it signed is kept in no cache. Of the environment it has `PATH` and the variables that `env`
names, each of which must be passed on by `--action_env=NAME`. Bazel passes such a variable to other actions as well, so let it
say where a secret is, not what it is."""

_ATTRS = {
    "certificate": attr.label(
        allow_single_file = CERTIFICATES,
        doc = "The certificate (X.509, DER or PEM) by which kernels know the key. It must have a SubjectKeyIdentifier.",
        mandatory = True,
    ),
    "env": attr.string_list(
        doc = "Names of environment variables that the signer needs. A build without `--action_env=NAME` for each of them fails.",
    ),
    "kind": attr.string(
        default = "test",
        doc = "What the key is for: `development` (anyone may have it; refused with `-c opt`), `test` or `production`. " +
              "`--@rules_bpf//signing:allowed_kinds` restricts a build to some kinds, and the runtime can do so on hosts.",
        values = KINDS,
    ),
    "passphrase_env": attr.string(
        doc = "Name of an environment variable with the passphrase of `private_key`; a build needs `--action_env=NAME` for it. Bazel passes " +
              "such a variable to other actions as well, and prints it with `--verbose_failures` and in execution logs: prefer `passphrase_file`.",
    ),
    "passphrase_file": attr.string(
        doc = "Absolute path of a file with the passphrase of `private_key`, on the machine that builds. It is no input: nothing keeps a copy.",
    ),
    "private_key": attr.label(
        allow_single_file = [".pem", ".key"],
        doc = "The private key (PEM), RSA or ECDSA. Only the signing action reads it, and it is never sent to a remote cache or executor. " +
              "Either this or `signer`; not for a production key.",
    ),
    "signer": attr.label(
        allow_files = True,
        cfg = "exec",
        doc = "The program that makes signatures, instead of `private_key`.",
        executable = True,
    ),
    "signer_args": attr.string_list(
        doc = "Arguments for the signer.",
    ),
    "signer_key": attr.string(
        doc = "The key's name, as the signer knows it. It is no secret: it is on the command line and in Bazel's logs.",
    ),
}

def _check_attributes(ctx):
    """Fails for attributes that do not go together."""

    def bad(format, *args):
        fail(("%s: " % show(ctx.label)) + format % args)

    if bool(ctx.file.private_key) == bool(ctx.attr.signer):
        bad("set either private_key or signer")
    for name in ["env", "signer_args", "signer_key"]:
        if getattr(ctx.attr, name) and not ctx.attr.signer:
            bad("%s is for a signer, and none is set", name)
    for name in ["passphrase_env", "passphrase_file"]:
        if getattr(ctx.attr, name) and not ctx.attr.private_key:
            bad("%s is for a private_key, and none is set", name)
    if ctx.attr.passphrase_env and ctx.attr.passphrase_file:
        bad("set either passphrase_env or passphrase_file")
    if ctx.attr.passphrase_file and not ctx.attr.passphrase_file.startswith("/"):
        bad("passphrase_file %r is not absolute: it is a path on the machine, and no file of the build", ctx.attr.passphrase_file)
    if ctx.attr.private_key and ctx.attr.kind == "production":
        bad("a production key is no file of the build, where other actions and caches may get at it: set signer instead of private_key, " +
            "or have it sign elsewhere and give bpf_signed_loader its signatures")

def _bpf_signing_key_impl(ctx):
    _check_attributes(ctx)
    return [
        # The certificate alone: whoever has the key in `data` by mistake does not ship its private half.
        DefaultInfo(files = depset([ctx.file.certificate])),
        BpfSigningKeyInfo(
            certificate = ctx.file.certificate,
            env = ctx.attr.env,
            kind = ctx.attr.kind,
            label = ctx.label,
            passphrase_env = ctx.attr.passphrase_env,
            passphrase_file = ctx.attr.passphrase_file,
            private_key = ctx.file.private_key,
            signer = ctx.attr.signer[DefaultInfo].files_to_run if ctx.attr.signer else None,
            signer_args = ctx.attr.signer_args,
            signer_key = ctx.attr.signer_key,
        ),
    ]

bpf_signing_key = rule(
    doc = _DOC,
    implementation = _bpf_signing_key_impl,
    attrs = _ATTRS,
    provides = [BpfSigningKeyInfo],
)
