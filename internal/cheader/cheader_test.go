package cheader

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

var update = flag.Bool("update", false, "write testdata/types.h")

// The header of testdata/types.c, which clang compiled for both byte orders. //tests/vmlinux has clang lay it out again.
func TestGolden(t *testing.T) {
	const golden = "testdata/types.h"
	for _, target := range []string{"bpfel", "bpfeb"} {
		data, err := os.ReadFile("testdata/types-" + target + ".o")
		qt.Assert(t, qt.IsNil(err))
		spec, err := btf.ParseFile(data, nil)
		qt.Assert(t, qt.IsNil(err))
		header, err := Write(spec)
		qt.Assert(t, qt.IsNil(err))
		if *update {
			qt.Assert(t, qt.IsNil(os.WriteFile(golden, header, 0o644)))
		}
		want, err := os.ReadFile(golden)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(string(header), string(want)), qt.Commentf("%s: see the diff after go test ./internal/cheader -update", target))
		again, err := Write(spec)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(string(again), string(header)))
	}
}

// Types of the tests below: 1 is int, 2 a long, 3 a char.
func spec(pointer uint32, types ...btf.Type) *btf.Spec {
	return &btf.Spec{Types: append([]btf.Type{
		{},
		{Kind: btf.Int, Name: "int", Size: 4, Extra: 1<<24 | 32},
		{Kind: btf.Int, Name: "long unsigned int", Size: pointer, Extra: pointer * 8},
		{Kind: btf.Int, Name: "char", Size: 1, Extra: 8},
	}, types...)}
}

// declarations is what a header has between its fixed parts, in one line.
func declarations(t *testing.T, s *btf.Spec) string {
	t.Helper()
	header, err := Write(s)
	qt.Assert(t, qt.IsNil(err))
	text, ok := strings.CutPrefix(string(header), head)
	qt.Assert(t, qt.IsTrue(ok))
	text, ok = strings.CutSuffix(text, tail)
	qt.Assert(t, qt.IsTrue(ok))
	return strings.Join(strings.Fields(text), " ")
}

func member(name string, id btf.ID, offset uint64) btf.Member {
	return btf.Member{Name: name, Type: id, Offset: offset}
}

