package bpf

import (
	"path"
	"strings"

	"github.com/bazelbuild/bazel-gazelle/config"
	"github.com/bazelbuild/bazel-gazelle/rule"
	"github.com/bazelbuild/buildtools/build"
)

// existing is a rule in a BUILD file.
type existing struct {
	*rule.Rule
	kind string // ours, whatever the user's macro is called
}

// kindOf sees through gazelle:map_kind and gazelle:alias_kind.
func kindOf(c *config.Config, r *rule.Rule) string {
	for kind, mapped := range c.KindMap {
		if mapped.KindName == r.Kind() {
			return kind
		}
	}
	if kind, ok := c.AliasMap[r.Kind()]; ok {
		return kind
	}
	return r.Kind()
}

// files returns the files of an attribute by their paths from the package. Labels of other packages are not among them.
func (r existing) files(attr string) []string {
	var files []string
	list := r.AttrStrings(attr)
	if s := r.AttrString(attr); s != "" {
		list = []string{s}
	}
	for _, s := range list {
		if s = strings.TrimPrefix(s, ":"); !strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "@") {
			files = append(files, path.Clean(s))
		}
	}
	return files
}

// vmlinux returns the name of the header that a bpf_vmlinux_header makes.
func (r existing) vmlinux() string {
	if out := r.files("out"); len(out) > 0 {
		return path.Base(out[0])
	}
	return strings.TrimSuffix(path.Base(r.Name()), headerSuffix) + headerSuffix
}

// handmade tells whether an attribute has a value that is not a list of strings, such as a glob: then the rule's files are its
// author's business.
func (r existing) handmade(attr string) bool {
	return r.Attr(attr) != nil && r.AttrStrings(attr) == nil
}

// computed tells whether an attribute that is a label has an expression instead, such as a select, which is its author's business.
func (r existing) computed(attr string) bool {
	return r.Attr(attr) != nil && r.AttrString(attr) == ""
}

// globbed returns those of names that a glob in an attribute may match.
func (r existing) globbed(attr string, names []string) []string {
	glob, ok := rule.ParseGlobExpr(r.Attr(attr))
	if !ok {
		return nil
	}
	var matched []string
	for _, name := range names {
		if matchAny(glob.Patterns, name) && !matchAny(glob.Excludes, name) {
			matched = append(matched, name)
		}
	}
	return matched
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(strings.TrimPrefix(p, "**/"), name); ok && err == nil {
			return true
		}
	}
	return false
}

// isLocal tells whether a label, as written in the package, is that of a target in it.
func isLocal(label, pkg, name string) bool {
	return label == ":"+name || label == name || label == "//"+pkg+":"+name || label == "//"+pkg && path.Base(pkg) == name
}

// kept is the value of an attribute that a generated rule takes over from the one in the BUILD file.
type kept struct{ expr build.Expr }

var _ rule.Merger = kept{}

func (k kept) BzlExpr() build.Expr { return k.expr }

func (k kept) Merge(other build.Expr) build.Expr { return other }
