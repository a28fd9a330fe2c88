//go:build linux

package upstream_test

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

var corpus = flag.String("corpus", "", "a folder of objects: count those that loaders can be made of, and that load")

// TestCorpus counts; it judges nothing, since many objects are meant to fail.
//
//	tools/offline/enter.sh go test -v -timeout 60m -run TestCorpus ./tests/upstream -corpus DIR
func TestCorpus(t *testing.T) {
	if *corpus == "" {
		t.Skip("no -corpus named")
	}
	objects, err := filepath.Glob(filepath.Join(*corpus, "*.o"))
	if err != nil || len(objects) == 0 {
		t.Fatalf("no objects in %s: %v", *corpus, err)
	}
	kernel, _ := kernelAndSource(t)
	id := developer(t)
	files := map[string][]byte{guest.DataDir + "/cert.der": id.Certificate.Raw}
	generated := 0
	var took time.Duration
	for _, path := range objects {
		start := time.Now()
		b, err := generate(path)
		took += time.Since(start)
		if err != nil {
			t.Logf("not generated: %v", err)
			continue
		}
		generated++
		if err := id.Sign(b, bundle.KindDevelopment); err != nil {
			t.Fatal(path, err)
		}
		raw, err := bundle.Encode(b)
		if err != nil {
			t.Fatal(path, err)
		}
		files[guest.DataDir+"/corpus/"+strings.TrimSuffix(filepath.Base(path), ".o")+".bpfl"] = raw
	}
	theirs := 0
	start := time.Now()
	for _, tool := range bpftool.Installed()[:1] {
		for _, path := range objects {
			if _, err := tool.Generate(path, t.TempDir(), false); err == nil {
				theirs++
			}
		}
	}
	t.Logf("%d objects: we make loaders of %d in %v, bpftool of %d in %v", len(objects), generated, took, theirs, time.Since(start))

	result, err := vm.Run(t.Context(), vm.Config{
		Kernel: kernel.Image, Arch: kernel.Arch(), Init: guestBinary(t), Files: files, Memory: 6144, Timeout: 50 * time.Minute,
		Args: []string{"-test.run=TestCorpus", "-test.timeout=49m"},
	})
	if result == nil {
		t.Fatal(err)
	}
	result.Replay(t, err)
}