// What clang does not write for BPF, or no C.
func TestHandmade(t *testing.T) {
	for _, test := range []struct {
		name string
		spec *btf.Spec
		want string
	}{
		{
			"bit-fields before kind_flag",
			spec(8,
				btf.Type{Kind: btf.Int, Name: "unsigned int", Size: 4, Extra: 3},
				btf.Type{Kind: btf.Int, Name: "unsigned int", Size: 4, Extra: 3<<16 | 7},
				btf.Type{Kind: btf.Struct, Name: "s", Size: 4, Members: []btf.Member{member("a", 4, 0), member("b", 5, 0)}}),
			"struct s { unsigned int a: 3; unsigned int b: 7; };",
		},
		{
			"a 32-bit kernel",
			spec(4,
				btf.Type{Kind: btf.Int, Name: "long long int", Size: 8, Extra: 1<<24 | 64},
				btf.Type{Kind: btf.Ptr},
				btf.Type{Kind: btf.Struct, Name: "arm", Size: 24, Members: []btf.Member{
					member("p", 5, 0), member("l", 4, 64), member("u", 2, 128)}},
				btf.Type{Kind: btf.Struct, Name: "i386", Size: 12, Members: []btf.Member{member("p", 5, 0), member("l", 4, 32)}}),
			"struct arm { void *p; long long: 32; long long int l; long unsigned int u; long long: 32; }; " +
				"struct i386 { void *p; long long int l; };",
		},
		{
			"names that several types have",
			spec(8,
				btf.Type{Kind: btf.Struct, Name: "s", Size: 4, Members: []btf.Member{member("a", 1, 0)}},
				btf.Type{Kind: btf.Union, Name: "s", Size: 4, Members: []btf.Member{member("b", 1, 0)}},
				btf.Type{Kind: btf.Typedef, Name: "s", Ref: 5},
				btf.Type{Kind: btf.Typedef, Name: "s", Ref: 4},
				btf.Type{Kind: btf.Enum, Size: 4, Members: []btf.Member{member("s", 0, 1), member("s___2", 0, 2)}},
				btf.Type{Kind: btf.Fwd, Name: "s", Flag: true}, btf.Type{Kind: btf.Ptr, Ref: 9},
				btf.Type{Kind: btf.Struct, Name: "u", Size: 8, Members: []btf.Member{member("p", 10, 0)}}),
			"struct s { int a; }; union s___2 { int b; }; typedef union s___2 s; typedef struct s s___2; " +
				"enum { s___3 = 1, s___2___2 = 2, }; struct u { union s___2 *p; };",
		},
		{
			"names that C cannot have",
			spec(8,
				btf.Type{Kind: btf.Struct, Name: "core::Option<u8>", Size: 4, Members: []btf.Member{member("0", 1, 0), member("struct", 3, 32)}},
				btf.Type{Kind: btf.Typedef, Name: "__builtin_va_list", Ref: 1},
				btf.Type{Kind: btf.Int, Name: "u128", Size: 16},
				btf.Type{Kind: btf.Float, Name: "long double", Size: 16},
				btf.Type{Kind: btf.Struct, Name: "s", Size: 32, Members: []btf.Member{member("a", 6, 0), member("b", 7, 128)}}),
			"struct core__Option_u8_ { /* C has no members that lie as this type's do. */ unsigned char __opaque[4]; }; " +
				"typedef int __builtin_va_list___2; typedef unsigned __int128 u128; " +
				"typedef struct { unsigned char bytes[16]; } long_double; struct s { u128 a; long_double b; };",
		},
		{
			"keywords",
			spec(8, btf.Type{Kind: btf.Struct, Name: "s", Size: 8, Members: []btf.Member{member("int", 1, 0), member("0", 1, 32)}}),
			"struct s { int _int; int _0; };",
		},
		{
			"true and bool are keywords in C23",
			spec(8,
				btf.Type{Kind: btf.Enum, Size: 4, Members: []btf.Member{member("false", 0, 0), member("true", 0, 1)}},
				btf.Type{Kind: btf.Int, Name: "_Bool", Size: 1, Extra: 4<<24 | 8},
				btf.Type{Kind: btf.Typedef, Name: "bool", Ref: 5}),
			"#if __STDC_VERSION__ < 202311L enum { false = 0, true = 1, }; #endif " +
				"#if __STDC_VERSION__ < 202311L typedef _Bool bool; #endif",
		},
		{
			"a named struct as an anonymous member",
			spec(8,
				btf.Type{Kind: btf.Struct, Name: "in", Size: 4, Members: []btf.Member{member("a", 1, 0)}},
				btf.Type{Kind: btf.Struct, Name: "out", Size: 8, Members: []btf.Member{member("", 4, 0), member("b", 1, 32)}}),
			"struct in { int a; }; struct out { struct { int a; }; int b; };",
		},
		{
			"an anonymous enum in two types",
			spec(8,
				btf.Type{Kind: btf.Enum, Size: 4, Members: []btf.Member{member("A", 0, 0)}},
				btf.Type{Kind: btf.Struct, Name: "one", Size: 4, Members: []btf.Member{member("e", 4, 0)}},
				btf.Type{Kind: btf.Struct, Name: "two", Size: 4, Members: []btf.Member{member("e", 4, 0)}}),
			"struct one { enum { A = 0, } e; }; struct two { enum { A___2 = 0, } e; };",
		},
		{
			"members over one another, and none",
			spec(8,
				btf.Type{Kind: btf.Struct, Name: "over", Size: 8, Members: []btf.Member{member("a", 1, 0), member("b", 1, 16)}},
				btf.Type{Kind: btf.Union, Name: "none", Size: 8}),
			"struct over { /* C has no members that lie as this type's do. */ unsigned char __opaque[8]; }; " +
				"union none { /* BTF does not have the members. */ unsigned char __opaque[8]; };",
		},
		{
			"const twice",
			spec(8,
				btf.Type{Kind: btf.Const, Ref: 3}, btf.Type{Kind: btf.Array, Ref: 4, Index: 1, Extra: 2}, btf.Type{Kind: btf.Const, Ref: 5},
				btf.Type{Kind: btf.Struct, Name: "s", Size: 2, Members: []btf.Member{member("name", 6, 0)}}),
			"struct s { const char name[2]; };",
		},
		{
			"kernel functions",
			spec(8,
				btf.Type{Kind: btf.FuncProto, Ref: 7, Members: []btf.Member{member("task", 8, 0), member("", 0, 0)}},
				btf.Type{Kind: btf.Func, Name: "kfunc", Ref: 4, Extra: btf.Global},
				btf.Type{Kind: btf.Func, Name: "other", Ref: 4, Extra: btf.Global},
				btf.Type{Kind: btf.Ptr, Ref: 11}, btf.Type{Kind: btf.Ptr, Ref: 12},
				btf.Type{Kind: btf.DeclTag, Name: "bpf_kfunc", Ref: 5, Extra: whole},
				btf.Type{Kind: btf.DeclTag, Name: "bpf_fastcall", Ref: 5, Extra: whole},
				btf.Type{Kind: btf.TypeTag, Name: "address_space(1)", Flag: true},
				btf.Type{Kind: btf.Fwd, Name: "task"}),
			"struct task; " + strings.Join(strings.Fields(kfuncsHead), " ") +
				" extern __bpf_fastcall void __attribute__((address_space(1))) *kfunc(struct task *task, ...) __weak __ksym; #endif",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			qt.Check(t, qt.Equals(declarations(t, test.spec), test.want))
		})
	}
}

