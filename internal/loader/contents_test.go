package loader

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/object"
)

func parseFixture(t *testing.T, name string) *object.Object {
	t.Helper()
	return parse(t, filepath.Join("..", "object", "testdata", name+".bpf.o"))
}

func findMap(t *testing.T, o *object.Object, name string) *object.Map {
	t.Helper()
	i := slices.IndexFunc(o.Maps, func(m *object.Map) bool { return m.Name == name })
	qt.Assert(t, qt.IsTrue(i >= 0), qt.Commentf("no map %s", name))
	return o.Maps[i]
}

func findProgram(t *testing.T, o *object.Object, name string) *object.Program {
	t.Helper()
	i := slices.IndexFunc(o.Programs, func(p *object.Program) bool { return p.Name == name })
	qt.Assert(t, qt.IsTrue(i >= 0), qt.Commentf("no program %s", name))
	return o.Programs[i]
}

// memberOf returns the index of a member of a struct.
func memberOf(t *testing.T, spec *btf.Spec, structure, name string) (*btf.Type, int) {
	t.Helper()
	typ := &spec.Types[spec.Find(btf.Struct, structure)]
	i := slices.IndexFunc(typ.Members, func(m btf.Member) bool { return m.Name == name })
	qt.Assert(t, qt.IsTrue(i >= 0), qt.Commentf("no member %s.%s", structure, name))
	return typ, i
}

// What an object puts into a map and the loader cannot is an error, not an empty slot.
func TestContentsThatCannotBeFilled(t *testing.T) {
	const ops = "tcp_congestion_ops"
	for _, bad := range []struct {
		fixture string
		change  func(o *object.Object)
		says    string
	}{
		{"tailcalls", func(o *object.Object) { findProgram(t, o, "leaf_b").Autoload = false },
			`map jumps: value 2: program leaf_b is disabled, SEC("?tc"): remove the "?", or take the program out of the map`},
		{"tailcalls", func(o *object.Object) { findMap(t, o, "jumps").Slots[1].Index = 4 },
			`map jumps: value 4 is beyond its max_entries, 4`},
		{"maps_of_maps", func(o *object.Object) { m := findMap(t, o, "array"); m.MaxEntries = m.Slots[0].Index },
			`map array: value 1 is beyond its max_entries, 1`},
		{"maps_of_maps", func(o *object.Object) { findMap(t, o, "hash").MaxEntries = 0 },
			`map hash: it is given 1 values, and has max_entries 0`},
		{"structops_shared", func(o *object.Object) { findProgram(t, o, "shared_init").Autoload = false },
			`map first: member init: program shared_init is disabled, SEC("?struct_ops/init")`},
		{"structops_shared", func(o *object.Object) {
			_, i := memberOf(t, o.BTF, ops, "release")
			findMap(t, o, "second").StructOps.Programs[i] = findProgram(t, o, "shared_init")
		}, `map second: member release: program shared_init is already tcp_congestion_ops.init in table first, ` +
			`and a program can be one member of one type: write a program for each`},
		{"structops_shared", func(o *object.Object) { findMap(t, o, "second").StructOps.TypeName = "other_ops" },
			`is already tcp_congestion_ops.cong_avoid in table first`},
	} {
		o := parseFixture(t, bad.fixture)
		bad.change(o)
		_, err := Compile(o, Options{})
		qt.Check(t, qt.ErrorIs(err, ErrCompile))
		qt.Check(t, qt.StringContains(fmt.Sprint(err), bad.says))
	}
}

// A table is laid out as the kernel has its type, and a member that the kernel's type cannot hold is an error.
func TestStructOpsLayoutOfTheKernel(t *testing.T) {
	const ops = "tcp_congestion_ops"
	for _, k := range []struct {
		name   string
		change func(kernel *btf.Spec)
		says   string
	}{
		{"member without a value is gone", func(kernel *btf.Spec) {
			typ, i := memberOf(t, kernel, ops, "get_info")
			typ.Members = slices.Delete(typ.Members, i, i+1)
		}, ""},
		{"member with a program is gone", func(kernel *btf.Spec) {
			typ, i := memberOf(t, kernel, ops, "ssthresh")
			typ.Members[i].Name = "threshold"
		}, "map first: member ssthresh: the kernel's type has no such member, and it is not zero"},
		{"another kind", func(kernel *btf.Spec) {
			typ, i := memberOf(t, kernel, ops, "key")
			_, f := memberOf(t, kernel, ops, "init")
			typ.Members[i].Type = typ.Members[f].Type
		}, "map first: member key: is of kind int, and of kind pointer in the kernel's type"},
		{"another pointer", func(kernel *btf.Spec) {
			typ, i := memberOf(t, kernel, ops, "init")
			_, owner := memberOf(t, kernel, ops, "owner")
			typ.Members[i].Type = typ.Members[owner].Type
		}, "map first: member init: is not a pointer to a function in the kernel's type"},
		{"another size", func(kernel *btf.Spec) {
			typ, i := memberOf(t, kernel, ops, "name")
			kernel.Types[typ.Members[i].Type].Extra = 8
		}, "map first: member name: has 16 bytes, and 8 in the kernel's type"},
		{"bit-field", func(kernel *btf.Spec) {
			typ, i := memberOf(t, kernel, ops, "flags")
			typ.Flag = true
			typ.Members[i].Offset |= 3 << 24
		}, "map first: member flags: is a bit-field in the kernel's type"},
		{"as large as memory", func(kernel *btf.Spec) {
			kernel.Types[kernel.Find(btf.Struct, ops)].Size = 1<<32 - 1
		}, "map first: struct tcp_congestion_ops has 4294967295 bytes, and a table may have 1048576"},
		{"unknown type", func(kernel *btf.Spec) {
			kernel.Types[kernel.Find(btf.Struct, ops)].Name = "no_ops"
		}, "map first: the kernel BTF given has no struct tcp_congestion_ops"},
	} {
		t.Run(k.name, func(t *testing.T) {
			kernel := parseFixture(t, "structops_shared").BTF
			k.change(kernel)
			b, err := Compile(parseFixture(t, "structops_shared"), Options{KernelBTF: kernel})
			if k.says == "" {
				qt.Assert(t, qt.IsNil(err))
				qt.Check(t, qt.Equals(len(b.Programs), 4))
				return
			}
			qt.Check(t, qt.ErrorIs(err, ErrCompile))
			qt.Check(t, qt.StringContains(fmt.Sprint(err), k.says))
		})
	}
}
