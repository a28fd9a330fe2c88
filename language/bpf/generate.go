package bpf

import (
	"log"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bazelbuild/bazel-gazelle/language"
	"github.com/bazelbuild/bazel-gazelle/rule"
)

// generator makes the rules of one package.
type generator struct {
	language.GenerateArgs
	settings *settings
	survey   *survey
	existing map[string][]existing // by kind
	result   language.GenerateResult
}

// unit is what dependencies of a rule are found from.
type unit struct {
	includes []include
	own      map[string]bool // what the rule provides itself
}

func (l *bpfLanguage) GenerateRules(args language.GenerateArgs) language.GenerateResult {
	g := &generator{
		GenerateArgs: args,
		settings:     settingsOf(args.Config),
		existing:     map[string][]existing{},
	}
	if g.settings.level == nothing {
		return g.result
	}
	g.survey = l.surveyOf(args.Config, args.Rel)
	if _, ok := g.survey.owner[args.Rel]; ok && args.File == nil {
		return g.result // a package here would take its files from the one above
	}
	if args.File != nil {
		for _, r := range args.File.Rules {
			kind := kindOf(args.Config, r)
			g.existing[kind] = append(g.existing[kind], existing{r, kind})
		}
	}
	g.libraries()
	g.objects()
	return g.result
}

// add generates a rule. Its includes are resolved later; nil if it has no deps.
func (g *generator) add(r *rule.Rule, u *unit) {
	g.result.Gen = append(g.result.Gen, r)
	g.result.Imports = append(g.result.Imports, u)
	if u == nil {
		return
	}
	// What a lazy index has to have of other folders.
	for _, i := range u.includes {
		for _, spec := range i.specs() {
			if !strings.HasPrefix(spec, "<") && !strings.HasPrefix(spec, "../") && !path.IsAbs(spec) {
				g.result.RelsToIndex = append(g.result.RelsToIndex, path.Dir(spec))
			}
		}
	}
}

// remove deletes a rule, unless its author keeps it.
func (g *generator) remove(r existing) {
	g.result.Empty = append(g.result.Empty, rule.NewRule(r.kind, r.Name()))
}

// unit puts together what a rule includes and provides.
func (g *generator) unit(files, hdrs, includes []string) *unit {
	u := &unit{own: map[string]bool{}}
	for _, file := range files {
		u.includes = append(u.includes, g.survey.scan(path.Join(g.Rel, file))...)
	}
	for _, spec := range provided(g.Rel, hdrs, includes) {
		u.own[spec] = true
	}
	return u
}

// name returns the name of a new rule of a kind.
func (g *generator) name(kind, base string) string {
	return strings.ReplaceAll(g.settings.names[kind], "{}", base)
}

// taken tells whether a rule of another kind has a name, or will have it. It says so unless nobody has to care.
func (g *generator) taken(kind, name string) bool {
	other := ""
	for _, r := range g.OtherGen {
		if r.Name() == name {
			other = r.Kind()
		}
	}
	for k, rules := range g.existing {
		for _, r := range rules {
			if r.Name() == name && k != kind {
				other = k
			}
		}
	}
	if other == "" {
		return false
	}
	if kind != goLibraryKind {
		log.Printf("%s: no %s %q is generated, for a %s has that name: rename that, or see gazelle:bpf_naming",
			path.Join(g.Rel, "BUILD.bazel"), kind, name, other)
	}
	return true
}

// has tells whether a file is there that a rule names: in the package, in a folder of it, or as the output of another rule.
func (g *generator) has(name string) bool {
	name = strings.TrimPrefix(name, ":")
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "@") {
		return true // another package's
	}
	if slices.Contains(g.RegularFiles, name) || slices.Contains(g.GenFiles, name) {
		return true
	}
	for _, rules := range g.existing {
		if slices.ContainsFunc(rules, func(r existing) bool { return r.Name() == name }) {
			return true
		}
	}
	_, err := os.Stat(filepath.Join(g.Dir, filepath.FromSlash(name)))
	return err == nil
}

// share makes a rule visible to other packages, as rules of Go libraries are.
func (g *generator) share(r *rule.Rule) {
	if g.File == nil || !g.File.HasDefaultVisibility() {
		r.SetAttr("visibility", []string{rule.CheckInternalVisibility(g.Rel, "//visibility:public")})
	}
}

// inherit takes an attribute over from the rule in the BUILD file, if it has it.
func inherit(r *rule.Rule, from *existing, attr string) {
	if from != nil && from.Attr(attr) != nil {
		r.SetAttr(attr, kept{from.Attr(attr)})
	}
}

// setLabel sets an attribute to a target of the package, unless the rule in the BUILD file computes it.
func setLabel(r *rule.Rule, from *existing, attr, target string) {
	if from != nil && from.computed(attr) {
		inherit(r, from, attr)
		return
	}
	r.SetAttr(attr, ":"+target)
}