func TestRefuses(t *testing.T) {
	// Unions of twice the union before: 40 types, and 2 to the 40th members.
	nested := []btf.Type{}
	for i := range 40 {
		of := btf.ID(i + 3)
		if i == 0 {
			of = 1
		}
		nested = append(nested, btf.Type{Kind: btf.Union, Size: 4, Members: []btf.Member{member("a", of, 0), member("b", of, 0)}})
	}
	nested = append(nested, btf.Type{Kind: btf.Typedef, Name: "all", Ref: 43})
	// Functions of two pointers to the function before.
	functions := []btf.Type{}
	for i := range 40 {
		of := btf.ID(2*i + 4)
		functions = append(functions, btf.Type{Kind: btf.FuncProto, Members: []btf.Member{member("", of-1, 0), member("", of-1, 0)}}, btf.Type{Kind: btf.Ptr, Ref: of})
	}
	functions = append(functions, btf.Type{Kind: btf.Typedef, Name: "all", Ref: 82})
	chain := []btf.Type{}
	for i := range 3 * maxDepth {
		chain = append(chain, btf.Type{Kind: btf.Ptr, Ref: btf.ID(i + 5)})
	}
	chain = append(chain, btf.Type{Kind: btf.Ptr})
	chain = append(chain, btf.Type{Kind: btf.Typedef, Name: "chain", Ref: 4})
	for _, test := range []struct {
		name string
		spec *btf.Spec
		want string
	}{
		{"itself", spec(8, btf.Type{Kind: btf.Struct, Name: "s", Size: 4, Members: []btf.Member{member("a", 4, 0)}}), `type 4 \(s\): it contains itself`},
		{"typedef of itself", spec(8, btf.Type{Kind: btf.Typedef, Name: "t", Ref: 4}), `type 4 \(t\): it contains itself`},
		{"const of itself", spec(8, btf.Type{Kind: btf.Const, Ref: 4}, btf.Type{Kind: btf.Typedef, Name: "t", Ref: 4}), `nest deeper`},
		{"void member", spec(8, btf.Type{Kind: btf.Struct, Name: "s", Members: []btf.Member{member("a", 0, 0)}}), `a member or an element is void`},
		{"incomplete member", spec(8, btf.Type{Kind: btf.Fwd, Name: "f"}, btf.Type{Kind: btf.Struct, Name: "s", Members: []btf.Member{member("a", 4, 0)}}), `type 4 \(f\): a member or an element has an incomplete type`},
		{"function as a member", spec(8, btf.Type{Kind: btf.FuncProto}, btf.Type{Kind: btf.Struct, Name: "s", Members: []btf.Member{member("a", 4, 0)}}), `is a function`},
		{"variable as a type", spec(8, btf.Type{Kind: btf.Var, Name: "v", Ref: 1}, btf.Type{Kind: btf.Typedef, Name: "t", Ref: 4}), `type 4 \(v\): not a type that another can refer to`},
		{"kfunc without prototype", spec(8, btf.Type{Kind: btf.Func, Name: "f", Ref: 1}, btf.Type{Kind: btf.DeclTag, Name: "bpf_kfunc", Ref: 4, Extra: whole}), `a function without a prototype`},
		{"too large", spec(8, nested...), `larger than 128 MB`},
		{"too many functions", spec(8, functions...), `larger than 128 MB`},
		{"too deep", spec(8, chain...), `nest deeper`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Write(test.spec)
			qt.Assert(t, qt.ErrorIs(err, btf.ErrMalformed))
			qt.Check(t, qt.ErrorMatches(err, ".*"+test.want+".*"))
		})
	}
}
