//go:build linux

package guest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// TestCorpus tells how many bundles load, and why the others do not.
func TestCorpus(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(guest.DataDir, "corpus", "*.bpfl"))
	cert := guest.ReadData(t, "cert.der")
	loaded := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pins, err := os.MkdirTemp("/sys/fs/bpf", "corpus")
		if err != nil {
			t.Fatal(err)
		}
		// A local-storage map that fails in a loader never lets that go, in kernels up to 7.3 at least: go on without it.
		done := make(chan error, 1)
		go func() {
			c, err := runtime.LoadBytes(t.Context(), raw, runtime.Enroll(cert), runtime.PinRoot(pins))
			if err == nil {
				c.Close()
			}
			done <- err
		}()
		select {
		case err = <-done:
		case <-time.After(2 * time.Minute):
			err = errors.New("hangs")
		}
		if err != nil {
			t.Logf("%s: %v", filepath.Base(file), err)
			continue
		}
		loaded++
	}
	t.Logf("%d of %d load", loaded, len(files))
}
