package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// touches are the functions and variables of package os that read and write files, or print past what escapes.
var touches = []string{"Create", "CreateTemp", "Open", "OpenFile", "ReadFile", "Stderr", "Stdout", "WriteFile"}

// mayTouch are the places where they are right.
var mayTouch = map[string]string{
	"internal/file":                        "is what the others use",
	"tools/internal/cli":                   "gives the others their streams",
	"tools/signtool/plugin/group_linux.go": "opens the terminal",
	"tools/release":                        "works on this repository's own files",
	"tools/offline":                        "works on files that it has downloaded",
	"tools/testcount":                      "reads what go test and Bazel wrote",
}

// What users name on a command line is read with a limit, written without replacing what is no file, and what is printed is
// escaped: by internal/file and tools/internal/cli, and nowhere else.
func TestFilesAndStreams(t *testing.T) {
	used := map[string]bool{}
	for _, top := range []string{"internal", "tools", "verify"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/testdata/") {
				return err
			}
			name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := s.X.(*ast.Ident); !ok || x.Name != "os" || !slices.Contains(touches, s.Sel.Name) {
					return true
				}
				for place := range mayTouch {
					if under(name, place) {
						used[place] = true
						return true
					}
				}
				t.Errorf("%v: os.%s: read and write by internal/file, and print by tools/internal/cli", set.Position(s.Pos()), s.Sel.Name)
				return true
			})
			return nil
		})
		qt.Assert(t, qt.IsNil(err))
	}
	for place := range mayTouch {
		qt.Check(t, qt.IsTrue(used[place]), qt.Commentf("%s touches no file any more", place))
	}
}
