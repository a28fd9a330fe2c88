package simkernel_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
)

// update remakes testdata: -update clang,bpftool-without-excl-check,bpftool-7.2,bpftool-7.3
var update = flag.String("update", "", "remake testdata with `clang,bpftool,bpftool,bpftool`: the last ones before 7.2, of 7.2 and of 7.3")

// ctxSize is the size of the samples' context: its header, 7 maps and 2 programs.
const ctxSize = 24 + 7*16 + 2*4

// samples are the loaders in testdata, all of sample.bpf.c.
var samples = []struct {
	name      string
	tool      int
	bigEndian bool
	scheme    bundle.Scheme
}{
	{"cve", 0, false, bundle.MapHash}, // as bpftool made them before it knew of CVE-2026-80675
	{"map-hash", 1, false, bundle.MapHash},
	{"map-hash-be", 1, true, bundle.MapHash},
	{"payload", 2, false, bundle.Payload},
	{"payload-be", 2, true, bundle.Payload},
	{"unsigned", 2, false, 0},
}

// sample reads a loader from testdata.
func sample(t testing.TB, name string) simkernel.Loader {
	t.Helper()
	for _, s := range samples {
		if s.name != name {
			continue
		}
		read := func(ext string) []byte {
			b, err := os.ReadFile(filepath.Join("testdata", name+ext))
			qt.Assert(t, qt.IsNil(err))
			return b
		}
		return simkernel.Loader{
			Scheme: s.scheme, BigEndian: s.bigEndian, Insns: read(".insns"), Blob: read(".data"), CtxSize: ctxSize,
		}
	}
	t.Fatalf("no sample %q", name)
	panic("unreachable")
}

func TestUpdate(t *testing.T) {
	if *update == "" {
		t.Skip("not asked to remake testdata")
	}
	paths := strings.Split(*update, ",")
	qt.Assert(t, qt.HasLen(paths, 4))
	dir := t.TempDir()
	for _, s := range samples {
		target := "bpfel"
		if s.bigEndian {
			target = "bpfeb"
		}
		object := filepath.Join(dir, "sample.o")
		kept := filepath.Join("testdata", "sample-"+target+".o")
		cmd := exec.Command(paths[0], "-O2", "-g", "-mcpu=v3", "-target", target, "-fdebug-compilation-dir=.", "-c", "sample.bpf.c", "-o", object)
		cmd.Dir = "testdata"
		out, err := cmd.CombinedOutput()
		qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
		out, err = exec.Command(filepath.Join(filepath.Dir(paths[0]), "llvm-strip"), "-g", object, "-o", kept).CombinedOutput()
		qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
		tool := &bpftool.Tool{Path: paths[1+s.tool]}
		skel, err := tool.Generate(object, dir, s.scheme != 0)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(skel.CtxSize, ctxSize))
		for ext, data := range map[string][]byte{".insns": skel.Insns, ".data": skel.Blob} {
			qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join("testdata", s.name+ext), data, 0o644)))
		}
	}
}
