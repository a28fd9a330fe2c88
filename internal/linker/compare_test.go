package linker

import (
	"debug/elf"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// Whether two objects mean one thing by a global, whose types are the last two.
func TestComparison(t *testing.T) {
	member := func(name string, typ btf.ID, offset uint64) btf.Member {
		return btf.Member{Name: name, Type: typ, Offset: offset}
	}
	record := func(name string, members ...btf.Member) btf.Type {
		return btf.Type{Kind: btf.Struct, Name: name, Size: 8, Members: members}
	}
	proto := func(result btf.ID, params ...btf.Member) btf.Type {
		return btf.Type{Kind: btf.FuncProto, Ref: result, Members: params}
	}
	array := func(of btf.ID, n uint32) btf.Type { return btf.Type{Kind: btf.Array, Ref: of, Index: 1, Extra: n} }
	const i32, u32, i64, next = 1, 2, 3, 4
	numbers := []btf.Type{
		{},
		{Kind: btf.Int, Name: "int", Size: 4, Extra: 1<<24 | 32},
		{Kind: btf.Int, Name: "unsigned int", Size: 4, Extra: 32},
		{Kind: btf.Int, Name: "long", Size: 8, Extra: 1<<24 | 64},
	}
	for _, test := range []struct {
		name  string
		maps  bool
		types []btf.Type
		want  bool
	}{
		{"signed and unsigned", false, []btf.Type{array(i32, 2), array(u32, 2)}, true},
		{"sizes of numbers", false, []btf.Type{array(i32, 2), array(i64, 2)}, false},
		{"number and pointer", false, []btf.Type{{Kind: btf.Ptr, Ref: i64}, array(i64, 2), array(next, 2)}, false},
		{"const", false, []btf.Type{{Kind: btf.Const, Ref: i32}, {Kind: btf.Ptr, Ref: next}, {Kind: btf.Ptr, Ref: u32}}, true},
		{"declared struct", false, []btf.Type{record("s", member("a", i32, 0)), {Kind: btf.Fwd, Name: "s"}}, true},
		{"names of structs", false, []btf.Type{record("s", member("a", i32, 0)), record("t", member("a", i32, 0))}, false},
		{"declared union", false, []btf.Type{{Kind: btf.Union, Name: "u", Size: 4}, {Kind: btf.Fwd, Name: "u", Flag: true}}, true},
		{"struct and declared union", false, []btf.Type{record("s", member("a", i32, 0)), {Kind: btf.Fwd, Name: "s", Flag: true}}, false},
		{"struct and union", false, []btf.Type{record("s", member("a", i32, 0)), {Kind: btf.Union, Name: "s", Size: 8}}, false},
		{"names of enums", false, []btf.Type{{Kind: btf.Enum, Name: "e", Size: 4}, {Kind: btf.Enum, Name: "f", Size: 4}}, false},
		{"enum and number", false, []btf.Type{{Kind: btf.Enum, Name: "int", Size: 4}, {Kind: btf.Typedef, Name: "t", Ref: i32}}, false},
		{"sizes of structs", false, []btf.Type{record("", member("a", i32, 0)), {Kind: btf.Struct, Size: 16, Members: []btf.Member{member("a", i32, 0)}}}, false},
		{"unknown length", false, []btf.Type{array(i32, 0), array(i32, 5)}, true},
		{"lengths", false, []btf.Type{array(i32, 4), array(i32, 5)}, false},
		{"names of members", false, []btf.Type{record("", member("a", i32, 0)), record("", member("b", i32, 0))}, false},
		{"places of members", false, []btf.Type{record("", member("a", i32, 0)), record("", member("a", i32, 32))}, false},
		{"types of members", false, []btf.Type{record("", member("a", i32, 0)), record("", member("a", i64, 0))}, false},
		{"names of parameters", false, []btf.Type{proto(i32, member("a", i32, 0)), proto(i32, member("b", u32, 0))}, true},
		{"number of parameters", false, []btf.Type{proto(i32, member("a", i32, 0)), proto(i32)}, false},
		{"results", false, []btf.Type{proto(i32), proto(i64)}, false},
		{"in circles", false, []btf.Type{
			record("", member("a", i32, 0), member("next", next+1, 64)), {Kind: btf.Ptr, Ref: next},
			{Kind: btf.Ptr, Ref: next + 3}, record("", member("a", u32, 0), member("next", next+2, 64)),
			array(next, 1), array(next+3, 1)}, true},
		{"order", false, []btf.Type{record("", member("a", i32, 0), member("b", u32, 64)), record("", member("b", u32, 0), member("a", i32, 64))}, false},
		{"order of a map's attributes", true, []btf.Type{record("", member("a", i32, 0), member("b", u32, 64)), record("", member("b", u32, 0), member("a", i32, 64))}, true},
		{"a map's numbers", true, []btf.Type{array(i32, 0), array(i32, 5)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := &btf.Spec{Types: append(numbers[:next:next], test.types...)}
			classes := spec.Classes(func(btf.ID) string { return "" })
			last := btf.ID(len(spec.Types) - 1)
			for _, pair := range [][2]btf.ID{{last - 1, last}, {last, last - 1}} {
				c := comparison{spec: spec, classes: classes, assumed: map[[2]btf.ID]bool{}, maps: test.maps}
				qt.Check(t, qt.Equals(c.same(pair[0], pair[1]), test.want))
			}
		})
	}
}

func TestStricter(t *testing.T) {
	for _, test := range []struct{ a, b, want elf.SymVis }{
		{elf.STV_DEFAULT, elf.STV_DEFAULT, elf.STV_DEFAULT},
		{elf.STV_DEFAULT, elf.STV_PROTECTED, elf.STV_PROTECTED},
		{elf.STV_HIDDEN, elf.STV_DEFAULT, elf.STV_HIDDEN},
		{elf.STV_PROTECTED, elf.STV_HIDDEN, elf.STV_HIDDEN},
		{elf.STV_HIDDEN, elf.STV_INTERNAL, elf.STV_INTERNAL},
	} {
		qt.Check(t, qt.Equals(stricter(test.a, test.b), test.want))
	}
}
