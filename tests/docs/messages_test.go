package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bazelbuild/buildtools/build"
	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

// foreign are messages that other programs say.
var foreign = map[string]string{
	"fatal error: '...' file not found": "clang",
}

// verb is a verb of fmt, or of Starlark's %.
var verb = regexp.MustCompile(`%[-+# 0]*(\[\d+\])?[0-9.]*[a-zA-Z]`)

// literals returns the strings in the sources, `...` for verbs, with what + puts together as one.
func literals(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	add := func(s string) { found[verb.ReplaceAllString(s, "...")] = true }
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && (name == "testdata" || strings.HasPrefix(name, "bazel-") || strings.HasPrefix(name, ".") && len(name) > 2):
			return filepath.SkipDir
		case strings.HasSuffix(name, "_test.go"), d.Type()&fs.ModeSymlink != 0:
		case strings.HasSuffix(name, ".go"):
			return goLiterals(path, add)
		case strings.HasSuffix(name, ".bzl"):
			return starlarkLiterals(path, add)
		}
		return nil
	})
	qt.Assert(t, qt.IsNil(err))
	var list []string
	for s := range found {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

func goLiterals(path string, add func(string)) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		s, ok := goString(e)
		if ok {
			add(s)
		}
		return !ok
	})
	return nil
}

// goString returns the value of an expression with a literal in it; what else is added to it is `...`.
func goString(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.BinaryExpr:
		x, okX := goString(e.X)
		y, okY := goString(e.Y)
		if e.Op != token.ADD || !okX && !okY {
			return "", false
		}
		if !okX {
			x = "..."
		}
		if !okY {
			y = "..."
		}
		return x + y, true
	}
	return "", false
}

func starlarkLiterals(path string, add func(string)) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := build.ParseBzl(path, data)
	if err != nil {
		return err
	}
	build.Walk(file, func(e build.Expr, _ []build.Expr) {
		if s, ok := starlarkString(e); ok {
			add(s)
		}
	})
	return nil
}

// starlarkString is goString for Starlark, with % besides.
func starlarkString(e build.Expr) (string, bool) {
	switch e := e.(type) {
	case *build.StringExpr:
		return e.Value, true
	case *build.ParenExpr:
		return starlarkString(e.X)
	case *build.BinaryExpr:
		x, okX := starlarkString(e.X)
		y, okY := starlarkString(e.Y)
		switch {
		case e.Op == "%":
			return x, okX
		case e.Op == "+" && okX && okY:
			return x + y, true
		}
	}
	return "", false
}

// messages returns those that troubleshooting.md explains.
func messages(t *testing.T) (list []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docs", "troubleshooting.md"))
	qt.Assert(t, qt.IsNil(err))
	for line := range strings.Lines(string(data)) {
		if title, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			qt.Assert(t, qt.IsTrue(strings.HasPrefix(title, "`") && strings.HasSuffix(title, "`")), qt.Commentf("%s: no message", title))
			list = append(list, strings.Trim(title, "`"))
		}
	}
	return list
}

// Each message that is explained is one that something says.
func TestMessages(t *testing.T) {
	said := literals(t)
	list := messages(t)
	qt.Assert(t, qt.IsTrue(len(list) > 40))
	for _, m := range list {
		if foreign[m] != "" {
			continue
		}
		if !slices.ContainsFunc(said, func(s string) bool { return guide.Contains(s, m) }) {
			t.Errorf("nothing says: %s", m)
		}
	}
}

// Each error of the runtime is explained, by what it says and by its name.
func TestEveryRuntimeError(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docs", "troubleshooting.md"))
	qt.Assert(t, qt.IsNil(err))
	document := string(data)
	count := 0
	for name, says := range sentinels(t, filepath.Join(root, "runtime")) {
		count++
		_, entry, ok := strings.Cut(document, "### `"+says+"`\n")
		entry, _, _ = strings.Cut(entry, "\n#")
		if !ok || !strings.Contains(entry, "`"+name+"`") {
			t.Errorf("%s is not explained: want a heading `%s`, and the name in what follows", name, says)
		}
	}
	qt.Check(t, qt.IsTrue(count >= 20), qt.Commentf("%d", count))
}

// sentinels returns a package's exported errors and what they say.
func sentinels(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	qt.Assert(t, qt.IsNil(err))
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		qt.Assert(t, qt.IsNil(err))
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Err") {
				return true
			}
			if call, ok := spec.Values[0].(*ast.CallExpr); ok && len(call.Args) == 1 {
				if s, ok := goString(call.Args[0]); ok {
					found[spec.Names[0].Name] = s
				}
			}
			return true
		})
	}
	return found
}
