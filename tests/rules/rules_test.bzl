"""Analysis tests: providers, actions and errors of the rules."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//:providers.bzl", "BpfLibraryInfo", "BpfLoaderInfo", "BpfObjectInfo", "BpfSigningKeyInfo")

_MODE = "//command_line_option:compilation_mode"
_PLATFORMS = "//command_line_option:platforms"
_TOOLCHAINS = "//command_line_option:extra_toolchains"
_EXEC_PLATFORMS = "//command_line_option:extra_execution_platforms"
_KEY = str(Label("//signing:key"))
_KINDS = str(Label("//signing:allowed_kinds"))

def _here(name):
    return str(Label("//tests/rules:" + name))

def _action(env, mnemonic):
    found = [a for a in analysistest.target_actions(env) if a.mnemonic == mnemonic]
    asserts.equals(env, 1, len(found), "actions of mnemonic " + mnemonic)
    return found[0]

def _names(files):
    return sorted([f.basename for f in files])

# bpf_library

def _library_impl(ctx):
    env = analysistest.begin(ctx)
    info = analysistest.target_under_test(env)[BpfLibraryInfo]
    asserts.equals(env, ["base.h", "shared.h"], _names(info.headers.to_list()))
    asserts.equals(env, ["SHARED_DEFINE=2"], info.defines.to_list())
    asserts.true(env, "tests/rules/testdata/base" in info.includes.to_list(), "the includes of deps are missing")
    return analysistest.end(env)

_library_test = analysistest.make(_library_impl)

# bpf_object

def _object_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[BpfObjectInfo]
    asserts.equals(env, "headers.bpf.o", info.object.basename)
    asserts.equals(env, [info.object], target[DefaultInfo].files.to_list())
    asserts.equals(env, ctx.attr.endian, info.endian)
    asserts.equals(env, ctx.attr.arch, info.target_arch)

    compile = _action(env, "BpfCompile")
    target_name = "bpfeb" if ctx.attr.endian == "big" else "bpfel"
    for flag in [target_name, "-D__TARGET_ARCH_" + ctx.attr.arch, "-mcpu=v3", "-g", "-O2", "-nostdinc", "-DSHARED_DEFINE=2"]:
        asserts.true(env, flag in compile.argv, "no %s among the compiler's flags %s" % (flag, compile.argv))
    asserts.equals(env, [], [a for a in compile.argv if a.startswith("/usr/include")], "folders of the machine are searched")

    inputs = _names(compile.inputs.to_list())
    for header in ["own.h", "shared.h", "base.h", "generated.h", "bpf_helpers.h"]:
        asserts.true(env, header in inputs, header + " is no input")
    asserts.false(env, "unrelated.h" in inputs, "a header that no deps name is an input")
    asserts.equals(env, ["headers.stripped.bpf.o"], _names(target[OutputGroupInfo].stripped.to_list()))
    return analysistest.end(env)

def _object_test(platform):
    return analysistest.make(
        _object_impl,
        attrs = {"arch": attr.string(), "endian": attr.string()},
        config_settings = {_PLATFORMS: _here(platform)},
    )

_object_x86_64_test = _object_test("linux_x86_64")
_object_arm64_test = _object_test("linux_arm64")
_object_armv7_test = _object_test("linux_armv7")
_object_s390x_test = _object_test("linux_s390x")

# bpf_vmlinux_header

def _vmlinux_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    header = target[DefaultInfo].files.to_list()[0]
    asserts.equals(env, "vmlinux.h", header.basename)
    info = target[BpfLibraryInfo]
    asserts.equals(env, [header], info.headers.to_list())
    asserts.equals(env, [header.dirname], info.includes.to_list())
    asserts.equals(env, [ctx.attr.btf], _names([
        f
        for f in _action(env, "BpfVmlinuxHeader").inputs.to_list()
        if f.extension in ["o", "btf"]
    ]))
    return analysistest.end(env)

_vmlinux_test = analysistest.make(_vmlinux_impl, attrs = {"btf": attr.string()})

# A toolchain that a user registers comes before the machine's: with it, nothing of the machine is used.

def _own_toolchain_impl(ctx):
    env = analysistest.begin(ctx)
    info = analysistest.target_under_test(env)[BpfObjectInfo]
    asserts.equals(env, "clang 99.0.1", info.compiler)
    compile = _action(env, "BpfCompile")
    asserts.equals(env, "tests/rules/testdata/own_clang", compile.argv[0])
    asserts.equals(env, {"BPF_CLANG_VERSION": "99.0.1"}, compile.env)
    asserts.equals(env, [info.object], compile.outputs.to_list(), "the loader is not made of what the compiler wrote")
    asserts.true(env, "-DOWN" in compile.argv, "no flags of the toolchain")
    asserts.equals(env, ["base.h", "objects.bpf.c", "own_bpf.version.h", "own_clang"], _names(compile.inputs.to_list()))
    asserts.equals(env, ["tests/rules/testdata/base"], [
        compile.argv[i + 1]
        for i in range(len(compile.argv))
        if compile.argv[i] == "-idirafter"
    ])
    return analysistest.end(env)

_own_toolchain_test = analysistest.make(
    _own_toolchain_impl,
    config_settings = {_TOOLCHAINS: [_here("own_toolchain")]},
)

# bpf_signed_loader

def _loader_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[BpfLoaderInfo]
    asserts.equals(env, "objects_loader.bpfl", info.bundle.basename)
    asserts.equals(env, [info.bundle], target[DefaultInfo].files.to_list())
    asserts.equals(env, [info.unsigned], target[OutputGroupInfo].unsigned.to_list())
    asserts.equals(env, [info.object.object], target[OutputGroupInfo].object.to_list())
    asserts.equals(env, ["map-hash", "payload"], info.schemes)
    asserts.equals(env, ["test"], info.key_kinds)
    asserts.equals(env, ["manifest.json", "map-hash.tbs", "payload.tbs"], _names(target[OutputGroupInfo].tbs.to_list()))
    asserts.equals(env, ["objects_loader.intoto.json"], _names(target[OutputGroupInfo].provenance.to_list()))

    # What is generated is audited, so a loader that fails cannot be signed.
    generate = _action(env, "BpfLoaderGen")
    asserts.true(env, "-audit" in generate.argv, "the loader is not audited")
    asserts.equals(env, ["objects_loader.audit.json", "objects_loader.unsigned.bpfl"], _names(generate.outputs.to_list()))
    asserts.equals(env, ["objects_loader.audit.json"], _names(target[OutputGroupInfo].audit.to_list()))
    asserts.true(env, "map-hash,payload" in generate.argv, "no schemes")
    asserts.true(env, "CONFIG_HZ=250" in generate.argv, "no kconfig value")
    sign = _action(env, "BpfSign")
    asserts.true(env, "test_key.pem" in _names(sign.inputs.to_list()), "the key is no input of the signing action")
    for action in analysistest.target_actions(env):
        if action.mnemonic != "BpfSign":
            asserts.false(env, "test_key.pem" in _names(action.inputs.to_list()), "the key is an input of " + action.mnemonic)
    return analysistest.end(env)

_loader_test = analysistest.make(_loader_impl)

def _signer_impl(ctx):
    env = analysistest.begin(ctx)
    sign = _action(env, "BpfSign")
    asserts.equals(env, [], [f for f in _names(sign.inputs.to_list()) if f.endswith(".pem")], "a private key is an input")
    for word in ["-slot", "7", "bpf", "TEST_SIGNER_PIN"]:
        asserts.true(env, word in sign.argv, "no %s in %s" % (word, sign.argv))
    return analysistest.end(env)

_signer_test = analysistest.make(_signer_impl)

def _ceremony_impl(ctx):
    env = analysistest.begin(ctx)
    attach = _action(env, "BpfAttach")
    asserts.equals(env, ["map-hash.p7s", "payload.p7s"], [f for f in _names(attach.inputs.to_list()) if f.endswith(".p7s")])
    asserts.true(env, "-manifest" in attach.argv, "the error would not tell what has changed")
    asserts.equals(env, [], [a for a in analysistest.target_actions(env) if a.mnemonic == "BpfSign"], "something is signed")
    return analysistest.end(env)

_ceremony_test = analysistest.make(_ceremony_impl)

def _rotation_impl(ctx):
    env = analysistest.begin(ctx)
    info = analysistest.target_under_test(env)[BpfLoaderInfo]
    asserts.equals(env, ["test", "development"], info.key_kinds)
    asserts.equals(env, "ceremony_loader.unsigned.bpfl", info.unsigned.basename)
    return analysistest.end(env)

_rotation_test = analysistest.make(_rotation_impl)

# bpf_signing_key

def _key_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[BpfSigningKeyInfo]
    asserts.equals(env, "test", info.kind)
    asserts.equals(env, "test_key.pem", info.private_key.basename)
    asserts.equals(env, ["test_cert.der"], _names(target[DefaultInfo].files.to_list()), "the private key is shipped")
    return analysistest.end(env)

_key_test = analysistest.make(_key_impl)

# A remote pool of another CPU, registered first: what signs is still built for the machine that runs Bazel, and the rest is not.

def _foreign_pool_impl(ctx):
    env = analysistest.begin(ctx)
    sign = _action(env, "BpfSign")
    asserts.true(env, "tests/rules/testdata/own_signer" in sign.argv, "the signer is for the pool: %s" % sign.argv)
    asserts.false(env, sign.argv[0] == _action(env, "BpfTBS").argv[0], "what runs in the pool uses the same tool, %s" % sign.argv[0])
    return analysistest.end(env)

_foreign_pool_test = analysistest.make(
    _foreign_pool_impl,
    config_settings = {_EXEC_PLATFORMS: [_here("linux_s390x")]},
)

# A test's tool is built for the machine that runs the test, whatever machine its other actions want.

def _test_tools_impl(ctx):
    env = analysistest.begin(ctx)
    files = analysistest.target_under_test(env)[DefaultInfo].default_runfiles.files.to_list()
    for tool in ["signtool", "loadergen"]:
        found = [f.path for f in files if f.short_path == "private/" + tool]
        asserts.equals(env, 1, len(found), "%s is built for several machines: %s" % (tool, found))
    return analysistest.end(env)

_test_tools_test = analysistest.make(
    _test_tools_impl,
    config_settings = {_EXEC_PLATFORMS: [str(Label("@platforms//host")), _here("linux_s390x")]},
)

# Tools are built once, whatever a build's flags are.

def _one_tool_impl(ctx):
    env = analysistest.begin(ctx)
    paths = [f.path for f in analysistest.target_under_test(env)[DefaultInfo].files.to_list()]
    asserts.equals(env, 1, len(paths), "each set of flags has a tool of its own: %s" % paths)
    return analysistest.end(env)

_one_tool_test = analysistest.make(_one_tool_impl)

# Errors: targets that must not analyse, with parts of what they say.

def _error_impl(ctx):
    env = analysistest.begin(ctx)
    for part in ctx.attr.parts:
        asserts.expect_failure(env, part)
    return analysistest.end(env)

def _make_error_test(config_settings = {}):
    return analysistest.make(
        _error_impl,
        attrs = {"parts": attr.string_list()},
        config_settings = config_settings,
        expect_failure = True,
    )

_error_test = _make_error_test()
_error_with_opt_test = _make_error_test({_MODE: "opt"})
_error_with_kind_test = _make_error_test({_KINDS: ["production"]})
_error_with_unknown_kind_test = _make_error_test({_KINDS: ["produktion"]})
_error_with_no_clang_test = _make_error_test({_TOOLCHAINS: [_here("no_clang_toolchain")]})

_ERRORS = {
    "clang_and_clang_path": ["set either clang or clang_path"],
    "clang_without_version": ["version \"unknown\" has no number in it"],
    "env_without_signer": ["env is for a signer, and none is set"],
    "header_of_another_name": ["out: \"vmlinux.txt\" does not end in .h"],
    "includes_outside": ["\"../../../elsewhere\" leads out of the repository"],
    "key_elsewhere": ["private_key: //signing:development_key.pem is a file of another package", "put bpf_signing_key into that package"],
    "key_made_by_the_build": ["private_key: //tests/rules:make_key is made by the build"],
    "loader_with_kconfig": ["kconfig is for an object: set it on //tests/rules:objects_loader"],
    "loader_with_schemes": ["schemes is for an object: set it on //tests/rules:objects_loader"],
    "neither_object_nor_loader": ["set either object or loader"],
    "object_and_loader": ["set either object or loader"],
    "old_clang": ["clang 14.0.6 is too old: rules_bpf needs clang 15 or newer"],
    "passphrase_without_key": ["passphrase_env is for a private_key, and none is set"],
    "production_key_in_a_file": ["a production key must not be a build input", "set signer instead of private_key"],
    "reads_a_key_elsewhere": ["//tests/rules/keys:key.pem' is not visible from"],
    "relative_clang": ["clang_path \"bin/clang\" is not absolute"],
    "relative_passphrase_file": ["passphrase_file \"passphrase\" is not absolute"],
    "signatures_and_key": ["set either signing_key, or certificate and signatures"],
    "signatures_without_certificate": ["kind goes with certificate"],
    "signatures_without_kind": ["set kind: what the certificate's key is for"],
    "two_equal_schemes": ["schemes: one is named twice"],
    "two_passphrases": ["set either passphrase_env or passphrase_file"],
    "two_private_keys": ["set either private_key or signer"],
    "unknown_scheme": ["\"quantum\" is none of map-hash, payload"],
    "verify_nothing": ["set either certificate or policy"],
}

# Configurations that must analyse.

def _analyses_impl(ctx):
    return analysistest.end(analysistest.begin(ctx))

_opt_with_test_key_test = analysistest.make(_analyses_impl, config_settings = {_MODE: "opt", _KEY: _here("test_key")})
_opt_tool_test = analysistest.make(_analyses_impl, config_settings = {_MODE: "opt"})
_opt_with_kind_test = analysistest.make(_analyses_impl, config_settings = {_MODE: "opt", _KINDS: ["development"]})

def rules_tests():
    """Declares the tests of the targets in the BUILD file."""
    _library_test(name = "library_test", target_under_test = ":shared")
    _object_x86_64_test(name = "object_x86_64_test", arch = "x86", endian = "little", target_under_test = ":headers")
    _object_arm64_test(name = "object_arm64_test", arch = "arm64", endian = "little", target_under_test = ":headers")
    _object_armv7_test(name = "object_armv7_test", arch = "arm", endian = "little", target_under_test = ":headers")
    _object_s390x_test(name = "object_s390x_test", arch = "s390", endian = "big", target_under_test = ":headers")
    _vmlinux_test(name = "vmlinux_test", btf = "kernel.bpf.o", target_under_test = ":vmlinux")
    _vmlinux_test(name = "vmlinux_out_test", btf = "kernel.btf", target_under_test = ":raw")
    _own_toolchain_test(name = "own_toolchain_test", target_under_test = ":objects")
    _loader_test(name = "loader_test", target_under_test = ":objects_loader")
    _signer_test(name = "signer_action_test", target_under_test = ":signer_loader")
    _ceremony_test(name = "ceremony_action_test", target_under_test = ":ceremony_loader")
    _rotation_test(name = "rotation_test", target_under_test = ":rotated_loader")
    _foreign_pool_test(name = "foreign_pool_test", target_under_test = ":signed_here")
    _test_tools_test(name = "test_tools_test", target_under_test = ":tests_of_two_machines")
    _one_tool_test(name = "one_tool_test", target_under_test = ":signtool_with_each_flag")
    _key_test(name = "key_test", target_under_test = ":test_key")

    for target, parts in _ERRORS.items():
        _error_test(name = target + "_test", parts = parts, target_under_test = ":" + target)
    _error_with_opt_test(
        name = "development_key_with_opt_test",
        parts = ["a build with -c opt does not sign with the development key", "set --//signing:key=//your:key"],
        target_under_test = ":default_key_loader",
    )
    _error_with_kind_test(
        name = "kind_not_allowed_test",
        parts = ["is a test key, and --//signing:allowed_kinds allows only production"],
        target_under_test = ":objects_loader",
    )
    _error_with_kind_test(
        name = "kind_of_signatures_not_allowed_test",
        parts = ["that of //tests/rules:testdata/test_cert.der is a test key, and --//signing:allowed_kinds allows only production"],
        target_under_test = ":ceremony_loader",
    )
    _error_with_unknown_kind_test(
        name = "unknown_kind_test",
        parts = ["--//signing:allowed_kinds: no kind of key is called \"produktion\": use development, test, production"],
        target_under_test = ":objects_loader",
    )
    _error_with_no_clang_test(
        name = "no_clang_test",
        parts = ["//tests/rules:objects: no clang here, install one"],
        target_under_test = ":objects",
    )
    _opt_with_test_key_test(name = "opt_with_test_key_test", target_under_test = ":default_key_loader")
    _opt_tool_test(name = "opt_tool_test", target_under_test = ":default_key_tool")
    _opt_with_kind_test(name = "opt_with_kind_test", target_under_test = ":default_key_loader")
