package provenance

import (
	"crypto/sha256"
	"os"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// small is a bundle as far as a statement is about it.
func small() *bundle.Bundle {
	object := sha256.Sum256([]byte("object"))
	exit := []byte{0x95, 0, 0, 0, 0, 0, 0, 0}
	return &bundle.Bundle{
		Contract: bundle.Contract{Object: bundle.Object{Name: "small.bpf.o", SHA256: object[:]}, CtxSize: bundle.CtxHeaderSize},
		Loaders:  []bundle.Loader{{Scheme: bundle.MapHash, Insns: exit}, {Scheme: bundle.Payload, Insns: exit}},
		Blob:     []byte("blob"),
	}
}

var build = Build{
	Compiler:  "clang version 21.1.0",
	Flags:     []string{"-O2", "-D__TARGET_ARCH_x86", `-DNAME="<&>"`},
	Kconfig:   map[string]string{"CONFIG_HZ": "250", "CONFIG_BPF_LSM": "y"},
	Materials: []Resource{NewResource("small.bpf.c", []byte("int x;"))},
}

// statement returns the statement of a bundle.
func statement(t *testing.T, b *bundle.Bundle) *Statement {
	t.Helper()
	s, err := New(b, build)
	qt.Assert(t, qt.IsNil(err))
	return s
}

func TestGolden(t *testing.T) {
	got, err := statement(t, small()).Encode()
	qt.Assert(t, qt.IsNil(err))
	const golden = "testdata/small.intoto.json"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		qt.Assert(t, qt.IsNil(os.MkdirAll("testdata", 0o755)))
		qt.Assert(t, qt.IsNil(os.WriteFile(golden, got, 0o644)))
	}
	want, err := os.ReadFile(golden)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(got), string(want)))
}

// Signing changes nothing.
func TestIndependentOfSignatures(t *testing.T) {
	b := small()
	b.Loaders[0].Signatures = []bundle.Signature{{KeyID: []byte{1}, Kind: bundle.KindTest, CMS: []byte{1}}}
	qt.Assert(t, qt.DeepEquals(statement(t, b), statement(t, small())))
}

func TestDecodeCheck(t *testing.T) {
	data, err := statement(t, small()).Encode()
	qt.Assert(t, qt.IsNil(err))
	s, err := Decode(data)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(s, statement(t, small())))
	qt.Assert(t, qt.IsNil(s.Check(small())))

	for _, c := range []struct {
		name, want string
		change     func(b *bundle.Bundle)
	}{
		{"instructions", "small/payload.insns has", func(b *bundle.Bundle) { b.Loaders[1].Insns = make([]byte, 8) }},
		{"blob", "small/blob has", func(b *bundle.Bundle) { b.Blob = []byte("bl0b") }},
		{"object", "small.bpf.o has", func(b *bundle.Bundle) { b.Object.SHA256 = make([]byte, 32) }},
		{"name", "does not name other/blob", func(b *bundle.Bundle) { b.Object.Name = "other.bpf.o" }},
		{"a scheme less", "3 subjects", func(b *bundle.Bundle) { b.Loaders = b.Loaders[:1] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := small()
			c.change(b)
			err := s.Check(b)
			qt.Assert(t, qt.ErrorIs(err, ErrMismatch))
			qt.Assert(t, qt.StringContains(err.Error(), c.want))
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	good, err := statement(t, small()).Encode()
	qt.Assert(t, qt.IsNil(err))
	for _, c := range []struct{ name, data, want string }{
		{"not JSON", "hello", "malformed"},
		{"something after it", string(good) + "{}", "after its end"},
		{"another type", strings.Replace(string(good), StatementType, "https://example.com/Statement", 1), "not a statement"},
		{"another predicate", strings.Replace(string(good), PredicateType, "https://example.com/predicate", 1), "not a statement"},
		{"unknown field", strings.Replace(string(good), `"subject"`, `"subjects"`, 1), "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode([]byte(c.data))
			qt.Assert(t, qt.ErrorMatches(err, ".*"+c.want+".*"))
		})
	}
}
