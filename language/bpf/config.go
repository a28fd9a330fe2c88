package bpf

import (
	"log"
	"maps"
	"slices"
	"strings"

	"github.com/bazelbuild/bazel-gazelle/config"
	"github.com/bazelbuild/bazel-gazelle/label"
	"github.com/bazelbuild/bazel-gazelle/rule"
)

// level is how much is generated for a source file: each has what those before have.
type level int

const (
	nothing level = iota
	objects
	loaders
	goLibraries
)

var levels = map[string]level{"off": nothing, "objects": objects, "loaders": loaders, "on": goLibraries}

// settings are the directives in force in a directory. They are never changed, only copied.
type settings struct {
	level      level
	names      map[string]string // kind -> the name's pattern
	signingKey label.Label
	schemes    []string
	mcpu       string

	// The Go import path of the directory importRel. Empty: what Gazelle's language for Go says.
	importPrefix, importRel string
}

var defaults = &settings{
	level: goLibraries,
	names: map[string]string{
		objectKind:    "{}_bpf",
		loaderKind:    "{}_loader",
		goLibraryKind: "{}",
		libraryKind:   "bpf_headers",
	},
}

func settingsOf(c *config.Config) *settings {
	if s, ok := c.Exts[languageName].(*settings); ok {
		return s
	}
	return defaults
}

func (*bpfLanguage) KnownDirectives() []string {
	return slices.Sorted(maps.Keys(knownDirectives))
}

func (*bpfLanguage) Configure(c *config.Config, rel string, f *rule.File) {
	if f == nil {
		return
	}
	s := *settingsOf(c)
	for _, d := range f.Directives {
		apply, ok := knownDirectives[d.Key]
		if !ok {
			continue
		}
		next := s
		if err := apply(&next, rel, strings.TrimSpace(d.Value)); err != nil {
			log.Printf("%s: gazelle:%s %s: %v", f.Path, d.Key, d.Value, err)
			continue
		}
		s = next
	}
	c.Exts[languageName] = &s
}
