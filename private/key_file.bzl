"""bpf_signing_key as users call it: the rule, and a key file that no other package can read."""

load(":signing_key.bzl", _bpf_signing_key = "bpf_signing_key")

def _only_this_package_may_read_the_key(name, private_key):
    """Makes a key file private to its package, whatever the package's default visibility is."""
    if type(private_key) == "select":
        fail(("bpf_signing_key %s: private_key is a select(), so its files cannot be made private to this package: " +
              "declare a bpf_signing_key for each, and select between those where you name a key") % name)
    label = native.package_relative_label(private_key)
    if (label.repo_name, label.package) != (native.package_relative_label(":x").repo_name, native.package_name()):
        return  # The rule rejects it.
    if native.existing_rule(label.name):
        fail("bpf_signing_key %s: private_key names the target :%s: name a file of this package" % (name, label.name))
    native.exports_files([label.name], visibility = ["//visibility:private"])  # Fails if another exports_files names the key: remove it there.

def bpf_signing_key(
        name,
        certificate,
        kind = "test",
        private_key = None,
        passphrase_file = None,
        passphrase_env = None,
        signer = None,
        signer_args = None,
        signer_key = None,
        env = None,
        **kwargs):
    """A key that signs loaders: in a file, or wherever a signer reaches it.

        bpf_signing_key(
            name = "ci_key",
            certificate = "ci.der",
            kind = "test",
            private_key = "ci.pem",
        )

    Choose it for a whole build with `--@rules_bpf//signing:key=//path/to:ci_key`, or for one loader with the attribute
    `signing_key` of `bpf_signed_loader`. A key in a file is for development and tests, because whatever the build runs may be able
    to read the file.

    Only the signing action has the key as an input. The file is private to its package, whatever `default_visibility` says, unless
    `kind` is `development`. An `exports_files` that names the key is an error: "visibility for exported file declared twice". Keep
    the key in a package with nothing else in it, since other targets of the same package can still name the file.

    The key may be encrypted:

        bpf_signing_key(
            name = "ci_key",
            certificate = "ci.der",
            kind = "test",
            passphrase_file = "/run/secrets/passphrase",
            private_key = "ci.pem",  # -----BEGIN ENCRYPTED PRIVATE KEY-----
        )

    A production key must not be a build input. A signer reaches it, or you sign elsewhere and only the signatures come into the
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
    and with network access, and no cache keeps its signatures. Its environment is `PATH` and the variables that `env`
    names, each of which must be passed on by `--action_env=NAME`. Bazel passes such a variable to other actions as well, so let it
    say where a secret is, not what it is.

    Args:
      name: the target's name.
      certificate: The certificate (X.509, DER or PEM) by which kernels know the key. It must have a SubjectKeyIdentifier.
      kind: What the key is for: `development` (anyone may have it; refused with `-c opt`), `test` or `production`.
        `--@rules_bpf//signing:allowed_kinds` restricts a build to some kinds, and the runtime can do so on hosts.
      private_key: The private key (PEM), RSA or ECDSA: a source file of this package. Only the signing action reads it, and it is never
        sent to a remote cache or executor. Either this or `signer`; not for a production key.
      passphrase_file: Absolute path of a file with the passphrase of `private_key`, on the machine that builds. It is not an input, so
        Bazel never copies it.
      passphrase_env: Name of an environment variable with the passphrase of `private_key`; a build needs `--action_env=NAME` for it. Bazel
        passes such a variable to other actions as well, and prints it with `--verbose_failures` and in execution logs: prefer
        `passphrase_file`.
      signer: The program that makes signatures, instead of `private_key`.
      signer_args: Arguments for the signer.
      signer_key: The key's name, as the signer knows it. It is not a secret: it is on the command line and in Bazel's logs.
      env: Names of environment variables that the signer needs. A build without `--action_env=NAME` for each of them fails.
      **kwargs: attributes of all rules, such as `tags`, `testonly`, `visibility`.
    """
    if private_key and kind != "development":
        _only_this_package_may_read_the_key(name, private_key)
    _bpf_signing_key(
        name = name,
        certificate = certificate,
        env = env,
        kind = kind,
        passphrase_env = passphrase_env,
        passphrase_file = passphrase_file,
        private_key = private_key,
        signer = signer,
        signer_args = signer_args,
        signer_key = signer_key,
        **kwargs
    )
