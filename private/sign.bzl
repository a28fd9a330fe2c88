"""The actions that sign a bundle, or have it signed elsewhere: what bpf_signed_loader asks of signtool."""

load(":exec_groups.bzl", "SIGN")

def _run(ctx, args, inputs, outputs, mnemonic, message, signtool = None, **kwargs):
    ctx.actions.run(
        arguments = [args],
        executable = signtool or ctx.executable._signtool,
        inputs = inputs,
        mnemonic = mnemonic,
        outputs = outputs,
        progress_message = message + " %{output}",
        # Neither signtool nor a signer is of a toolchain, which Bazel wants to be told.
        toolchain = None,
        **kwargs
    )

def _signed(ctx):
    """Declares the signed bundle."""
    return ctx.actions.declare_file(ctx.label.name + ".bpfl")

def sign(ctx, key, bundle):
    """Adds a key's signature.

    Args:
      ctx: the rule's context.
      key: the BpfSigningKeyInfo.
      bundle: the bundle to sign.

    Returns:
      The signed bundle.
    """
    out = _signed(ctx)
    args = ctx.actions.args()
    args.add("sign")
    args.add("-cert", key.certificate)
    args.add("-kind", key.kind)
    args.add("-in", bundle)
    args.add("-out", out)
    if ctx.attr.at:
        args.add("-at", ctx.attr.at)

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
        if key.passphrase_file:
            # It is the machine's, no input: a sandbox might hide it.
            requirements |= {"no-sandbox": "1"}
            args.add("-passphrase-file", key.passphrase_file)
        if key.passphrase_env:
            args.add("-passphrase-env", key.passphrase_env)
    _run(
        ctx,
        args,
        inputs = [f for f in [key.private_key, key.certificate, bundle] if f],
        outputs = [out],
        mnemonic = "BpfSign",
        message = "Signing",
        exec_group = SIGN,
        execution_requirements = requirements,
        signtool = ctx.executable._local_signtool,
        tools = [key.signer] if key.signer else [],
        # What --action_env passes on, of which signtool takes what the key names.
        use_default_shell_env = bool(key.signer or key.passphrase_env),
    )
    return out

def attach(ctx, bundle):
    """Adds the signatures that the rule's attributes name. Without any it fails when it is run, and says what to do.

    Args:
      ctx: the rule's context.
      bundle: the bundle that they are of.

    Returns:
      The signed bundle.
    """
    out = _signed(ctx)
    args = ctx.actions.args()
    args.add("attach")
    args.add("-cert", ctx.file.certificate)
    args.add("-kind", ctx.attr.kind)
    args.add_all(ctx.files.signatures, before_each = "-signature")
    if ctx.file.manifest:
        args.add("-manifest", ctx.file.manifest)
    if ctx.attr.raw:
        args.add("-raw", ctx.attr.raw)
    if ctx.attr.at:
        args.add("-at", ctx.attr.at)
    args.add("-in", bundle)
    args.add("-out", out)
    _run(
        ctx,
        args,
        inputs = ctx.files.signatures + ctx.files.manifest + [ctx.file.certificate, bundle],
        outputs = [out],
        mnemonic = "BpfAttach",
        message = "Attaching signatures to",
    )
    return out

def tbs(ctx, bundle, schemes):
    """Writes the bytes to sign.

    Args:
      ctx: the rule's context.
      bundle: the bundle.
      schemes: the schemes that it has loaders for.

    Returns:
      A list of Files in one folder: a file for each scheme, and the manifest.
    """
    folder = ctx.label.name + ".tbs/"
    manifest = ctx.actions.declare_file(folder + "manifest.json")
    outputs = [ctx.actions.declare_file(folder + scheme + ".tbs") for scheme in schemes] + [manifest]
    args = ctx.actions.args()
    args.add("tbs")
    args.add("-in", bundle)
    args.add("-out", manifest.dirname)
    _run(ctx, args, inputs = [bundle], outputs = outputs, mnemonic = "BpfTBS", message = "Writing bytes to sign:")
    return outputs

def _material(file):
    # The name is the file's in the sources, whatever folder this build's outputs are in.
    return "%s=%s" % (file.short_path.replace("../", "external/", 1), file.path)

def provenance(ctx, bundle, object, kconfig, kernel_btf):
    """Writes the in-toto statement.

    Args:
      ctx: the rule's context.
      bundle: the bundle.
      object: the BpfObjectInfo that it was made from.
      kconfig: dict of the values of kconfig externs.
      kernel_btf: list with the kernel's type information, or empty.

    Returns:
      The statement.
    """
    out = ctx.actions.declare_file(ctx.label.name + ".intoto.json")
    materials = depset(kernel_btf, transitive = [object.sources])
    args = ctx.actions.args()
    args.add("provenance")

    # What ran, as it says itself, and not what the toolchain declares.
    args.add_all(object.debug_objects, before_each = "-compiled")
    args.add_all(object.flags, before_each = "-flag")
    args.add_all(["%s=%s" % item for item in sorted(kconfig.items())], before_each = "-kconfig")
    args.add_all(materials, before_each = "-material", map_each = _material)
    args.add("-in", bundle)
    args.add("-out", out)
    _run(
        ctx,
        args,
        inputs = depset([bundle] + object.debug_objects, transitive = [materials]),
        outputs = [out],
        mnemonic = "BpfProvenance",
        message = "Writing provenance",
    )
    return out
