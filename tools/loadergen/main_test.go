package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
)

const fixtures = "../../internal/object/testdata/"

func TestCompile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "data.bpfl")
	qt.Assert(t, qt.IsNil(run([]string{"-object", fixtures + "data.bpf.o", "-out", out, "-scheme", "payload"}, io.Discard)))
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
			err := run(args, io.Discard)
			qt.Assert(t, qt.IsNotNil(err))
			qt.Check(t, qt.StringContains(err.Error(), c.says))
			if c.usage {
				qt.Check(t, qt.ErrorIs(err, errUsage))
			}
			left, err := os.ReadDir(dir)
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.HasLen(left, 0))
		})
	}
}
