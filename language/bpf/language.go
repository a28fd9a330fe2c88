// Package bpf is a Gazelle language: it writes the rules of rules_bpf for *.bpf.c files and the headers that they include.
//
//	gazelle_binary(
//	    name = "gazelle_bin",
//	    languages = DEFAULT_LANGUAGES + ["@rules_bpf//language/bpf"],
//	)
//
// The package's user is gazelle_binary, which calls [NewLanguage]; docs/gazelle.md is for the users of the result.
package bpf

import (
	"flag"

	"github.com/bazelbuild/bazel-gazelle/config"
	"github.com/bazelbuild/bazel-gazelle/label"
	"github.com/bazelbuild/bazel-gazelle/language"
	"github.com/bazelbuild/bazel-gazelle/rule"
)

const languageName = "bpf"

type bpfLanguage struct {
	survey *survey
}

var _ language.ModuleAwareLanguage = (*bpfLanguage)(nil)

// NewLanguage returns the language. List it after Gazelle's language for Go, whose rules' names it keeps clear of.
func NewLanguage() language.Language {
	return &bpfLanguage{}
}

func (*bpfLanguage) Name() string { return languageName }

func (*bpfLanguage) RegisterFlags(*flag.FlagSet, string, *config.Config) {}

func (*bpfLanguage) CheckFlags(*flag.FlagSet, *config.Config) error { return nil }

func (*bpfLanguage) Embeds(*rule.Rule, label.Label) []label.Label { return nil }

func (*bpfLanguage) Fix(*config.Config, *rule.File) {}
