"""Stub: every `bazel mod` command wants @buildozer_binary//:buildozer.exe, and `bazel mod tidy` runs it."""

_BUILDOZER = "github.com/bazelbuild/buildtools/buildozer@v0.0.0-20250930140053-2eb4fccefb52"

# Bazel runs it without an environment.
_ENV = ["GOCACHE", "GOFLAGS", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN", "HOME", "PATH"]

# Built when first run. (`go run` would hide its exit code: 3 for `nothing to change`.)
_SCRIPT = """\
#!/bin/sh
[ -x {bin}/buildozer ] || env {env} GOBIN={bin} go install {buildozer} || exit
exec {bin}/buildozer "$@"
"""

def _repo_impl(rctx):
    rctx.file("buildozer.exe", _SCRIPT.format(
        bin = rctx.path("bin"),
        buildozer = _BUILDOZER,
        env = " ".join(["%s='%s'" % (name, rctx.os.environ.get(name, "")) for name in _ENV]),
    ))
    rctx.file("BUILD.bazel", 'exports_files(["buildozer.exe"], visibility = ["//visibility:public"])\n')

_repo = repository_rule(implementation = _repo_impl, environ = _ENV)

buildozer_binary = module_extension(implementation = lambda mctx: _repo(name = "buildozer_binary"))
