package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "vmlinux.h")
	object := "../../internal/cheader/testdata/types-bpfeb.o"
	qt.Assert(t, qt.IsNil(run([]string{"-btf", object, "-out", out}, io.Discard)))
	got, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	want, err := os.ReadFile("../../internal/cheader/testdata/types.h")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(got), string(want)))
}

// Errors name the file, and leave no header.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte(content), 0o644)))
		return path
	}
	object := "../../internal/cheader/testdata/types-bpfel.o"
	// A header of 24 bytes, no types, and strings that go on from another's.
	module := "\x9f\xeb\x01\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00m\x00"
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"no file", []string{"-btf", "missing.btf"}, "open missing.btf: no such file.*"},
		{"no BTF", []string{"-btf", write("text.btf", "text")}, ".*text.btf: no BTF: neither ELF nor raw BTF.*"},
		{"module alone", []string{"-btf", write("module.btf", module)}, ".*module.btf: malformed BTF: .*: give the kernel's with -btf, and this with -module"},
		{"module of other byte order", []string{"-btf", "../../internal/cheader/testdata/types-bpfeb.o", "-module", filepath.Join(dir, "module.btf")}, ".*module.btf: malformed BTF: byte order.*"},
		{"kernel as a module", []string{"-btf", object, "-module", "../../internal/cheader/testdata/update"}, ".*testdata/update: no BTF.*"},
		{"no -btf", nil, "wrong usage: .*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(dir, "vmlinux.h")
			err := run(append(test.args, "-out", out), io.Discard)
			qt.Assert(t, qt.ErrorMatches(err, test.want))
			_, err = os.Stat(out)
			qt.Check(t, qt.ErrorIs(err, os.ErrNotExist))
		})
	}
}
