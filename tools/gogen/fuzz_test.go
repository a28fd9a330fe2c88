package main

import (
	"errors"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/tests/elfedit"
)

// kconfig are values for the fixtures that ask for some.
var kconfig = map[string]string{
	"LINUX_KERNEL_VERSION": "0x70304", "CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m",
	"CONFIG_DEFAULT_HOSTNAME": `"(none)"`,
}

// fixtures are the compiled objects of internal/object.
func fixtures(f *testing.F) []*elfedit.Object {
	return elfedit.Load(f, "../../internal/object/testdata/*.o", "../../internal/object/testdata/eb/*.o")
}

// maxSource is how long the package of a small bundle may be, in bytes.
const maxSource = 8 << 20

// checkGenerated generates a bundle's package, if there can be one, and holds it to what every package is.
func checkGenerated(t *testing.T, b *bundle.Bundle) {
	t.Helper()
	src, err := generate(b, "p", "p.bpfl")
	if err != nil {
		if errors.Is(err, errNoGo) {
			t.Fatal(err)
		}
		return
	}
	qt.Assert(t, qt.IsTrue(len(src) < maxSource), qt.Commentf("%d bytes", len(src)))
	checkPackage(t, src)
}

// FuzzBundle takes the type information, names and ids of a bundle from the input: none of it is trusted, since a signature does
// not come before the Go code is written.
func FuzzBundle(f *testing.F) {
	for _, o := range fixtures(f) {
		obj, err := object.Parse(o.Name, o.Apply(nil), object.Options{Kconfig: kconfig})
		qt.Assert(f, qt.IsNil(err))
		b, err := loader.Compile(obj, loader.Options{})
		qt.Assert(f, qt.IsNil(err))
		types := b.Blob[b.BTF.Offset : b.BTF.Offset+b.BTF.Size]
		for i, m := range b.Maps {
			f.Add(types, m.Name, m.Section, m.KeyType, m.ValueType, "program", "xdp")
			if i == 5 {
				break
			}
		}
	}
	f.Fuzz(func(t *testing.T, types []byte, name, section string, key, value uint32, program, programSection string) {
		if len(types) == 0 || len(types) > 1<<16 {
			return
		}
		const insns = bundle.ContractSize
		b := &bundle.Bundle{
			Contract: bundle.Contract{
				Object: bundle.Object{Name: "x.bpf.o", SHA256: make([]byte, 32)}, CtxSize: bundle.CtxHeaderSize + 12,
				Maps: []bundle.Map{
					{Name: name, Section: section, Ctx: bundle.CtxHeaderSize, MapAttributes: bundle.MapAttributes{KeyType: key, ValueType: value, Type: key}},
					{Name: name + "_2", Ctx: bundle.CtxHeaderSize + 4, MapAttributes: bundle.MapAttributes{KeyType: value, ValueType: key}},
				},
				Programs: []bundle.Program{{Name: program, Section: programSection, Insns: bundle.Range{Offset: insns, Size: 8}, Ctx: bundle.CtxHeaderSize + 8}},
				BTF:      bundle.Range{Offset: insns + 8, Size: uint32(len(types))},
			},
			Loaders: []bundle.Loader{{Scheme: bundle.Payload, Insns: make([]byte, 16)}},
			Blob:    append(make([]byte, insns+8), types...),
		}
		qt.Assert(t, qt.IsNil(b.Seal()))
		data, err := bundle.Encode(b)
		if err != nil {
			return
		}
		if b, err = bundle.Decode(data); err != nil {
			return // names that are not UTF-8
		}
		checkGenerated(t, b)
	})
}

// FuzzObject changes compiled objects, and generates the packages of their bundles.
func FuzzObject(f *testing.F) {
	objects := fixtures(f)
	for i, o := range objects {
		for _, seed := range o.Seeds() {
			f.Add(uint8(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		obj, err := object.Parse("fuzz.bpf.o", objects[int(which)%len(objects)].Apply(edits), object.Options{Kconfig: kconfig})
		if err != nil {
			return
		}
		b, err := loader.Compile(obj, loader.Options{})
		if err != nil {
			return
		}
		checkGenerated(t, b)
	})
}
