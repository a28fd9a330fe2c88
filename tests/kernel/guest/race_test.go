//go:build linux

package guest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// TestRace has the runtime's tests load 32 bundles at once, signed, under the race detector.
func TestRace(t *testing.T) {
	const binary = guest.DataDir + "/runtime.race"
	if _, err := os.Stat(binary); err != nil {
		t.Skip("no race detector: tests/kernel's TestRace has it")
	}
	if scheme(t) == 0 {
		t.Skip("this kernel attests no loader")
	}
	cmd := exec.Command(binary, "-test.v", "-test.run=Concurrent")
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
	for _, name := range []string{"TestConcurrent", "TestSignedConcurrent"} {
		qt.Check(t, qt.IsTrue(strings.Contains(string(out), "--- PASS: "+name+" ")), qt.Commentf("%s", out))
	}
}
