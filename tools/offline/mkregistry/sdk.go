package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// constraints are the platforms that rules_go gives to Go's names.
var constraints = map[string]string{
	"amd64":   "x86_64",
	"arm64":   "aarch64",
	"s390x":   "s390x",
	"ppc64le": "ppc64le",
	"riscv64": "riscv64",
}

// sdk makes the repository that rules_go would make of a downloaded SDK, out of
// the one on this machine. (Its own rule for that, go_sdk.host, is an error in a
// module that is not the root, so MODULE.bazel cannot use it.)
func sdk(goroot, rulesGo, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(goroot)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join(goroot, e.Name()), filepath.Join(out, e.Name())); err != nil {
			return err
		}
	}
	template, err := os.ReadFile(filepath.Join(rulesGo, "go/private/BUILD.sdk.bazel"))
	if err != nil {
		return err
	}
	version := strings.TrimPrefix(strings.Fields(runtime.Version())[0], "go")
	build := strings.NewReplacer(
		"{goos}", runtime.GOOS,
		"{goarch}", runtime.GOARCH,
		"{exe}", "",
		"{version}", version,
		"{experiments}", "[]",
		"{exec_compatible_with}", fmt.Sprintf("[%q, %q]", "@platforms//cpu:"+constraints[runtime.GOARCH], "@platforms//os:linux"),
	).Replace(string(template))
	part := append(strings.SplitN(version, ".", 3), "0", "0")
	constants := fmt.Sprintf("MAJOR_VERSION = %q\nMINOR_VERSION = %q\nPATCH_VERSION = %q\nPRERELEASE_SUFFIX = \"\"\n", part[0], part[1], part[2])
	for name, text := range map[string]string{
		"BUILD.bazel": build,
		"ROOT":        "",
		"REPO.bazel":  "",
		"version.bzl": constants,
	} {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
