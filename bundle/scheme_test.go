package bundle

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestSignedBytes(t *testing.T) {
	b := sample()
	for scheme, size := range map[Scheme]int{MapHash: 16, Payload: 16 + len(b.Blob)} {
		signed, err := b.SignedBytes(b.Loader(scheme))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.HasLen(signed, size))
	}
}

func TestSchemeNames(t *testing.T) {
	for _, s := range Schemes {
		parsed, err := ParseScheme(s.String())
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(parsed, s))
		text, err := json.Marshal(map[string]Scheme{"scheme": s})
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(string(text), `{"scheme":"`+s.String()+`"}`))
	}
	_, err := ParseScheme("nonsense")
	qt.Assert(t, qt.ErrorIs(err, ErrUnknownScheme))
	qt.Check(t, qt.StringContains(err.Error(), `"nonsense": want one of `+schemeNames()))
}

// The table has what a bundle relies on: loaders are ordered by scheme, and no two schemes have a name or a number in common.
func TestSchemeTable(t *testing.T) {
	qt.Check(t, qt.IsTrue(slices.IsSorted(Schemes)))
	names := map[string]bool{}
	last := Scheme(0) // unsigned: no scheme
	for _, row := range schemeTable {
		qt.Check(t, qt.IsTrue(row.scheme > last))
		qt.Check(t, qt.IsFalse(names[row.name]), qt.Commentf("two schemes named %s", row.name))
		last, names[row.name] = row.scheme, true
		qt.Check(t, qt.Not(qt.Equals(row.Kernels, "")))
		qt.Check(t, qt.Not(qt.Equals(row.Covers, "")))
		// Someone must look at the map's contents: the kernel, by the signature, or the loader.
		qt.Check(t, qt.IsTrue(row.SignsMap || row.LoaderChecks), qt.Commentf("%v", row.scheme))
	}
}

// A scheme that is not in the table has no properties, whatever it is asked for.
func TestUnknownScheme(t *testing.T) {
	for _, s := range []Scheme{0, Schemes[len(Schemes)-1] + 1, 255} {
		_, err := s.Attestation()
		qt.Check(t, qt.ErrorIs(err, ErrUnknownScheme))
		text, err := s.MarshalText()
		qt.Assert(t, qt.IsNil(err))
		_, err = ParseScheme(string(text))
		qt.Check(t, qt.ErrorIs(err, ErrUnknownScheme))
		b := sample()
		b.Loaders[1].Scheme = s
		signed, err := b.SignedBytes(&b.Loaders[1])
		qt.Check(t, qt.ErrorIs(err, ErrUnknownScheme))
		qt.Check(t, qt.IsNil(signed))
		_, err = Encode(b)
		qt.Check(t, qt.ErrorIs(err, ErrMalformed))
		qt.Check(t, qt.ErrorIs(err, ErrUnknownScheme))
		_, err = Decode(write(t, b))
		qt.Check(t, qt.ErrorIs(err, ErrUnknownScheme))
	}
}

// A third scheme is a row of the table: it has its own name and properties, and changes nothing about the other two.
func TestThirdScheme(t *testing.T) {
	third := Schemes[len(Schemes)-1] + 1
	table, all := schemeTable, Schemes
	t.Cleanup(func() { schemeTable, Schemes = table, all })
	before := map[Scheme][]byte{}
	b := sample()
	for _, l := range b.Loaders {
		signed, err := b.SignedBytes(&l)
		qt.Assert(t, qt.IsNil(err))
		before[l.Scheme] = bytes.Clone(signed)
	}

	schemeTable = append(slices.Clone(table), schemeRow{third, "third", Attestation{
		SignsMap: true, LoaderChecks: true, Kernels: "none", Covers: "everything",
	}})
	Schemes = allSchemes()
	parsed, err := ParseScheme("third")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(parsed, third))
	b.Loaders = append(b.Loaders, Loader{Scheme: third, Insns: make([]byte, 3*InsnSize)})
	data, err := Encode(b)
	qt.Assert(t, qt.IsNil(err))
	b, err = Decode(data)
	qt.Assert(t, qt.IsNil(err))
	signed, err := b.SignedBytes(b.Loader(third))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(signed, 3*InsnSize+len(b.Blob)))
	for _, s := range all {
		signed, err := b.SignedBytes(b.Loader(s))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.DeepEquals(signed, before[s]))
	}
	b.Blob = make([]byte, MaxPayload)
	b.Loaders = b.Loaders[len(b.Loaders)-1:]
	_, err = Encode(b)
	qt.Check(t, qt.ErrorMatches(err, ".*without scheme third.*"))
}
