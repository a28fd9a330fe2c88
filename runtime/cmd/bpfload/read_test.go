//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/runtime"
)

// Files are read from anywhere, and what is too large is an error.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	want := bytes.Repeat([]byte("more than a pipe holds "), 10_000)
	fifo, file := filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	qt.Assert(t, qt.IsNil(syscall.Mkfifo(fifo, 0o600)))
	qt.Assert(t, qt.IsNil(os.WriteFile(file, want, 0o600)))
	go func() {
		if f, err := os.OpenFile(fifo, os.O_WRONLY, 0); err == nil {
			f.Write(want)
			f.Close()
		}
	}()
	for _, path := range []string{fifo, file, "-"} {
		r := &reader{stdin: bytes.NewReader(want)}
		data, err := r.read(path, int64(len(want)))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.IsTrue(bytes.Equal(data, want)))
	}
	for path, says := range map[string]string{file: file + " is too large: 230000 bytes, limit 10", "-": "standard input is too large: more than 10 bytes"} {
		_, err := (&reader{stdin: bytes.NewReader(want)}).read(path, 10)
		qt.Check(t, qt.ErrorMatches(err, says))
	}
	if err := os.Truncate(file, 6<<30); err == nil {
		_, err = new(reader).bundle(file)
		qt.Check(t, qt.ErrorMatches(err, ".*/file is too large: 6442450944 bytes, limit 268435456"))
	}
	_, err := new(reader).read(dir, 10)
	qt.Check(t, qt.ErrorIs(err, syscall.EISDIR))
}

func TestStandardInput(t *testing.T) {
	code, _, stderr := bpfload("-")
	qt.Check(t, qt.Equals(code, 1))
	qt.Check(t, qt.StringContains(stderr, "bpfload: standard input: malformed bundle"))
	code, _, stderr = bpfload("-enroll", "-", "-")
	qt.Check(t, qt.Equals(code, 1))
	qt.Check(t, qt.StringContains(stderr, "can be read only once"))
}

// What a verifier's log quotes of the bundle, and what a file is called, forges no line and drives no terminal.
func TestPrintable(t *testing.T) {
	const hostile = "x\x1b[2J\nbpfload: all is well\u202e"
	var stderr strings.Builder
	code := fail(&stderr, &runtime.LoadError{Object: "o", Step: runtime.StepRun, Err: errors.New(hostile), Detail: hostile, Log: hostile + "\n"})
	qt.Check(t, qt.Equals(code, 1))
	for line := range strings.Lines(stderr.String()) {
		qt.Check(t, qt.IsFalse(strings.HasPrefix(line, "bpfload: all")), qt.Commentf("%q", line))
	}
	qt.Check(t, qt.StringContains(stderr.String(), "\nverifier log:\n\tx"))

	name := filepath.Join(t.TempDir(), "x\x1b[2J\nbpfload: all is well.bpfl")
	qt.Assert(t, qt.IsNil(os.WriteFile(name, []byte("no bundle"), 0o600)))
	code, _, shown := bpfload(name)
	qt.Check(t, qt.Equals(code, 1))
	qt.Check(t, qt.StringContains(shown, `x\x1b[2J`))
	qt.Check(t, qt.IsFalse(strings.Contains(shown, "\nbpfload: all")))

	var out strings.Builder
	qt.Assert(t, qt.IsNil(printJSON(&out, report{Object: "a\u009b\u202eb"})))
	qt.Check(t, qt.StringContains(out.String(), `"object": "a\u009b\u202eb"`))
}
