package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// The hosted workflow runs the same script as everyone else, and nothing of its own that could differ from it.
func TestWorkflow(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, ".github", "workflows", "ci.yml"))
	qt.Assert(t, qt.IsNil(err))
	var runs []string
	for line := range strings.Lines(string(data)) {
		if _, command, ok := strings.Cut(line, "run: "); ok {
			runs = append(runs, strings.TrimSpace(command))
		}
	}
	qt.Assert(t, qt.Not(qt.HasLen(runs, 0)))
	qt.Check(t, qt.Equals(runs[len(runs)-1], ".ci/run"))
	for _, command := range runs {
		for _, tool := range []string{"bazel", "go test", "tools/"} {
			qt.Check(t, qt.IsFalse(strings.Contains(command, tool)), qt.Commentf("%s: put it into .ci/run", command))
		}
	}
	info, err := os.Stat(filepath.Join(root, ".ci", "run"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Not(qt.Equals(info.Mode()&0o111, 0)), qt.Commentf(".ci/run must be executable"))
}
