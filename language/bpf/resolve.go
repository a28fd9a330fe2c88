package bpf

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bazelbuild/bazel-gazelle/config"
	"github.com/bazelbuild/bazel-gazelle/label"
	"github.com/bazelbuild/bazel-gazelle/repo"
	"github.com/bazelbuild/bazel-gazelle/resolve"
	"github.com/bazelbuild/bazel-gazelle/rule"
	"github.com/bazelbuild/bazel-gazelle/walk"
)

var _ resolve.CrossResolver = (*bpfLanguage)(nil)

// provided returns the names under which headers of a package can be included: by paths from the root, and, in angle
// brackets, by those from a folder in `includes`.
func provided(pkg string, hdrs, includes []string) []string {
	var specs []string
	for _, h := range hdrs {
		file := path.Join(pkg, h)
		specs = append(specs, file)
		for _, folder := range includes {
			if folder = path.Join(pkg, folder); folder == "." || folder == "" {
				specs = append(specs, "<"+file+">")
			} else if rest, ok := strings.CutPrefix(file, folder+"/"); ok {
				specs = append(specs, "<"+rest+">")
			}
		}
	}
	return specs
}

func (*bpfLanguage) Imports(c *config.Config, r *rule.Rule, f *rule.File) []resolve.ImportSpec {
	e := existing{r, kindOf(c, r)}
	var specs []string
	switch e.kind {
	case libraryKind:
		hdrs := e.files("hdrs")
		if e.handmade("hdrs") {
			info, _ := walk.GetDirInfo(f.Pkg)
			hdrs = e.globbed("hdrs", slices.Concat(info.RegularFiles, info.GenFiles))
		}
		specs = provided(f.Pkg, hdrs, r.AttrStrings("includes"))
	case vmlinuxKind:
		// Found by its name alone, wherever it is.
		specs = append(provided(f.Pkg, e.files("out"), nil), "<"+e.vmlinux()+">")
	case goLibraryKind:
		return []resolve.ImportSpec{{Lang: "go", Imp: r.AttrString("importpath")}}
	}
	var imports []resolve.ImportSpec
	for _, s := range specs {
		imports = append(imports, resolve.ImportSpec{Lang: languageName, Imp: s})
	}
	return imports
}

// CrossResolve finds the Go packages of bpf_go_library for the rules of Go.
func (*bpfLanguage) CrossResolve(_ *config.Config, ix *resolve.RuleIndex, imp resolve.ImportSpec, lang string) []resolve.FindResult {
	if imp.Lang != "go" || lang != "go" {
		return nil
	}
	return ix.FindRulesByImport(imp, languageName)
}

func (*bpfLanguage) Resolve(c *config.Config, ix *resolve.RuleIndex, _ *repo.RemoteCache, r *rule.Rule, imports any, from label.Label) {
	u, _ := imports.(*unit)
	if u == nil {
		return
	}
	deps := map[string]bool{}
	for _, i := range u.includes {
		dep, err := find(c, ix, i, u.own, from)
		if err != nil {
			log.Print(err)
		} else if dep != label.NoLabel {
			if dep.Repo == "" {
				dep.Repo = c.RepoName
			}
			deps[dep.Rel(from.Repo, from.Pkg).String()] = true
		}
	}
	r.DelAttr("deps")
	if len(deps) > 0 {
		r.SetAttr("deps", slices.Sorted(maps.Keys(deps)))
	}
}

// find returns the rule that has an included header, or NoLabel if none is needed.
func find(c *config.Config, ix *resolve.RuleIndex, i include, own map[string]bool, from label.Label) (label.Label, error) {
	for _, imp := range []string{i.path, i.specs()[0]} {
		if l, ok := resolve.FindRuleWithOverride(c, resolve.ImportSpec{Lang: languageName, Imp: imp}, languageName); ok {
			return l, nil
		}
	}
	for _, spec := range i.specs() {
		if own[spec] {
			return label.NoLabel, nil
		}
		found := ix.FindRulesByImportWithConfig(c, resolve.ImportSpec{Lang: languageName, Imp: spec}, languageName)
		if len(found) > 1 {
			// A library of one's own package has it for that package.
			if near := slices.IndexFunc(found, func(f resolve.FindResult) bool { return f.Label.Pkg == from.Pkg }); near >= 0 {
				found = found[near : near+1]
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			if found[0].IsSelfImport(from) {
				return label.NoLabel, nil
			}
			return found[0].Label, nil
		}
		var labels []string
		for _, f := range found {
			labels = append(labels, f.Label.Rel(c.RepoName, "").String())
		}
		slices.Sort(labels)
		return label.NoLabel, fmt.Errorf("%s:%d: %s: %s have it: choose with `# gazelle:resolve bpf %s LABEL`",
			i.file, i.line, i, strings.Join(labels, " and "), i.path)
	}
	if i.optional {
		return label.NoLabel, nil
	}
	return label.NoLabel, missing(c, i)
}

// missing says what is wrong with an include that no rule provides. It returns nil if the toolchain may have it.
func missing(c *config.Config, i include) error {
	problem := func(format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s: %s", i.file, i.line, i, fmt.Sprintf(format, args...))
	}
	if path.Base(i.path) == "vmlinux.h" {
		return problem("no rule makes it: declare a %s, or name the rule with `# gazelle:resolve bpf %s LABEL`", vmlinuxKind, i.path)
	}
	if first := i.specs()[0]; strings.HasPrefix(first, "../") || path.IsAbs(first) {
		return problem("it leads out of the repository")
	}
	for _, spec := range i.specs() {
		file := strings.Trim(spec, "<>")
		if _, err := os.Stat(filepath.Join(c.RepoRoot, filepath.FromSlash(file))); err != nil {
			continue
		}
		switch {
		case !strings.HasSuffix(file, headerSuffix):
			return problem("only headers can be included: rename it to *.h")
		case i.angled:
			return problem("%s is found in quotes, or through the `includes` of a %s", file, libraryKind)
		default:
			return problem("%s is there, but in no %s: Gazelle is kept from its folder, or its rule's hdrs are not a list", file, libraryKind)
		}
	}
	if i.angled || isSystem(i.path) {
		return nil
	}
	folder := path.Dir(i.file)
	if folder == "." {
		return problem("no such header in the repository's root, nor through the `includes` of a %s", libraryKind)
	}
	return problem("no such header in %s, in the repository's root, nor through the `includes` of a %s", folder, libraryKind)
}

// isSystem tells whether a header is one that every toolchain has, for which quotes serve as well as angle brackets.
func isSystem(header string) bool {
	switch header {
	case "float.h", "limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h":
		return true
	}
	folder, _, ok := strings.Cut(header, "/")
	return ok && slices.Contains([]string{"asm", "asm-generic", "bpf", "linux"}, folder)
}
