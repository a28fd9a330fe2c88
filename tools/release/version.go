package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bazelbuild/buildtools/build"
)

// release is one in the making.
type release struct {
	root string
	// module and version are those of MODULE.bazel.
	module, version string
	archive         []byte
	// entry is the registry's, by paths in it.
	entry map[string][]byte
}

// prefix is the archive's name, and that of the folder in it.
func (r *release) prefix() string { return r.module + "-" + r.version }

var (
	semver = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	// dated is a heading of the changelog: a version, and when it was released.
	dated = regexp.MustCompile(`(?m)^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$`)
	// depends is how documents, and a test, say which version to depend on.
	depends = regexp.MustCompile(`bazel_dep\(name = "rules_bpf", version = "([^"]*)"\)`)
)

// readModule reads MODULE.bazel, and wants of it what the Central Registry wants.
func (r *release) readModule() error {
	data, err := os.ReadFile(filepath.Join(r.root, "MODULE.bazel"))
	if err != nil {
		return err
	}
	file, err := build.ParseModule("MODULE.bazel", data)
	if err != nil {
		return err
	}
	var wrong []error
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	for _, rule := range file.Rules("") {
		switch kind := rule.Kind(); {
		case kind == "module":
			r.module, r.version = rule.Name(), rule.AttrString("version")
		case kind == "bazel_dep" && !semver.MatchString(rule.AttrString("version")):
			add("bazel_dep %s: version %q: want one that the registry has", rule.Name(), rule.AttrString("version"))
		case strings.HasSuffix(kind, "_override"):
			add("%s: it counts only in the root module: a user would not have it", kind)
		}
	}
	if !semver.MatchString(r.version) {
		add("version %q: want MAJOR.MINOR.PATCH", r.version)
	}
	// An SDK that is named, or the host's, is an error in a module that is not the root.
	build.Walk(file, func(e build.Expr, _ []build.Expr) {
		call, ok := e.(*build.CallExpr)
		if !ok || len(call.List) == 0 {
			return
		}
		if f, ok := call.X.(*build.Ident); !ok || f.Name != "use_extension" {
			return
		}
		if s, ok := call.List[0].(*build.StringExpr); ok && s.Value == "@rules_go//go:extensions.bzl" && !strings.Contains(build.FormatString(call), "dev_dependency = True") {
			add("go_sdk is for work on this repository: want dev_dependency = True")
		}
	})
	return errors.Join(wrong...)
}

// versions wants one version in MODULE.bazel, the changelog, the documents and the test that takes the release.
func (r *release) versions() error {
	var wrong []error
	heading, err := r.newest()
	if err != nil {
		return err
	}
	if heading[1] != r.version {
		wrong = append(wrong, fmt.Errorf("CHANGELOG.md begins with %s, and MODULE.bazel says %s", heading[1], r.version))
	}
	told := 0
	// The workspace in tests/remote gets the release from a registry that has this version only.
	for _, pattern := range []string{"*.md", "docs/*.md", "tests/remote/*.go"} {
		paths, err := filepath.Glob(filepath.Join(r.root, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range depends.FindAllSubmatch(data, -1) {
				if filepath.Ext(path) == ".md" {
					told++
				}
				if v := string(m[1]); v != r.version {
					wrong = append(wrong, fmt.Errorf("%s depends on version %s, and MODULE.bazel says %s", path, v, r.version))
				}
			}
		}
	}
	if told == 0 {
		wrong = append(wrong, errors.New("no document says how to depend on the module"))
	}
	return errors.Join(wrong...)
}

// newest returns the changelog's first heading of a version: all, the version, the date.
func (r *release) newest() ([]string, error) {
	data, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	m := dated.FindStringSubmatch(string(data))
	if m == nil {
		return nil, errors.New("CHANGELOG.md: no heading `## VERSION (DATE)`")
	}
	return m, nil
}

// final wants what a tag wants.
func (r *release) final() error {
	heading, err := r.newest()
	if err != nil {
		return err
	}
	if heading[2] == "unreleased" {
		return fmt.Errorf("CHANGELOG.md: %s has no date", heading[1])
	}
	status, err := git(r.root, "status", "--porcelain")
	if err == nil && status != "" {
		err = fmt.Errorf("not committed:\n%s", status)
	}
	return err
}
