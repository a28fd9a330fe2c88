package bpf

import (
	"path"
	"slices"
	"strings"

	"github.com/bazelbuild/bazel-gazelle/rule"
)

// libraries generates the package's bpf_library: all headers that BPF programs include. Where a BUILD file has several, each
// keeps what it lists, and new headers go into the one that has the usual name, or that is the only one. One without hdrs
// collects deps, and stays as it is.
func (g *generator) libraries() {
	libraries := g.existing[libraryKind]
	headers := g.headers()
	claim := func(names []string) {
		headers = slices.DeleteFunc(headers, func(h string) bool { return slices.Contains(names, h) })
	}
	for _, o := range g.existing[objectKind] {
		claim(o.files("hdrs"))
		claim(o.globbed("hdrs", headers))
	}
	for _, l := range libraries {
		if !l.handmade("hdrs") {
			claim(l.files("hdrs"))
		}
	}
	for _, l := range libraries {
		if l.handmade("hdrs") {
			matched := l.globbed("hdrs", slices.Concat(g.RegularFiles, g.GenFiles))
			claim(matched)
			if matched != nil {
				r := rule.NewRule(libraryKind, l.Name())
				inherit(r, &l, "hdrs")
				g.add(r, g.unit(matched, matched, l.AttrStrings("includes")))
			}
		}
	}

	name := g.name(libraryKind, path.Base(path.Join("/", g.Rel)))
	home := slices.IndexFunc(libraries, func(l existing) bool { return l.Name() == name && !l.handmade("hdrs") })
	if home < 0 && len(libraries) == 1 && libraries[0].Attr("hdrs") != nil && !libraries[0].handmade("hdrs") {
		home = 0
	}
	for i, l := range libraries {
		if l.handmade("hdrs") {
			continue
		}
		hdrs := slices.DeleteFunc(l.AttrStrings("hdrs"), func(h string) bool { return !g.has(h) })
		if i == home {
			hdrs = append(hdrs, headers...)
		}
		if len(hdrs) == 0 {
			if l.Attr("hdrs") != nil {
				g.remove(l)
			}
			continue
		}
		g.library(l.Name(), hdrs, &l)
	}
	if home < 0 && len(headers) > 0 && !g.taken(libraryKind, name) {
		g.library(name, headers, nil)
	}
}

// headers returns the package's headers that BPF programs include.
func (g *generator) headers() []string {
	var headers []string
	for _, name := range slices.Concat(g.RegularFiles, g.GenFiles) {
		if strings.HasSuffix(name, bpfHeaderSuffix) || strings.HasSuffix(name, headerSuffix) && g.survey.used[path.Join(g.Rel, name)] {
			headers = append(headers, name)
		}
	}
	for _, file := range g.survey.below[g.Rel] {
		if g.survey.exists[file] {
			headers = append(headers, strings.TrimPrefix(strings.TrimPrefix(file, g.Rel), "/"))
		}
	}
	for _, r := range g.existing[vmlinuxKind] {
		headers = slices.DeleteFunc(headers, func(h string) bool { return slices.Contains(r.files("out"), h) })
	}
	slices.Sort(headers)
	return slices.Compact(headers)
}

func (g *generator) library(name string, hdrs []string, from *existing) {
	r := rule.NewRule(libraryKind, name)
	r.SetAttr("hdrs", hdrs)
	g.share(r)
	var includes []string
	if from != nil {
		includes = from.AttrStrings("includes")
	}
	// A header that the build makes is not beside the file that includes it.
	if includes == nil && slices.ContainsFunc(hdrs, func(h string) bool { return slices.Contains(g.GenFiles, h) }) {
		includes = []string{"."}
		r.SetAttr("includes", includes)
	}
	files := existing{Rule: r}.files("hdrs")
	g.add(r, g.unit(files, files, includes))
}
