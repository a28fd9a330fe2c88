package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/tests/files"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "vmlinux.h")
	object := "../../internal/cheader/testdata/types-bpfeb.o"
	qt.Assert(t, qt.IsNil(run([]string{"-btf", object, "-out", out}, cli.NewEnv(nil, io.Discard, io.Discard))))
	got, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	want, err := os.ReadFile("../../internal/cheader/testdata/types.h")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(got), string(want)))
}

// A module's types come after the kernel's that they refer to.
func TestModule(t *testing.T) {
	dir := t.TempDir()
	// file writes raw BTF of types as words, and strings.
	file := func(name, strings string, types ...uint32) string {
		raw := []byte{0x9f, 0xeb, 1, 0}
		size := uint32(4 * len(types))
		for _, v := range append([]uint32{24, 0, size, size, uint32(len(strings))}, types...) {
			raw = binary.LittleEndian.AppendUint32(raw, v)
		}
		path := filepath.Join(dir, name)
		qt.Assert(t, qt.IsNil(os.WriteFile(path, append(raw, strings...), 0o644)))
		return path
	}
	const structOfOne = uint32(btf.Struct)<<24 | 1
	kernel := file("vmlinux", "\x00int\x00sock\x00", 1, uint32(btf.Int)<<24, 4, 32, 5, structOfOne, 4, 1, 1, 0)
	// Strings go on from 10, types from 3.
	module := file("module", "wrapper\x00", 10, structOfOne, 4, 5, 2, 0)
	out := filepath.Join(dir, "vmlinux.h")
	qt.Assert(t, qt.IsNil(run([]string{"-btf", kernel, "-module", module, "-out", out}, cli.NewEnv(nil, io.Discard, io.Discard))))
	got, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(string(got), "struct sock {\n\tint _int;\n};\n\nstruct wrapper {\n\tstruct sock sock;\n};\n"))
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
		{"kernel as a module", []string{"-btf", object, "-module", object}, ".*types-bpfel.o: malformed BTF: .*: it is no module's.*"},
		{"module without BTF", []string{"-btf", object, "-module", "../../internal/cheader/testdata/update"}, ".*testdata/update: no BTF.*"},
		{"no -btf", nil, "wrong usage: .*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(dir, "vmlinux.h")
			err := run(append(test.args, "-out", out), cli.NewEnv(nil, io.Discard, io.Discard))
			qt.Assert(t, qt.ErrorMatches(err, test.want))
			_, err = os.Stat(out)
			qt.Check(t, qt.ErrorIs(err, os.ErrNotExist))
		})
	}
}

func TestFiles(t *testing.T) {
	object := "../../internal/cheader/testdata/types-bpfeb.o"
	files.Outputs(t, func(out string, stdout io.Writer) error {
		return run([]string{"-btf", object, "-out", out}, cli.NewEnv(nil, stdout, io.Discard))
	})
	header := filepath.Join(t.TempDir(), "vmlinux.h")
	btfOf := func(in string, stdin io.Reader) error {
		return run([]string{"-btf", in, "-out", header}, cli.NewEnv(stdin, io.Discard, io.Discard))
	}
	for _, in := range []string{object, "-"} {
		data, err := os.ReadFile(object)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.IsNil(btfOf(in, bytes.NewReader(data))))
	}
	err := run([]string{"-btf", "-", "-module", "-", "-out", header}, cli.NewEnv(strings.NewReader(""), io.Discard, io.Discard))
	qt.Check(t, qt.IsNotNil(err))
}

// A kernel with its debug information may have any size; what is read of it may not.
func TestSize(t *testing.T) {
	dir := t.TempDir()
	object := "../../internal/cheader/testdata/types-bpfeb.o"
	data, err := os.ReadFile(object)
	qt.Assert(t, qt.IsNil(err))
	large := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		qt.Assert(t, qt.IsNil(os.WriteFile(path, data, 0o644)))
		if err := os.Truncate(path, 6<<30); err != nil {
			t.Skipf("no sparse files here: %v", err)
		}
		return path
	}
	header := filepath.Join(dir, "vmlinux.h")
	btfOf := func(path string) error {
		return run([]string{"-btf", path, "-out", header}, cli.NewEnv(nil, io.Discard, io.Discard))
	}
	qt.Check(t, qt.IsNil(btfOf(large("vmlinux", data))))
	want, err := os.ReadFile("../../internal/cheader/testdata/types.h")
	qt.Assert(t, qt.IsNil(err))
	got, err := os.ReadFile(header)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(got), string(want)))

	qt.Check(t, qt.ErrorMatches(btfOf(large("raw.btf", []byte{0x9f, 0xeb})), ".*raw.btf: malformed BTF: 6442450944 bytes of BTF, limit 268435456"))
	qt.Check(t, qt.ErrorIs(btfOf(large("zeros", nil)), btf.ErrNoBTF))

	// A section that says it is large, compressed or not.
	f, err := elf.NewFile(bytes.NewReader(data))
	qt.Assert(t, qt.IsNil(err))
	at := slices.IndexFunc(f.Sections, func(s *elf.Section) bool { return s.Name == ".BTF" })
	header64 := data[f.ByteOrder.Uint64(data[0x28:])+uint64(at)*64:]
	f.ByteOrder.PutUint64(header64[0x20:], 1<<40) // sh_size
	qt.Check(t, qt.ErrorMatches(btfOf(large("section", data)), ".*section .BTF: malformed BTF: 1099511627776 bytes of BTF, limit .*"))
}
