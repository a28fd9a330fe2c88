package docs_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// layers are the folders of this repository, and which of them each may import; docs/architecture.md draws the same. A
// folder may always import what is below itself.
var layers = map[string][]string{
	"bundle":   {},
	"internal": {"bundle"},
	"runtime":  {"bundle"},
	"verify":   {"bundle", "internal"},
	"signers":  {},
	"language": {"bundle"},
	"examples": {"bundle", "runtime"},
	"tools":    {"bundle", "internal", "verify", "runtime"},
	"tests":    {"bundle", "internal", "verify", "runtime", "tools", "examples"},
	"bench":    {"bundle", "internal", "verify", "runtime", "tools", "tests/bpftool"},
}

// architecture.md has the same table.
func TestLayersAreDrawn(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	qt.Assert(t, qt.IsNil(err))
	_, section, _ := strings.Cut(string(data), "\n## Imports\n")
	section, _, _ = strings.Cut(section, "\n## ")
	drawn := map[string][]string{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || !strings.Contains(cells[1], "`") {
			continue
		}
		folders := func(cell string) []string {
			list := []string{}
			for _, m := range code.FindAllString(cell, -1) {
				list = append(list, strings.TrimSuffix(strings.Trim(m, "`"), "/"))
			}
			return list
		}
		drawn[folders(cells[1])[0]] = folders(cells[2])
	}
	qt.Check(t, qt.DeepEquals(drawn, layers))
}

// under reports whether a folder is dir or below it.
func under(folder, dir string) bool { return folder == dir || strings.HasPrefix(folder, dir+"/") }

// mayImport reports whether a package may import another of this repository.
func mayImport(folder, imported string) bool {
	top, _, _ := strings.Cut(folder, "/")
	may := append([]string{top}, layers[top]...)
	return slices.ContainsFunc(may, func(dir string) bool { return under(imported, dir) })
}

// skipped reports whether a folder has no code of this repository's packages: other workspaces, and what Bazel and git keep.
func skipped(path string, d fs.DirEntry) bool {
	return d.Name() == "testdata" || d.Name() == "e2e" || strings.HasPrefix(d.Name(), "bazel-") || path != root && strings.HasPrefix(d.Name(), ".")
}

// folderOf returns a file's folder in the repository.
func folderOf(path string) string {
	return filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), root+string(filepath.Separator)))
}

// Imports go one way, and only tests import the package testing.
func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		folder := folderOf(path)
		top, _, _ := strings.Cut(folder, "/")
		switch {
		case d.IsDir() && skipped(path, d):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		case layers[top] == nil:
			t.Errorf("%s: the layers say nothing about folder %q", path, top)
			return nil
		}
		seen[top] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if imported == "testing" && top != "tests" {
				t.Errorf("%s imports testing: move it under tests/", path)
			}
			imported, ours := strings.CutPrefix(imported, modulePath+"/")
			if ours && !mayImport(folder, imported) {
				t.Errorf("%s may not import %s", path, imported)
			}
		}
		return nil
	})
	qt.Assert(t, qt.IsNil(err))
	for top := range layers {
		qt.Check(t, qt.IsTrue(seen[top]), qt.Commentf("no Go file in %s", top))
	}
}

// The rule itself: what ships imports nothing of the build side, and nothing reaches up.
func TestMayImport(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		want             bool
	}{
		{"runtime", "bundle", true},
		{"runtime/cmd/bpfload", "runtime/internal/sys", true},
		{"runtime", "internal/cms", false},
		{"runtime", "verify", false},
		{"bundle", "internal/insn", false},
		{"internal/loader", "tools/loadergen/golden", false},
		{"internal/signing", "verify", false},
		{"verify", "internal/signature", true},
		{"verify", "runtime", false},
		{"tools/signtool", "tests/bpftool", false},
		{"bench", "tests/bpftool", true},
		{"bench", "tests/internal/vm", false},
		{"tests/kernel", "tests/internal/vm", true},
		{"examples/counter", "internal/loader", false},
	} {
		qt.Check(t, qt.Equals(mayImport(c.folder, c.imported), c.want), qt.Commentf("%s imports %s", c.folder, c.imported))
	}
}
