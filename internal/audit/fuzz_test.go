package audit

import (
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/tests/elfedit"
)

// FuzzBundle audits bundles with anything in them, or with something changed. The audit ends, always says the same, and what it
// passes does what the bundle says: that is, a bundle that says something else does not pass.
func FuzzBundle(f *testing.F) {
	var bundles []*bundle.Bundle
	for _, o := range elfedit.Load(f, "../object/testdata/data.bpf.o", "../object/testdata/maps*.bpf.o", "../object/testdata/eb/functions.bpf.o", testdata+"/sample-*.o") {
		obj, err := object.Parse(o.Name, o.Apply(nil), object.Options{})
		qt.Assert(f, qt.IsNil(err))
		b, err := loader.Compile(obj, loader.Options{})
		qt.Assert(f, qt.IsNil(err))
		qt.Assert(f, qt.HasLen(Bundle(b), 0))
		bundles = append(bundles, b)
	}
	for i := range bundles {
		for place := range uint32(24) {
			f.Add(uint8(i), place<<4, uint32(1), uint8(place), uint16(0), []byte(nil))
		}
		f.Add(uint8(i), uint32(0), uint32(0), uint8(0), uint16(40), []byte("\x95\x00\x00\x00\x00\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, which uint8, place, value uint32, field uint8, at uint16, insns []byte) {
		b := *bundles[int(which)%len(bundles)]
		b.Maps, b.Programs, b.Loaders = append([]bundle.Map{}, b.Maps...), append([]bundle.Program{}, b.Programs...), append([]bundle.Loader{}, b.Loaders...)
		b.Blob = append([]byte{}, b.Blob...)
		lies := false
		if len(insns) > 0 && len(insns) < 1<<12 {
			l := &b.Loaders[int(field)%len(b.Loaders)]
			l.Insns = append([]byte{}, l.Insns...)
			copy(l.Insns[int(at)*bundle.InsnSize%len(l.Insns):], insns)
		} else {
			// The loader for map-hash has the digest of the blob in it, and with that of what the bundle says.
			b.Loaders = slices.DeleteFunc(b.Loaders, func(l bundle.Loader) bool { return l.Scheme == bundle.MapHash })
			lies = change(&b, place, value, field)
			qt.Assert(t, qt.IsNil(b.Seal()))
		}
		if _, err := bundle.Encode(&b); err != nil {
			return
		}
		found := Bundle(&b)
		if place%8 == 0 {
			qt.Assert(t, qt.DeepEquals(Bundle(&b), found))
		}
		if lies && !Failed(found) {
			t.Errorf("the audit passes a bundle that says something else than its loaders do: map %+v program %+v", b.Maps, b.Programs)
		}
	})
}

// change changes something that a bundle says, or its blob. It reports whether what is said is wrong then, for certain.
func change(b *bundle.Bundle, place, value uint32, field uint8) (lies bool) {
	add := func(to *uint32) bool {
		*to += value
		return value != 0
	}
	m := &b.Maps[place%uint32(len(b.Maps))]
	p := &b.Programs[place%uint32(len(b.Programs))]
	switch field % 12 {
	case 0:
		return add(&m.Type)
	case 1:
		return add(&m.KeySize)
	case 2:
		return add(&m.ValueSize)
	case 3:
		return add(&m.MaxEntries)
	case 4:
		return add(&m.Flags)
	case 5:
		return add(&m.Ctx)
	case 6:
		return add(&p.Type)
	case 7:
		return add(&p.Flags)
	case 8:
		return add(&p.Ctx)
	case 9:
		return add(&m.ValueType)
	case 10:
		b.CtxSize += value
	case 11:
		b.Blob[place%uint32(len(b.Blob))] ^= byte(value)
	}
	return false
}
