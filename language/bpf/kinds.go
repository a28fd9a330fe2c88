package bpf

import (
	"cmp"
	"maps"
	"slices"

	"github.com/bazelbuild/bazel-gazelle/rule"
)

const (
	objectKind     = "bpf_object"
	libraryKind    = "bpf_library"
	loaderKind     = "bpf_signed_loader"
	goLibraryKind  = "bpf_go_library"
	goldenTestKind = "bpf_loader_golden_test"
	vmlinuxKind    = "bpf_vmlinux_header"
)

// Tests of a loader, which are deleted with it.
var testKinds = []string{"bpf_loader_audit_test", goldenTestKind, "bpf_loader_verify_test"}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

var kinds = func() map[string]rule.KindInfo {
	kinds := map[string]rule.KindInfo{
		libraryKind: {
			NonEmptyAttrs:  set("hdrs"),
			MergeableAttrs: set("hdrs"),
			ResolveAttrs:   set("deps"),
		},
		objectKind: {
			NonEmptyAttrs:  set("srcs"),
			MergeableAttrs: set("srcs", "mcpu"),
			ResolveAttrs:   set("deps"),
		},
		loaderKind: {
			NonEmptyAttrs:  set("object"),
			MergeableAttrs: set("object", "schemes", "signing_key"),
		},
		goLibraryKind: {
			NonEmptyAttrs:  set("loader"),
			MergeableAttrs: set("importpath", "loader"),
		},
		// Written by hand, found by those who include it.
		vmlinuxKind: {NonEmptyAttrs: set("btf")},
	}
	for _, kind := range testKinds {
		kinds[kind] = rule.KindInfo{NonEmptyAttrs: set("loader"), MergeableAttrs: set("loader")}
	}
	return kinds
}()

func (*bpfLanguage) Kinds() map[string]rule.KindInfo { return kinds }

// Loads is for workspaces without MODULE.bazel.
func (l *bpfLanguage) Loads() []rule.LoadInfo {
	return l.ApparentLoads(func(string) string { return "" })
}

func (*bpfLanguage) ApparentLoads(apparentName func(module string) string) []rule.LoadInfo {
	return []rule.LoadInfo{{
		Name:    "@" + cmp.Or(apparentName("rules_bpf"), "rules_bpf") + "//:defs.bzl",
		Symbols: slices.Sorted(maps.Keys(kinds)),
	}}
}
