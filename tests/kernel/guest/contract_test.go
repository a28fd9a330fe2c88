//go:build linux

package guest

import (
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// The host exchanges what a signed bundle says of two maps or programs: attack H4. Loaders before format version 2 were loaded with
// such a description, and what a program put into one map went into the other.
//
// The runtime notices, and makes no system call. If the host writes a digest that matches, too, the blob is not the signed one: the
// kernel of scheme B refuses the loader, and the loader of scheme A refuses the blob. Nothing is made either way.
func TestContract(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	for _, c := range []struct {
		name, file string
		exchange   func(b *bundle.Bundle)
	}{
		{"names of maps", "maps_of_maps", func(b *bundle.Bundle) {
			one, three := described(b, "one"), described(b, "three")
			one.Name, three.Name = three.Name, one.Name
		}},
		{"names of programs", "tailcalls", func(b *bundle.Bundle) {
			b.Programs[0].Name, b.Programs[1].Name = b.Programs[1].Name, b.Programs[0].Name
		}},
		{"places of descriptors", "maps_of_maps", func(b *bundle.Bundle) {
			one, three := described(b, "one"), described(b, "three")
			one.Ctx, three.Ctx = three.Ctx, one.Ctx
		}},
		{"a program's section", "core", func(b *bundle.Bundle) { b.Programs[0].Section = "tp_btf/sched_switch" }},
		{"a map's pinning", "maps_of_maps", func(b *bundle.Bundle) { described(b, "one").Pinning = 1 }},
		{"a data section", "data", func(b *bundle.Bundle) {
			data, custom := described(b, ".rodata.fixed"), described(b, ".data.custom")
			data.Contents, custom.Contents = custom.Contents, data.Contents
		}},
		{"an arena's variables", "arena", func(b *bundle.Bundle) { described(b, "arena").ArenaOffset -= 8 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := objects(t)
			b := readBundle(t, guest.DataDir+"/features/"+c.file+".bpfl")
			c.exchange(b)
			_, err := loadSigned(t, b)
			qt.Check(t, qt.ErrorIs(err, runtime.ErrTampered))
			qt.Check(t, qt.ErrorIs(err, bundle.ErrContract))

			qt.Assert(t, qt.IsNil(b.Seal()))
			_, err = loadSigned(t, b)
			if s == bundle.MapHash {
				qt.Check(t, qt.ErrorIs(err, runtime.ErrTampered)) // says the loader
			} else {
				qt.Check(t, qt.ErrorIs(err, runtime.ErrSignatureRejected)) // says the kernel
			}
			t.Log(err)
			nothingLeft(t, before)
		})
	}
}

func described(b *bundle.Bundle, name string) *bundle.Map {
	for i := range b.Maps {
		if b.Maps[i].Name == name {
			return &b.Maps[i]
		}
	}
	return &bundle.Map{} // whose change is none, so that the test fails
}
