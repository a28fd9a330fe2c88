package loader

import (
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/tests/elfedit"
)

// FuzzObject changes compiled objects. One that can be read and compiled has a loader that never misbehaves: it may find that
// the kernel refuses what the object asks for, and then it has cleaned up.
func FuzzObject(f *testing.F) {
	objects := elfedit.Load(f, "../object/testdata/*.o", "../object/testdata/eb/*.o")
	for i, o := range objects {
		for _, seed := range o.Seeds() {
			f.Add(uint8(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		raw := objects[int(which)%len(objects)].Apply(edits)
		o, err := object.Parse("fuzz.bpf.o", raw, object.Options{Kconfig: kconfig})
		if err != nil {
			qt.Assert(t, qt.ErrorIs(err, object.ErrObject))
			return
		}
		b, err := Compile(o, Options{})
		if err != nil {
			qt.Assert(t, qt.ErrorIs(err, ErrCompile))
			return
		}
		data, err := bundle.Encode(b)
		if err == nil {
			_, err = bundle.Decode(data)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range bundle.Schemes {
			l, err := simkernel.FromBundle(b, s)
			qt.Assert(t, qt.IsNil(err))
			res := simkernel.Run(l, simkernel.Options{})
			if err := res.Err(); err != nil {
				t.Fatal(err)
			}
			if res.Errno != 0 {
				continue
			}
			for fail := 1; fail < 4; fail++ {
				res := simkernel.Run(l, simkernel.Options{Config: simkernel.Config{FailCall: fail}})
				if err := res.Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
