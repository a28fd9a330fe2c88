package bundle

import (
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-quicktest/qt"
)

func TestParseKind(t *testing.T) {
	for _, k := range Kinds {
		parsed, err := ParseKind(string(k))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(parsed, k))
	}
	for _, name := range []string{"", "Test", "holiday", "test "} {
		k, err := ParseKind(name)
		qt.Check(t, qt.ErrorMatches(err, `unknown kind of key ".*": want one of \["development" "test" "production"\]`))
		qt.Check(t, qt.Equals(k, ""))
	}
}

// In a file a kind and a scheme are what they were before they had types of their own: a text string and a number.
func TestEncodingOfNames(t *testing.T) {
	data, err := encMode.Marshal(Loader{Scheme: Payload, Insns: []byte{9}, Signatures: []Signature{{KeyID: []byte{1}, Kind: KindTest, CMS: []byte{2}}}})
	qt.Assert(t, qt.IsNil(err))
	want, err := encMode.Marshal(map[int]any{
		1: 2, 2: []byte{9}, 3: []any{map[int]any{1: []byte{1}, 2: "test", 3: []byte{2}}},
	})
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(data, want))
	diagnostic, err := cbor.Diagnose(data)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(diagnostic, `{1: 2, 2: h'09', 3: [{1: h'01', 2: "test", 3: h'02'}]}`))
}
