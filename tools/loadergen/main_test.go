package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tests/files"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

const fixtures = "../../internal/object/testdata/"

func TestCompile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "data.bpfl")
	qt.Assert(t, qt.IsNil(run([]string{"-object", fixtures + "data.bpf.o", "-out", out, "-scheme", "payload"}, cli.NewEnv(nil, io.Discard, io.Discard))))
	raw, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	b, err := bundle.Decode(raw)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(b.Object.Name, "data.bpf.o"))
	qt.Check(t, qt.IsNotNil(b.Loader(bundle.Payload)))
	qt.Check(t, qt.IsNil(b.Loader(bundle.MapHash)))
}

func TestWhatIsWrongIsSaidAndNothingWritten(t *testing.T) {
	notELF := filepath.Join(t.TempDir(), "not.bpf.o")
	qt.Assert(t, qt.IsNil(os.WriteFile(notELF, []byte("not an object"), 0o644)))
	for _, c := range []struct {
		name  string
		args  []string
		usage bool
		says  string
	}{
		{"nothing", nil, true, "want -object FILE -out FILE"},
		{"unknown flag", []string{"-objct", "x"}, true, "-objct"},
		{"scheme", []string{"-scheme", "sha1"}, true, `unknown attestation scheme "sha1": want one of map-hash, payload`},
		{"kconfig", []string{"-kconfig", "CONFIG_HZ"}, true, `"CONFIG_HZ": want NAME=VALUE`},
		{"no such file", []string{"-object", "missing.bpf.o"}, false, "missing.bpf.o: no such file"},
		{"not an object", []string{"-object", notELF}, false, "not.bpf.o: cannot load object: ELF"},
		{"not declared", []string{"-object", fixtures + "kconfig.bpf.o"}, false, "declare it: -kconfig"},
		{"no kernel BTF", []string{"-kernel-btf", "missing.btf"}, false, "missing.btf: no such file"},
		{"no folder", []string{"-out", "/no/such/folder/x.bpfl"}, false, "no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			args := c.args
			if args != nil {
				args = append([]string{"-object", fixtures + "data.bpf.o", "-out", filepath.Join(dir, "x.bpfl")}, args...)
			}
			err := run(args, cli.NewEnv(nil, io.Discard, io.Discard))
			qt.Assert(t, qt.IsNotNil(err))
			qt.Check(t, qt.StringContains(err.Error(), c.says))
			if c.usage {
				qt.Check(t, qt.ErrorIs(err, cli.ErrUsage))
			}
			left, err := os.ReadDir(dir)
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.HasLen(left, 0))
		})
	}
}

func TestFiles(t *testing.T) {
	object := fixtures + "data.bpf.o"
	files.Outputs(t, func(out string, stdout io.Writer) error {
		return run([]string{"-object", object, "-out", out}, cli.NewEnv(nil, stdout, io.Discard))
	})
	files.Inputs(t, object, func(in string, stdin io.Reader) error {
		return run([]string{"-object", in, "-out", filepath.Join(t.TempDir(), "out")}, cli.NewEnv(stdin, io.Discard, io.Discard))
	})
	err := run([]string{"-object", "-", "-kernel-btf", "-", "-out", filepath.Join(t.TempDir(), "out")}, cli.NewEnv(bytes.NewReader(read(t, object)), io.Discard, io.Discard))
	qt.Check(t, qt.ErrorIs(err, file.ErrStdTwice))
}

// An object of standard input has a name for its maps.
func TestStandardInput(t *testing.T) {
	var out bytes.Buffer
	err := run([]string{"-object", "-", "-out", "-"}, cli.NewEnv(bytes.NewReader(read(t, fixtures+"data.bpf.o")), &out, io.Discard))
	qt.Assert(t, qt.IsNil(err))
	b, err := bundle.Decode(out.Bytes())
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(b.Object.Name, "stdin"))
	qt.Check(t, qt.IsTrue(slices.ContainsFunc(b.Maps, func(m bundle.Map) bool { return m.Kernel == "stdin.data" })), qt.Commentf("%v", b.Maps))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	qt.Assert(t, qt.IsNil(err))
	return data
}
