package signature

import (
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
)

func by(key byte, cms string) bundle.Signature {
	return bundle.Signature{KeyID: []byte{key}, Kind: bundle.KindTest, CMS: []byte(cms)}
}

// A key has one signature of a loader: a later one takes the place of an earlier one.
func TestPut(t *testing.T) {
	l := &bundle.Loader{}
	qt.Check(t, qt.IsFalse(Has(l, []byte{1})))
	Put(l, by(1, "a"))
	Put(l, by(2, "b"))
	Put(l, by(1, "c"))
	qt.Check(t, qt.DeepEquals(l.Signatures, []bundle.Signature{by(1, "c"), by(2, "b")}))
	qt.Check(t, qt.IsTrue(Has(l, []byte{2})))
	qt.Check(t, qt.IsFalse(Has(l, []byte{1, 2})))
}

func TestStrip(t *testing.T) {
	signed := func() *bundle.Bundle {
		return &bundle.Bundle{Loaders: []bundle.Loader{
			{Scheme: bundle.MapHash, Signatures: []bundle.Signature{by(1, "a"), by(2, "b")}},
			{Scheme: bundle.Payload, Signatures: []bundle.Signature{by(2, "c")}},
		}}
	}
	b := signed()
	qt.Check(t, qt.Equals(Strip(b, []byte{3}), 0))
	qt.Check(t, qt.DeepEquals(b, signed()))
	qt.Check(t, qt.Equals(Strip(b, []byte{2}), 2))
	qt.Check(t, qt.DeepEquals(b.Loaders[0].Signatures, []bundle.Signature{by(1, "a")}))
	qt.Check(t, qt.HasLen(b.Loaders[1].Signatures, 0))
	b = signed()
	qt.Check(t, qt.Equals(Strip(b, nil), 3))
	qt.Check(t, qt.Equals(Strip(b, nil), 0))
}
