package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.o")
	testdata := filepath.Join("..", "..", "internal", "linker", "testdata")
	part := func(name string) string { return filepath.Join(testdata, name+".bpf.o") }

	qt.Assert(t, qt.IsNil(run([]string{"-out", out, part("main"), part("lib")}, io.Discard)))
	_, err := os.Stat(out)
	qt.Check(t, qt.IsNil(err))

	// What cannot be linked leaves nothing.
	bad := filepath.Join(dir, "bad.o")
	qt.Check(t, qt.ErrorMatches(run([]string{"-out", bad, part("main"), part("main")}, io.Discard), ".*symbol first: is defined in main.bpf.o too.*"))
	qt.Check(t, qt.ErrorIs(run([]string{"-out", bad, filepath.Join(dir, "none.o")}, io.Discard), os.ErrNotExist))
	for _, args := range [][]string{{}, {"-out", bad}, {part("main")}, {"-nonsense"}} {
		qt.Check(t, qt.ErrorIs(run(args, io.Discard), errUsage))
	}
	files, err := os.ReadDir(dir)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(files, 1))
}
