//go:build linux

package kernel_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// TestRace runs the runtime's own tests of concurrency in the guests, with the race detector. That is in C, which Bazel's
// builds do without: tools/test runs this one.
func TestRace(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector takes long to build")
	}
	all := kernels(t)
	vm.NeedQEMU(t, runtime.GOARCH)
	if _, err := exec.LookPath("cc"); err != nil {
		vm.Missing(t, "the race detector needs a C compiler: %v", err)
	}
	binary := filepath.Join(t.TempDir(), "runtime.race")
	// Statically linked: the guest has no C library.
	cmd := exec.Command("go", "test", "-race", "-c", "-o", binary, "-ldflags=-linkmode external -extldflags -static", "../../runtime")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the runtime's tests with the race detector: %v\n%s", err, out)
	}
	files := map[string][]byte{guest.DataDir + "/runtime.race": read(t, binary)}
	for _, k := range all {
		if k.Arch() == runtime.GOARCH {
			t.Run(k.Name, func(t *testing.T) { boot(t, k, "^TestRace$", files) })
		}
	}
}
