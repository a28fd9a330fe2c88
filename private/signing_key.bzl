"""The rule behind bpf_signing_key: //private:key_file.bzl has the macro that users call, and the documentation."""

load(":exec_groups.bzl", "LOCAL", "SIGN")
load(":providers.bzl", "BpfSigningKeyInfo")
load(":show.bzl", "show")

KINDS = ["development", "test", "production"]

CERTIFICATES = [".pem", ".der", ".crt", ".cer"]

# Documented by the macro.
_ATTRS = {
    "certificate": attr.label(allow_single_file = CERTIFICATES, mandatory = True),
    "env": attr.string_list(),
    "kind": attr.string(default = "test", values = KINDS),
    "passphrase_env": attr.string(),
    "passphrase_file": attr.string(),
    "private_key": attr.label(allow_single_file = [".pem", ".key"]),
    "signer": attr.label(allow_files = True, cfg = config.exec(SIGN), executable = True),
    "signer_args": attr.string_list(),
    "signer_key": attr.string(),
}

def _check_file(key, label, bad):
    """Fails for a key that more than its own package can read."""
    if not key.is_source:
        bad("private_key: %s is made by the build, so outputs and caches hold it: name a source file of this package", show(key.owner))
    if (key.owner.repo_name, key.owner.package) != (label.repo_name, label.package):
        bad("private_key: %s is a file of another package, so more than its own package can read it: put bpf_signing_key into that package, " +
            "and let loaders name the target", show(key.owner))

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
        bad("a production key must not be a build input, where other actions and caches could read it: set signer instead of private_key, " +
            "or sign elsewhere and give bpf_signed_loader the signatures")
    if ctx.file.private_key:
        _check_file(ctx.file.private_key, ctx.label, bad)

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
    doc = "A key that signs loaders.",
    implementation = _bpf_signing_key_impl,
    attrs = _ATTRS,
    exec_groups = {SIGN: LOCAL},
    provides = [BpfSigningKeyInfo],
)
