package simkernel_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
)

// objectsEnv is the environment variable that names a folder of BPF object files.
const objectsEnv = "BPF_OBJECTS"

// maxLibbpfPrograms is how many programs libbpf's loaders have room for on their stack (MAX_USED_PROGS,
// tools/lib/bpf/gen_loader.c). bpftool generates loaders of more that write beyond it, or crashes.
const maxLibbpfPrograms = 32

// TestBpftool runs what the bpftools at hand generate from the objects at hand.
func TestBpftool(t *testing.T) {
	dir := os.Getenv(objectsEnv)
	if dir == "" {
		t.Skipf("no object files: name a folder in $%s", objectsEnv)
	}
	objects, err := filepath.Glob(filepath.Join(dir, "*.o"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range bpftool.ForTest(t) {
		count := map[string]int{}
		for _, o := range objects {
			s, err := tool.Generate(o, t.TempDir(), false)
			if errors.Is(err, bpftool.ErrRefused) {
				count["objects refused"]++
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(o), err)
				continue
			}
			res := simkernel.Run(simkernel.Loader{Insns: s.Insns, Blob: s.Blob, CtxSize: s.CtxSize}, simkernel.Options{})
			switch err := res.Err(); {
			case err != nil && len(s.Programs) > maxLibbpfPrograms && strings.Contains(err.Error(), "the stack+512 are outside of it"):
				count["loaders with too many programs"]++
			case err != nil && strings.Contains(err.Error(), "which is not open"):
				count["loaders that fail and close a descriptor twice"]++
			case err != nil:
				t.Errorf("%s: %v", filepath.Base(o), err)
			case res.Stage == simkernel.StageRun && res.Errno != 0: // the object leaves something for its user to fill in
				count["loaders that fail with "+res.Errno.String()]++
			case res.Errno != 0:
				t.Errorf("%s: refused with %v: %s", filepath.Base(o), res.Errno, res.Why)
			default:
				count["loaders that work"]++
			}
		}
		t.Logf("%s: %v", tool.Path, count)
	}
}
