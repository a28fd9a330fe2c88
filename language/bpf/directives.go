package bpf

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bazelbuild/bazel-gazelle/label"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// A directive's value is empty to end what a parent directory's says.
var knownDirectives = map[string]func(s *settings, rel, value string) error{
	"bpf_generate": func(s *settings, _, value string) error {
		l, ok := levels[value]
		if !ok && value != "" {
			return fmt.Errorf("want on, loaders, objects or off")
		}
		s.level = l
		if value == "" {
			s.level = defaults.level
		}
		return nil
	},
	"bpf_importpath_prefix": func(s *settings, rel, value string) error {
		if strings.ContainsAny(value, " \t") {
			return fmt.Errorf("want one Go import path")
		}
		s.importPrefix, s.importRel = strings.Trim(value, "/"), rel
		return nil
	},
	"bpf_mcpu": func(s *settings, _, value string) error {
		if value != "" && !slices.Contains([]string{"v1", "v2", "v3", "v4"}, value) {
			return fmt.Errorf("want v1, v2, v3 or v4")
		}
		s.mcpu = value
		return nil
	},
	"bpf_naming": func(s *settings, _, value string) error {
		if value == "" {
			s.names = defaults.names
			return nil
		}
		kind, pattern, _ := strings.Cut(value, " ")
		pattern = strings.TrimSpace(pattern)
		if defaults.names[kind] == "" {
			return fmt.Errorf("want a kind of rule, %s, and a pattern", strings.Join(slices.Sorted(maps.Keys(defaults.names)), ", "))
		}
		if kind != libraryKind && strings.Count(pattern, "{}") != 1 {
			return fmt.Errorf("want a pattern with {} in it, where the source file's name goes")
		}
		if strings.ContainsAny(pattern, " \t/:\"") || pattern == "" {
			return fmt.Errorf("want a pattern that makes names of targets")
		}
		s.names = maps.Clone(s.names)
		s.names[kind] = pattern
		return nil
	},
	"bpf_schemes": func(s *settings, _, value string) error {
		schemes := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		for i, scheme := range schemes {
			if _, err := bundle.ParseScheme(scheme); err != nil {
				return err
			}
			if slices.Contains(schemes[:i], scheme) {
				return fmt.Errorf("scheme %q is named twice", scheme)
			}
		}
		s.schemes = schemes
		return nil
	},
	"bpf_signing_key": func(s *settings, rel, value string) error {
		if value == "" {
			s.signingKey = label.NoLabel
			return nil
		}
		l, err := label.Parse(value)
		if err != nil {
			return err
		}
		s.signingKey = l.Abs("", rel)
		return nil
	},
}
