package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-quicktest/qt"
)

// sample is a sound bundle. Its contract has something in every field.
func sample() *Bundle {
	insns := make([]byte, 2*InsnSize)
	b := &Bundle{
		Contract: Contract{
			Object:  Object{Name: "x.bpf.o", SHA256: bytes.Repeat([]byte{7}, 32), BigEndian: true, License: "GPL"},
			CtxSize: CtxHeaderSize + 7*4,
			Maps: []Map{
				{Name: "m", MapAttributes: MapAttributes{Kernel: "m", Type: 2, KeySize: 4, ValueSize: 8, MaxEntries: 1}, Ctx: CtxHeaderSize,
					Pinning: 1},
				{Name: ".data", MapAttributes: MapAttributes{Kernel: "x.data", Type: 2, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: 1 << 10,
					ValueType: 3}, Ctx: CtxHeaderSize + 4, Section: ".data", Contents: Range{80, 16}, Frozen: true},
				{Name: "outer", MapAttributes: MapAttributes{Kernel: "outer", Type: mapArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 2,
					NUMANode: 1}, Ctx: CtxHeaderSize + 8,
					Inner: &MapAttributes{Kernel: "outer.inner", Type: 2, KeySize: 4, ValueSize: 8, MaxEntries: 1, KeyType: 1, ValueType: 2}, Entries: []Entry{{1, "m", ""}}},
				{Name: "arena", MapAttributes: MapAttributes{Kernel: "arena", Type: mapArena, MaxEntries: 10, Extra: 1 << 44}, Ctx: CtxHeaderSize + 12,
					Arena: Range{96, 8}, ArenaOffset: 4096},
				{Name: "ops", MapAttributes: MapAttributes{Kernel: "ops", Type: mapStructOps, KeySize: 4, ValueSize: 24, MaxEntries: 1, Flags: 1 << 13},
					Ctx:       CtxHeaderSize + 16,
					StructOps: &StructOps{Type: "tcp_congestion_ops", Table: Range{104, 24}, Members: []Member{{"init", 8, "q"}, {"release", 16, "q"}}}},
			},
			Programs: []Program{
				{Name: "p", Section: "xdp", Type: 6, ExpectedAttachType: 37, Flags: 32, Insns: Range{32, 16}, Ctx: CtxHeaderSize + 20,
					FuncInfo: Range{128, 8}, LineInfo: Range{136, 16}, Relocations: Range{152, 16}, Externs: []Extern{{0, "f", ExternFunction, true}}},
				{Name: "q", Section: "struct_ops/init", Type: programStructOps, ExpectedAttachType: 2, AttachTo: "tcp_congestion_ops",
					Insns: Range{48, 32}, Ctx: CtxHeaderSize + 24,
					Externs: []Extern{{0, "v", ExternVariable, false}, {2, "a", ExternAddress, false}}},
			},
			BTF: Range{168, 24},
		},
		Loaders: []Loader{
			{Scheme: MapHash, Insns: insns, Signatures: []Signature{{KeyID: []byte{1}, Kind: KindTest, CMS: []byte{2}}}},
			{Scheme: Payload, Insns: insns},
		},
		Blob: make([]byte, 192),
	}
	if err := b.Seal(); err != nil {
		panic(err) // the blob is long enough
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	data, err := Encode(sample())
	qt.Assert(t, qt.IsNil(err))
	b, err := Decode(data)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(b, sample()))
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
	qt.Check(t, qt.DeepEquals(b, sample()))
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Bundle)
		says   string
	}{
		{"empty blob", func(b *Bundle) { b.Blob = nil }, "blob has 0 bytes"},
		{"short blob", func(b *Bundle) { b.Blob = b.Blob[:31] }, "no room for the contract's digest"},
		{"digest", func(b *Bundle) { b.Object.SHA256 = nil }, "digest has 0 bytes"},
		{"object in a folder", func(b *Bundle) { b.Object.Name = "../x.bpf.o" }, "is not a file name"},
		{"object without a name", func(b *Bundle) { b.Object.Name = "" }, "is not a file name"},
		{"license of two lines", func(b *Bundle) { b.Object.License = "GPL\nsigned by root" }, "not one line of printable text"},
		{"small context", func(b *Bundle) { b.CtxSize = 8 }, "context of 8 bytes"},
		{"large context", func(b *Bundle) { b.CtxSize = 1 << 16 }, "context of 65536 bytes"},
		{"BTF outside", func(b *Bundle) { b.BTF = Range{188, 8} }, "BTF lies outside"},
		{"BTF overflow", func(b *Bundle) { b.BTF = Range{1<<32 - 1, 1<<32 - 1} }, "BTF lies outside"},
		{"BTF over the digest", func(b *Bundle) { b.BTF = Range{24, 24} }, "BTF lies outside"},
		{"place of nothing", func(b *Bundle) { b.BTF = Range{40, 0} }, "BTF lies outside"},
		{"no loader", func(b *Bundle) { b.Loaders = nil }, "no loader"},
		{"same name", func(b *Bundle) { b.Maps = append(b.Maps, b.Maps[0]) }, `two maps are named "m"`},
		{"same program", func(b *Bundle) { b.Programs[1].Name = "p" }, `two programs are named "p"`},
		{"nameless map", func(b *Bundle) { b.Maps[3].Name = "" }, `map "": the name is not an identifier`},
		{"nameless program", func(b *Bundle) { b.Programs[0].Name = "" }, `program "": the name is not an identifier`},
		{"escape in a name", func(b *Bundle) { b.Maps[3].Name = "a\x1b[2Jb" }, "the name is not an identifier"},
		{"dash in a name", func(b *Bundle) { b.Programs[0].Name = "a-b" }, "the name is not an identifier"},
		{"space in a section's name", func(b *Bundle) { b.Maps[1].Name = ".data x" }, "the name is not an identifier"},
		{"map's section", func(b *Bundle) { b.Maps[1].Section = ".data\n" }, "is not printable"},
		{"program's section", func(b *Bundle) { b.Programs[0].Section = "xdp\nsigned by" }, "is not printable"},
		{"not UTF-8", func(b *Bundle) { b.Programs[0].Section = "\xff" }, "is not printable"},
		{"target", func(b *Bundle) { b.Programs[0].AttachTo = "\u202e" }, "is not printable"},
		{"kernel name", func(b *Bundle) { b.Maps[0].Kernel = "0123456789abcdef" }, "the kernel does not accept the name"},
		{"inner map's kernel name", func(b *Bundle) { b.Maps[2].Inner.Kernel = "a b" }, "inner map: the kernel does not accept the name"},
		{"shared descriptor", func(b *Bundle) { b.Programs[0].Ctx = CtxHeaderSize }, "shares its descriptor with map m"},
		{"descriptor in header", func(b *Bundle) { b.Maps[0].Ctx = 4 }, "outside the context"},
		{"descriptor between two", func(b *Bundle) { b.Maps[0].Ctx = CtxHeaderSize + 2 }, "outside the context"},
		{"descriptor beyond", func(b *Bundle) { b.Maps[0].Ctx = 1<<32 - 4 }, "outside the context"},
		{"pinning", func(b *Bundle) { b.Maps[0].Pinning = 2 }, "unknown pinning 2"},
		{"contents outside", func(b *Bundle) { b.Maps[1].Contents.Offset = 184 }, "its contents lie outside the blob"},
		{"contents too short", func(b *Bundle) { b.Maps[1].Contents.Size = 8 }, "its contents have 8 bytes, and the map has 1 entries of 16 bytes"},
		{"arena outside", func(b *Bundle) { b.Maps[3].Arena = Range{188, 8} }, "arena variables lie outside"},
		{"arena variables in an array", func(b *Bundle) { b.Maps[0].Arena = Range{64, 8} }, "is not an arena"},
		{"arena offset of nothing", func(b *Bundle) { b.Maps[3].Arena = Range{} }, "an offset for arena variables but no variables"},
		{"inner map of an array", func(b *Bundle) { b.Maps[0].Inner = &MapAttributes{} }, "is not a map of maps"},
		{"entry of an array", func(b *Bundle) { b.Maps[0].Entries = []Entry{{0, "m", ""}} }, "which must exist and fit"},
		{"entry that is not there", func(b *Bundle) { b.Maps[2].Entries[0].Map = "n" }, `map "n"`},
		{"entry that is a program", func(b *Bundle) { b.Maps[2].Entries[0] = Entry{1, "", "p"} }, `program "p"`},
		{"entry that is both", func(b *Bundle) { b.Maps[2].Entries[0] = Entry{1, "m", "p"} }, `program "p"`},
		{"two entries", func(b *Bundle) { b.Maps[2].Entries = append(b.Maps[2].Entries, Entry{1, ".data", ""}) }, "two entries have the key 1"},
		{"struct_ops of an array", func(b *Bundle) { b.Maps[0].StructOps = &StructOps{Type: "x"} }, "is not a struct_ops map"},
		{"struct_ops of nothing", func(b *Bundle) { b.Maps[4].StructOps = nil }, "without a type"},
		{"struct_ops type", func(b *Bundle) { b.Maps[4].StructOps.Type = "struct x" }, "is not an identifier"},
		{"table", func(b *Bundle) { b.Maps[4].StructOps.Table.Size = 16 }, "its table"},
		{"member's name", func(b *Bundle) { b.Maps[4].StructOps.Members[0].Name = "" }, "of a member is not an identifier"},
		{"member's program", func(b *Bundle) { b.Maps[4].StructOps.Members[0].Program = "p" }, `no struct_ops program "p"`},
		{"member over another", func(b *Bundle) { b.Maps[4].StructOps.Members[0].Offset = 16 }, "over another member"},
		{"member outside", func(b *Bundle) { b.Maps[4].StructOps.Members[1].Offset = 24 }, "outside the table"},
		{"instructions outside", func(b *Bundle) { b.Programs[0].Insns.Offset = 184 }, "lie outside the blob"},
		{"instructions over the digest", func(b *Bundle) { b.Programs[0].Insns.Offset = 24 }, "lie outside the blob"},
		{"half an instruction", func(b *Bundle) { b.Programs[0].Insns.Size = 12 }, "lie outside the blob"},
		{"function records", func(b *Bundle) { b.Programs[0].FuncInfo.Size = 7 }, "function records"},
		{"line records", func(b *Bundle) { b.Programs[0].LineInfo.Size = 8 }, "line records"},
		{"relocation records", func(b *Bundle) { b.Programs[0].Relocations.Offset = 188 }, "relocation records"},
		{"extern behind the end", func(b *Bundle) { b.Programs[0].Externs[0].Insn = 2 }, "outside the program"},
		{"externs out of order", func(b *Bundle) { b.Programs[1].Externs[0].Insn = 2 }, "out of order"},
		{"extern's name", func(b *Bundle) { b.Programs[0].Externs[0].Name = "a b" }, "not a symbol name"},
		{"extern's kind", func(b *Bundle) { b.Programs[0].Externs[0].Kind = 4 }, "unknown kind 4"},
		{"too many externs", func(b *Bundle) { b.Programs[0].Externs = make([]Extern, maxElements+1) }, "split the program"},
		{"too many entries", func(b *Bundle) { b.Maps[2].Entries = make([]Entry, maxElements+1) }, "can list 65535"},
		{"order", func(b *Bundle) { b.Loaders[0], b.Loaders[1] = b.Loaders[1], b.Loaders[0] }, "out of order"},
		{"scheme", func(b *Bundle) { b.Loaders[1].Scheme = 7 }, "unknown attestation scheme 7 (known: " + schemeNames() + ")"},
		{"half a loader's instruction", func(b *Bundle) { b.Loaders[0].Insns = make([]byte, 12) }, "has 12 bytes"},
		{"payload", func(b *Bundle) { b.Blob = append(b.Blob, make([]byte, MaxPayload)...) }, "generate the bundle without scheme payload"},
		{"signature", func(b *Bundle) { b.Loaders[0].Signatures[0].CMS = make([]byte, MaxSignature+1) }, "signature of 8193 bytes"},
		{"no signature", func(b *Bundle) { b.Loaders[0].Signatures[0].CMS = nil }, "signature of 0 bytes"},
		{"key id", func(b *Bundle) { b.Loaders[0].Signatures[0].KeyID = nil }, "key id of 0 bytes"},
		{"kind", func(b *Bundle) { b.Loaders[0].Signatures[0].Kind = "secret" }, `unknown kind of key "secret"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := sample()
			c.change(b)
			_ = b.Seal() // so that it is not the digest that is wrong
			for _, err := range []error{b.CheckContract(), errorOf(Encode(b))} {
				qt.Assert(t, qt.ErrorIs(err, ErrMalformed))
				qt.Check(t, qt.StringContains(err.Error(), c.says))
			}
			qt.Check(t, qt.ErrorIs(errorOf(Decode(write(t, b))), ErrMalformed)) // CBOR itself forbids some of it
		})
	}
}

func errorOf[T any](_ T, err error) error { return err }

// write is what another program would write of a bundle: in the right encoding, and nothing checked.
func write(t testing.TB, b *Bundle) []byte {
	t.Helper()
	data, err := encMode.Marshal(file{magic, Version, *b})
	qt.Assert(t, qt.IsNil(err))
	return data
}

// Every field of the contract is under the digest, which is in the blob and signed with it. tests/contract changes each of them.
func TestContract(t *testing.T) {
	b := sample()
	qt.Assert(t, qt.IsNil(b.CheckContract()))
	encoded, err := b.Contract.encode()
	qt.Assert(t, qt.IsNil(err))
	digest := sha256.Sum256(encoded)
	qt.Check(t, qt.DeepEquals(b.Blob[:32], digest[:]))

	for _, change := range []func(){
		func() {
			b.Maps[0].Name, b.Maps[2].Name = b.Maps[2].Name, b.Maps[0].Name
			b.Maps[2].Entries[0].Map = "outer"
		},
		func() { b.Blob[3] ^= 1 },
	} {
		change()
		for _, err := range []error{b.CheckContract(), errorOf(Encode(b)), errorOf(Decode(write(t, b)))} {
			qt.Check(t, qt.ErrorIs(err, ErrContract))
			qt.Check(t, qt.IsFalse(errors.Is(err, ErrMalformed)))
		}
		got, err := Decode(write(t, b))
		qt.Check(t, qt.IsNil(got), qt.Commentf("%v", err))
		qt.Assert(t, qt.IsNil(b.Seal()))
		qt.Check(t, qt.IsNil(errorOf(Decode(write(t, b)))))
	}
	qt.Check(t, qt.ErrorIs((&Bundle{Blob: make([]byte, 31)}).Seal(), ErrMalformed))
}

// A contract of a later version may allow the host a choice. A program that does not know the key must not ignore it.
func TestReservedKeys(t *testing.T) {
	var f map[int]any
	qt.Assert(t, qt.IsNil(cbor.Unmarshal(write(t, sample()), &f)))
	for key := 6; key <= 9; key++ {
		contract := f[3].(map[any]any)[uint64(1)].(map[any]any)
		contract[uint64(key)] = []any{}
		data, err := encMode.Marshal(f)
		qt.Assert(t, qt.IsNil(err))
		_, err = Decode(data)
		qt.Check(t, qt.ErrorIs(err, ErrMalformed))
		qt.Check(t, qt.ErrorMatches(err, ".*unknown field.*"))
		delete(contract, uint64(key))
	}
	data, err := encMode.Marshal(f)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsNil(errorOf(Decode(data))))
}

func TestOtherVersions(t *testing.T) {
	for version, says := range map[uint]string{
		1: `.*unsupported bundle version 1 \(want 2\): rebuild the bundle`,
		3: `.*unsupported bundle version 3 \(want 2\): rebuild the bundle or update this program`,
	} {
		data, err := encMode.Marshal(envelope{magic, version, cbor.RawMessage{0xa0}})
		qt.Assert(t, qt.IsNil(err))
		_, err = Decode(data)
		qt.Check(t, qt.ErrorIs(err, ErrMalformed))
		qt.Check(t, qt.ErrorMatches(err, says))
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
		"another version": encode(file{magic, Version + 1, *sample()}),
		"no bundle":       encode(map[int]any{1: magic, 2: Version}),
		"unknown field":   encode(map[int]any{1: magic, 2: Version, 3: *sample(), 4: 0}),
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
	contract, err := sample().Contract.encode()
	qt.Assert(t, qt.IsNil(err))
	for i := range good {
		for bit := range 8 {
			data := bytes.Clone(good)
			data[i] ^= 1 << bit
			b, err := Decode(data)
			if err != nil {
				qt.Check(t, qt.IsTrue(errors.Is(err, ErrMalformed) || errors.Is(err, ErrContract)), qt.Commentf("%v", err))
				continue
			}
			qt.Check(t, qt.IsNil(b.CheckContract()))
			same, err := b.Contract.encode()
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.IsTrue(bytes.Equal(same, contract))) // what changed is outside it: a loader, a signature or the blob
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
