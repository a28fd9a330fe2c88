package bundle

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-quicktest/qt"
)

// sample is a sound bundle.
func sample() *Bundle {
	insns := make([]byte, 2*InsnSize)
	return &Bundle{
		Object:  Object{Name: "x.bpf.o", SHA256: make([]byte, 32), License: "GPL"},
		CtxSize: CtxHeaderSize + 8,
		Maps:    []Map{{Name: "m", Kernel: "m", Type: 2, KeySize: 4, ValueSize: 8, MaxEntries: 1, Ctx: CtxHeaderSize}},
		Programs: []Program{
			{Name: "p", Section: "xdp", Type: 6, Insns: Range{16, 16}, Ctx: CtxHeaderSize + 4},
		},
		Loaders: []Loader{
			{Scheme: MapHash, Insns: insns, Signatures: []Signature{{KeyID: []byte{1}, Kind: KindTest, CMS: []byte{2}}}},
			{Scheme: Payload, Insns: insns},
		},
		Blob: make([]byte, 64),
	}
}

func TestRoundTrip(t *testing.T) {
	data, err := Encode(sample())
	qt.Assert(t, qt.IsNil(err))
	b, err := Decode(data)
	qt.Assert(t, qt.IsNil(err))
	again, err := Encode(b)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(again, data))
	qt.Check(t, qt.Equals(b.Loader(MapHash).Signatures[0].Kind, KindTest))
	qt.Check(t, qt.IsNil((&Bundle{}).Loader(Payload)))
}

// Decoded bundles share no memory with the file.
func TestDecodeCopies(t *testing.T) {
	data, err := Encode(sample())
	qt.Assert(t, qt.IsNil(err))
	b, err := Decode(data)
	qt.Assert(t, qt.IsNil(err))
	for i := range data {
		data[i] = 0xff
	}
	qt.Check(t, qt.DeepEquals(b.Blob, make([]byte, 64)))
	qt.Check(t, qt.Equals(b.Maps[0].Name, "m"))
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Bundle)
		says   string
	}{
		{"empty blob", func(b *Bundle) { b.Blob = nil }, "blob is empty"},
		{"digest", func(b *Bundle) { b.Object.SHA256 = nil }, "digest has 0 bytes"},
		{"small context", func(b *Bundle) { b.CtxSize = 8 }, "context of 8 bytes"},
		{"large context", func(b *Bundle) { b.CtxSize = 1 << 16 }, "context of 65536 bytes"},
		{"BTF outside", func(b *Bundle) { b.BTF = Range{60, 8} }, "BTF lies outside"},
		{"BTF overflow", func(b *Bundle) { b.BTF = Range{1<<32 - 1, 1<<32 - 1} }, "BTF lies outside"},
		{"no loader", func(b *Bundle) { b.Loaders = nil }, "no loader"},
		{"same name", func(b *Bundle) { b.Maps = append(b.Maps, b.Maps[0]) }, `two maps named "m"`},
		{"nameless", func(b *Bundle) { b.Programs[0].Name = "" }, "nameless"},
		{"shared descriptor", func(b *Bundle) { b.Programs[0].Ctx = CtxHeaderSize }, "share a descriptor"},
		{"descriptor in header", func(b *Bundle) { b.Maps[0].Ctx = 4 }, "outside the context"},
		{"descriptor beyond", func(b *Bundle) { b.Maps[0].Ctx = 1<<32 - 4 }, "outside the context"},
		{"arena outside", func(b *Bundle) { b.Maps[0].Arena = Range{60, 8} }, "variables of arena m lie outside"},
		{"instructions outside", func(b *Bundle) { b.Programs[0].Insns.Offset = 56 }, "lie outside the blob"},
		{"order", func(b *Bundle) { b.Loaders[0], b.Loaders[1] = b.Loaders[1], b.Loaders[0] }, "out of order"},
		{"scheme", func(b *Bundle) { b.Loaders[1].Scheme = 7 }, "unknown attestation scheme 7 (known: " + schemeNames() + ")"},
		{"half an instruction", func(b *Bundle) { b.Loaders[0].Insns = make([]byte, 12) }, "has 12 bytes"},
		{"payload", func(b *Bundle) { b.Blob = make([]byte, MaxPayload) }, "generate the bundle without scheme payload"},
		{"signature", func(b *Bundle) { b.Loaders[0].Signatures[0].CMS = make([]byte, MaxSignature+1) }, "signature of 8193 bytes"},
		{"no signature", func(b *Bundle) { b.Loaders[0].Signatures[0].CMS = nil }, "signature of 0 bytes"},
		{"key id", func(b *Bundle) { b.Loaders[0].Signatures[0].KeyID = nil }, "key id of 0 bytes"},
		{"kind", func(b *Bundle) { b.Loaders[0].Signatures[0].Kind = "secret" }, `unknown kind of key "secret"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := sample()
			c.change(b)
			_, err := Encode(b)
			qt.Assert(t, qt.ErrorIs(err, ErrMalformed))
			qt.Check(t, qt.StringContains(err.Error(), c.says))
			// The same in a file that another program wrote.
			data, err := encMode.Marshal(file{magic, Version, b.canonical()})
			qt.Assert(t, qt.IsNil(err))
			_, err = Decode(data)
			qt.Check(t, qt.ErrorIs(err, ErrMalformed))
		})
	}
}

func TestDecodeTakesOneEncodingOnly(t *testing.T) {
	good, err := Encode(sample())
	qt.Assert(t, qt.IsNil(err))
	encode := func(v any) []byte {
		data, err := encMode.Marshal(v)
		qt.Assert(t, qt.IsNil(err))
		return data
	}
	indefinite := append(append([]byte{0xbf}, good[1:]...), 0xff)
	for name, data := range map[string][]byte{
		"empty":           {},
		"trailing byte":   append(bytes.Clone(good), 0),
		"truncated":       good[:len(good)-1],
		"another format":  encode(map[int]any{1: "something else", 2: 1, 3: map[int]any{}}),
		"another version": encode(file{magic, Version + 1, sample().canonical()}),
		"no bundle":       encode(map[int]any{1: magic, 2: Version}),
		"unknown field":   encode(map[int]any{1: magic, 2: Version, 3: sample().canonical(), 4: 0}),
		"indefinite":      indefinite,
		"text":            []byte("not CBOR at all"),
		"deep":            bytes.Repeat([]byte{0x81}, 10000),
		"huge claim":      {0xa3, 0x01, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		_, err := Decode(data)
		qt.Check(t, qt.ErrorIs(err, ErrMalformed), qt.Commentf("%s", name))
	}
}

// Whatever byte of a file changes, the result is an error or a sound bundle.
func TestEveryByte(t *testing.T) {
	good, err := Encode(sample())
	qt.Assert(t, qt.IsNil(err))
	for i := range good {
		for bit := range 8 {
			data := bytes.Clone(good)
			data[i] ^= 1 << bit
			b, err := Decode(data)
			if err != nil {
				qt.Check(t, qt.ErrorIs(err, ErrMalformed))
				continue
			}
			qt.Check(t, qt.IsNil(b.check()))
		}
	}
}

func FuzzDecode(f *testing.F) {
	good, err := Encode(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Encode(b)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("decoded %d bytes, encoded others: %v", len(data), err)
		}
		if cbor.Wellformed(data) != nil {
			t.Fatal("took what is not CBOR")
		}
	})
}
