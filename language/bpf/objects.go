package bpf

import (
	"go/token"
	"path"
	"slices"
	"strings"

	golang "github.com/bazelbuild/bazel-gazelle/language/go"
	"github.com/bazelbuild/bazel-gazelle/rule"
)

// objects generates, for each *.bpf.c, the rules from the object to the Go package. Where a BUILD file names them in its own
// way they keep their names.
func (g *generator) objects() {
	var sources []string
	for _, name := range slices.Concat(g.RegularFiles, g.GenFiles) {
		if strings.HasSuffix(name, sourceSuffix) {
			sources = append(sources, name)
		}
	}
	slices.Sort(sources)
	sources = slices.Compact(sources)

	for _, o := range g.existing[objectKind] {
		listed := o.files("srcs")
		if o.handmade("srcs") {
			listed = o.globbed("srcs", sources)
		}
		sources = slices.DeleteFunc(sources, func(s string) bool { return slices.Contains(listed, s) })
		srcs := slices.DeleteFunc(o.AttrStrings("srcs"), func(s string) bool { return !g.has(s) })
		switch {
		case len(srcs) > 0:
			r := rule.NewRule(objectKind, o.Name())
			r.SetAttr("srcs", srcs)
			g.object(r, existing{Rule: r}.files("srcs"), &o)
		case len(listed) > 0 && o.handmade("srcs"):
			r := rule.NewRule(objectKind, o.Name())
			inherit(r, &o, "srcs")
			g.object(r, listed, &o)
		case !o.handmade("srcs") && !o.ShouldKeep():
			g.removeObject(o)
		}
	}
	for _, source := range sources {
		if name := g.name(objectKind, baseName(source)); !g.taken(objectKind, name) {
			r := rule.NewRule(objectKind, name)
			r.SetAttr("srcs", []string{source})
			g.object(r, []string{source}, nil)
		}
	}
}

// baseName returns what the rules of a source are named after.
func baseName(source string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path.Base(source), ".c"), ".bpf")
}

func (g *generator) object(r *rule.Rule, sources []string, from *existing) {
	if g.settings.mcpu != "" {
		r.SetAttr("mcpu", g.settings.mcpu)
	} else {
		inherit(r, from, "mcpu")
	}
	var hdrs, includes []string
	if from != nil {
		hdrs, includes = from.files("hdrs"), from.AttrStrings("includes")
		if from.handmade("hdrs") {
			hdrs = from.globbed("hdrs", slices.Concat(g.RegularFiles, g.GenFiles))
		}
	}
	g.add(r, g.unit(slices.Concat(sources, hdrs), hdrs, includes))

	if g.settings.level >= loaders {
		g.loader(r.Name(), g.base(r.Name(), sources))
	}
}

// base returns what the rules of an object are named after: as the object is, if it is named as is usual.
func (g *generator) base(object string, sources []string) string {
	before, after, _ := strings.Cut(g.settings.names[objectKind], "{}")
	if base, ok := strings.CutPrefix(object, before); ok {
		if base, ok := strings.CutSuffix(base, after); ok && base != "" {
			return base
		}
	}
	if len(sources) > 0 {
		return baseName(sources[0])
	}
	return object
}

// loader generates the bpf_signed_loader of an object, and what is made of it.
func (g *generator) loader(object, base string) {
	name := g.name(loaderKind, base)
	from := g.user(loaderKind, "object", object, name)
	if from != nil {
		name = from.Name()
	} else if g.taken(loaderKind, name) {
		return
	}
	r := rule.NewRule(loaderKind, name)
	setLabel(r, from, "object", object)
	if len(g.settings.schemes) > 0 {
		r.SetAttr("schemes", g.settings.schemes)
	} else {
		inherit(r, from, "schemes")
	}
	if key := g.settings.signingKey; key.Name != "" {
		r.SetAttr("signing_key", key.Rel("", g.Rel).String())
	} else {
		inherit(r, from, "signing_key")
	}
	g.add(r, nil)
	if g.settings.level >= goLibraries {
		g.goLibrary(name, base)
	}
	g.goldenTest(name, base)
}

