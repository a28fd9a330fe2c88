"""bpf_signing_key: a key that signs loaders."""

load(":providers.bzl", "BpfSigningKeyInfo")

KINDS = ["development", "test", "production"]

_DOC = """A key that signs loaders, in files.

    bpf_signing_key(
        name = "ci_key",
        certificate = "ci.der",
        kind = "test",
        private_key = "ci.pem",
    )

Choose it for a whole build with `--@rules_bpf//signing:key=//path/to:ci_key`, or for one loader with the attribute
`signing_key` of `bpf_signed_loader`. Keep a production key out of the repository."""

_ATTRS = {
    "certificate": attr.label(
        allow_single_file = [".pem", ".der", ".crt", ".cer"],
        doc = "The certificate (X.509, DER or PEM) by which kernels know the key. It must have a SubjectKeyIdentifier.",
        mandatory = True,
    ),
    "kind": attr.string(
        default = "test",
        doc = "What the key is for: `development` (anyone may have it; refused with `-c opt`), `test` or `production`. " +
              "`--@rules_bpf//signing:allowed_kinds` restricts a build to some kinds, and the runtime can do so on hosts.",
        values = KINDS,
    ),
    "private_key": attr.label(
        allow_single_file = [".pem", ".key"],
        doc = "The private key (PEM), RSA or ECDSA. Only the signing action reads it, and it is never sent to a remote cache or executor.",
        mandatory = True,
    ),
}

def _bpf_signing_key_impl(ctx):
    return [
        # The certificate alone: whoever has the key in `data` by mistake does not ship its private half.
        DefaultInfo(files = depset([ctx.file.certificate])),
        BpfSigningKeyInfo(
            certificate = ctx.file.certificate,
            kind = ctx.attr.kind,
            label = ctx.label,
            private_key = ctx.file.private_key,
        ),
    ]

bpf_signing_key = rule(
    doc = _DOC,
    implementation = _bpf_signing_key_impl,
    attrs = _ATTRS,
    provides = [BpfSigningKeyInfo],
)
