package docs_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

const modulePath = "github.com/rules-bpf/rules_bpf"

// Each folder with an idea of its own is in the table of architecture.md, and none that is gone.
func TestArchitectureTable(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	qt.Assert(t, qt.IsNil(err))
	var table []string
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			table = append(table, cells[1])
		}
	}
	rows := strings.Join(table, "\n")
	for _, parent := range []string{"internal", "tools", "tests"} {
		entries, err := os.ReadDir(filepath.Join(root, parent))
		qt.Assert(t, qt.IsNil(err))
		for _, e := range entries {
			if name := "`" + parent + "/" + e.Name() + "/`"; e.IsDir() && !strings.Contains(rows, name) {
				t.Errorf("docs/architecture.md has no row of %s", name)
			}
		}
	}
	for _, m := range code.FindAllString(rows, -1) {
		name := strings.Trim(m, "`")
		if strings.Contains(name, "*") {
			continue
		}
		_, err := os.Stat(filepath.Join(root, name))
		qt.Check(t, qt.IsNil(err))
	}
}

// The run side, which ships, imports nothing of the build side.
func TestLayers(t *testing.T) {
	allowed := map[string][]string{
		"bundle":  {},
		"runtime": {"bundle", "runtime"},
	}
	for dir, may := range allowed {
		files := 0
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range file.Imports {
				imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), modulePath+"/")
				if !ours {
					continue
				}
				ok := false
				for _, m := range may {
					ok = ok || imported == m || strings.HasPrefix(imported, m+"/")
				}
				if !ok {
					t.Errorf("%s imports %s", path, imported)
				}
			}
			return nil
		})
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Not(qt.Equals(files, 0)))
	}
}
