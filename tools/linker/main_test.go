package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tests/files"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.o")
	testdata := filepath.Join("..", "..", "internal", "linker", "testdata")
	part := func(name string) string { return filepath.Join(testdata, name+".bpf.o") }

	qt.Assert(t, qt.IsNil(run([]string{"-out", out, part("main"), part("lib")}, cli.NewEnv(nil, io.Discard, io.Discard))))
	_, err := os.Stat(out)
	qt.Check(t, qt.IsNil(err))

	// What cannot be linked leaves nothing.
	bad := filepath.Join(dir, "bad.o")
	qt.Check(t, qt.ErrorMatches(run([]string{"-out", bad, part("main"), part("main")}, cli.NewEnv(nil, io.Discard, io.Discard)), ".*symbol first: is defined in main.bpf.o too.*"))
	qt.Check(t, qt.ErrorIs(run([]string{"-out", bad, filepath.Join(dir, "none.o")}, cli.NewEnv(nil, io.Discard, io.Discard)), os.ErrNotExist))
	for _, args := range [][]string{{}, {"-out", bad}, {part("main")}, {"-nonsense"}} {
		qt.Check(t, qt.ErrorIs(run(args, cli.NewEnv(nil, io.Discard, io.Discard)), cli.ErrUsage))
	}
	files, err := os.ReadDir(dir)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(files, 1))
}

func TestFiles(t *testing.T) {
	part := filepath.Join("..", "..", "internal", "linker", "testdata", "lib.bpf.o")
	files.Outputs(t, func(out string, stdout io.Writer) error {
		return run([]string{"-out", out, part}, cli.NewEnv(nil, stdout, io.Discard))
	})
	files.Inputs(t, part, func(in string, stdin io.Reader) error {
		return run([]string{"-out", filepath.Join(t.TempDir(), "out"), in}, cli.NewEnv(stdin, io.Discard, io.Discard))
	})
	err := run([]string{"-out", "-", "-", "-"}, cli.NewEnv(strings.NewReader(""), io.Discard, io.Discard))
	qt.Check(t, qt.ErrorIs(err, file.ErrStdTwice))
}
