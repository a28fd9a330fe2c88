package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bazelbuild/buildtools/build"
	"github.com/go-quicktest/qt"
)

// dependency is one that this repository names itself.
type dependency struct{ name, version string }

// goDependencies are the direct ones of a go.mod.
func goDependencies(t *testing.T) (list []dependency) {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	qt.Assert(t, qt.IsNil(err))
	var mod struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
	}
	qt.Assert(t, qt.IsNil(json.Unmarshal(out, &mod)))
	for _, r := range mod.Require {
		if !r.Indirect {
			list = append(list, dependency{r.Path, r.Version})
		}
	}
	return list
}

// bazelDependencies are the bazel_deps of MODULE.bazel.
func bazelDependencies(t *testing.T) (list []dependency) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "MODULE.bazel"))
	qt.Assert(t, qt.IsNil(err))
	file, err := build.ParseModule("MODULE.bazel", data)
	qt.Assert(t, qt.IsNil(err))
	for _, r := range file.Rules("bazel_dep") {
		list = append(list, dependency{r.Name(), r.AttrString("version")})
	}
	return list
}

// The README's table has each direct dependency with its version and a reason, and no other.
func TestDependencyTable(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "README.md"))
	qt.Assert(t, qt.IsNil(err))
	_, table, ok := strings.Cut(string(data), "| Dependency | Why |\n| --- | --- |\n")
	qt.Assert(t, qt.IsTrue(ok), qt.Commentf("no table of dependencies"))
	table, _, _ = strings.Cut(table, "\n\n")
	told := map[dependency]bool{}
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
		qt.Assert(t, qt.HasLen(cells, 2), qt.Commentf("%s", row))
		qt.Check(t, qt.Not(qt.Equals(strings.TrimSpace(cells[1]), "")), qt.Commentf("no reason: %s", row))
		for d := range strings.SplitSeq(cells[0], ",") {
			name, version, _ := strings.Cut(strings.TrimSpace(d), " ")
			told[dependency{name, version}] = true
		}
	}
	all := append(goDependencies(t), bazelDependencies(t)...)
	qt.Assert(t, qt.IsTrue(len(all) > 10))
	for _, d := range all {
		qt.Check(t, qt.IsTrue(told[d]), qt.Commentf("no row of %s %s", d.name, d.version))
		delete(told, d)
	}
	qt.Check(t, qt.HasLen(told, 0), qt.Commentf("rows of what is no dependency, or of another version"))
}
