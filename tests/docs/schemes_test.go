package docs_test

import (
	"encoding/json"
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

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// schemeFiles are the files that name an attestation scheme, and why they must.
var schemeFiles = map[string]string{
	"bundle/scheme.go":             "the table",
	"internal/simkernel/attest.go": "what the simulated host does, from its own knowledge",
	"runtime/kernel.go":            "how a kernel's BTF shows its scheme",
	"tools/signtool/audit.go":      "the default of a flag",
}

// All other code asks a scheme for its properties. So a new scheme is a row in the table, and what really differs.
func TestFewFilesNameAScheme(t *testing.T) {
	named := map[string]bool{}
	for _, s := range bundle.Schemes {
		named[strconv.Quote(s.String())] = true
	}
	constants := []string{"MapHash", "Payload"}
	qt.Assert(t, qt.Equals(len(constants), len(bundle.Schemes)), qt.Commentf("name the new scheme's constant here"))
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch {
		case d.IsDir() && (slices.Contains([]string{"tests", "bench", "examples", "e2e", "testdata"}, d.Name()) ||
			strings.HasPrefix(d.Name(), "bazel-") || path != root && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir // they are about the schemes that exist
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				found[file] = found[file] || ok && pkg.Name == "bundle" && slices.Contains(constants, n.Sel.Name)
			case *ast.BasicLit:
				found[file] = found[file] || named[n.Value]
			}
			return true
		})
		return nil
	})
	qt.Assert(t, qt.IsNil(err))
	for file, names := range found {
		if names && schemeFiles[file] == "" {
			t.Errorf("%s names a scheme: ask the scheme for its properties (bundle.Attestation), so that a new one is not mistaken for another", file)
		}
	}
	for file := range schemeFiles {
		qt.Check(t, qt.IsTrue(found[file]), qt.Commentf("%s names no scheme: take it off the list", file))
	}
}

// The rules have the same schemes and kinds of keys as the Go code.
func TestRulesNameTheSame(t *testing.T) {
	list := func(file, name string) (values []string) {
		data, err := os.ReadFile(filepath.Join(root, "private", file))
		qt.Assert(t, qt.IsNil(err))
		m := regexp.MustCompile(`(?m)^` + name + ` = (\[.*\])$`).FindSubmatch(data)
		qt.Assert(t, qt.HasLen(m, 2), qt.Commentf("%s in %s", name, file))
		qt.Assert(t, qt.IsNil(json.Unmarshal(m[1], &values)))
		return values
	}
	var schemes []string
	for _, s := range bundle.Schemes {
		schemes = append(schemes, s.String())
	}
	qt.Check(t, qt.DeepEquals(list("signed_loader.bzl", "SCHEMES"), schemes))
	var kinds []string
	for _, k := range bundle.Kinds {
		kinds = append(kinds, string(k))
	}
	qt.Check(t, qt.DeepEquals(list("signing_key.bzl", "KINDS"), kinds))
}