// goldenTest generates the test that goes with a golden file. Where there is none, a test stays that is to write it.
func (g *generator) goldenTest(loader, base string) {
	golden := base + ".golden"
	if !slices.Contains(g.RegularFiles, golden) {
		return
	}
	name := base + "_golden_test"
	if from := g.user(goldenTestKind, "loader", loader, name); from != nil {
		return // its author has chosen the file
	}
	if g.taken(goldenTestKind, name) {
		return
	}
	r := rule.NewRule(goldenTestKind, name)
	r.SetAttr("golden", golden)
	r.SetAttr("loader", ":"+loader)
	g.add(r, nil)
}

// goLibrary generates the bpf_go_library of a loader, if it is known what its package's import path is.
func (g *generator) goLibrary(loader, base string) {
	importPath := g.importPath(base)
	if importPath == "" {
		return
	}
	name := g.name(goLibraryKind, base)
	from := g.user(goLibraryKind, "loader", loader, name)
	switch {
	case from == nil && g.taken(goLibraryKind, name):
		// As the command that the program is named after: main.go beside execsnoop.bpf.c in a folder execsnoop.
		name = base + "_bpf_go"
	case from != nil && g.inTheWay(*from) && !from.ShouldKeep():
		// That command has been added since.
		name = base + "_bpf_go"
		from.SetName(name)
	case from != nil:
		name = from.Name()
	}
	r := rule.NewRule(goLibraryKind, name)
	r.SetAttr("importpath", importPath)
	setLabel(r, from, "loader", loader)
	g.share(r)
	g.add(r, nil)
}

// inTheWay tells whether another language has a rule of that name for the package, which would not be generated.
func (g *generator) inTheWay(r existing) bool {
	return slices.ContainsFunc(g.OtherGen, func(o *rule.Rule) bool {
		return o.Name() == r.Name() && len(g.existing[kindOf(g.Config, o)]) == 0
	})
}

// importPath returns the import path of the Go package for a program, or "" if nothing says what import paths here are.
func (g *generator) importPath(base string) string {
	if !token.IsIdentifier(strings.ReplaceAll(base, "-", "")) || base == "main" || base == "_" {
		base = "bpf_" + base // no package can be named so
	}
	if prefix := g.settings.importPrefix; prefix != "" {
		return path.Join(prefix, strings.TrimPrefix(strings.TrimPrefix(g.Rel, g.settings.importRel), "/"), base)
	}
	if g.Config.Exts["go"] == nil {
		return "" // no Go in this Gazelle
	}
	folder := golang.InferImportPath(g.Config, g.Rel)
	if folder == g.Rel {
		return "" // no prefix
	}
	return path.Join(folder, base)
}

// user returns the rule whose attribute is a target of this package, the one with the given name if there are several. One of that
// name that computes its target is taken for one.
func (g *generator) user(kind, attr, target, name string) *existing {
	var found *existing
	for _, r := range g.existing[kind] {
		uses := isLocal(r.AttrString(attr), g.Rel, target) || r.Name() == name && r.computed(attr)
		if uses && (found == nil || r.Name() == name) {
			found = &r
		}
	}
	return found
}

// removeObject deletes an object whose sources are gone, and what is made of it.
func (g *generator) removeObject(o existing) {
	g.remove(o)
	for _, l := range g.existing[loaderKind] {
		if !isLocal(l.AttrString("object"), g.Rel, o.Name()) || l.ShouldKeep() {
			continue
		}
		g.remove(l)
		for _, kind := range append([]string{goLibraryKind}, testKinds...) {
			for _, r := range g.existing[kind] {
				if isLocal(r.AttrString("loader"), g.Rel, l.Name()) {
					g.remove(r)
				}
			}
		}
	}
}
