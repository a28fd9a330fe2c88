package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/go-quicktest/qt"
)

// value makes the package of an array map with a type as its value, and of a variable of that type.
func value(t *testing.T, typ btf.Type) string {
	t.Helper()
	variable := &btf.Var{Name: "v", Type: typ, Linkage: btf.GlobalVar}
	src, err := generate(build(t, []mapOf{
		{name: "m", typ: ebpf.Array, key: u32, value: typ},
		{name: ".data", typ: ebpf.Array, section: ".data", key: u32, value: section(".data", variable)},
	}), "p", "p.bpfl")
	qt.Assert(t, qt.IsNil(err))
	checkPackage(t, src)
	return string(src)
}

// checkPackage holds generated code to what a template with nothing but names and types in it can be, whatever the bundle
// says: it compiles, and has no imports, functions or directives of its own.
func checkPackage(t testing.TB, src []byte) {
	t.Helper()
	typeCheck(t, src)
	file, err := parser.ParseFile(token.NewFileSet(), "", src, parser.ParseComments)
	qt.Assert(t, qt.IsNil(err))
	for _, i := range file.Imports {
		qt.Check(t, qt.SliceContains([]string{`"context"`, `"embed"`, `"structs"`, `"github.com/cilium/ebpf"`,
			`"github.com/rules-bpf/rules_bpf/bundle"`, `"github.com/rules-bpf/rules_bpf/runtime"`}, i.Path.Value))
	}
	var functions []string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			functions = append(functions, f.Name.Name)
		}
	}
	qt.Check(t, qt.DeepEquals(functions, []string{"Bundle", "Load", "AttachAll", "Collection", "Close"}))
	var directives []string
	for _, group := range file.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:") || strings.HasPrefix(c.Text, "//line") || strings.HasPrefix(c.Text, "/*line") {
				directives = append(directives, c.Text)
			}
			qt.Check(t, qt.IsFalse(strings.ContainsFunc(c.Text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' })))
		}
	}
	slices.Sort(directives)
	qt.Check(t, qt.DeepEquals(directives, []string{"//go:build linux", "//go:embed p.bpfl"}))
}

// A type that Go cannot have becomes bytes, and says why where it has a name.
func TestTypesThatGoCannotHave(t *testing.T) {
	itself := &btf.Struct{Size: 4} // without a name
	itself.Members = []btf.Member{{Name: "again", Type: &btf.Array{Index: u32, Type: itself, Nelems: 1}}}
	named := &btf.Struct{Name: "itself", Size: 4}
	named.Members = []btf.Member{{Name: "again", Type: &btf.Typedef{Name: "itself_t", Type: named}}}
	union := &btf.Union{Size: 4}
	union.Members = []btf.Member{{Name: "x", Type: u32}, {Name: "again", Type: union}}
	var doubled btf.Type = u32
	for range 30 { // 2 to the 30th fields
		doubled = &btf.Struct{Size: 4, Members: []btf.Member{{Name: "a", Type: doubled}, {Name: "b", Type: doubled, Offset: 0}}}
	}
	for want, typ := range map[string]btf.Type{
		"":  itself,
		" ": union,
		"Itself is struct itself of C, as bytes: it contains itself.":                           named,
		"Outer is struct outer of C, as bytes: it contains itself.":                             &btf.Struct{Name: "outer", Size: 4, Members: []btf.Member{{Name: "in", Type: itself}}},
		"Doubled is struct doubled of C, as bytes: it is too large.":                            &btf.Struct{Name: "doubled", Size: 4, Members: []btf.Member{{Name: "in", Type: doubled}}},
		"Huge is struct huge of C, as bytes: it is too large.":                                  &btf.Struct{Name: "huge", Size: 4, Members: []btf.Member{{Name: "in", Type: &btf.Array{Index: u32, Type: u32, Nelems: 1 << 30}}}},
		"None is union none of C, as bytes: it has no members.":                                 &btf.Union{Name: "none", Size: 4},
		"Odd is struct odd of C, as bytes: there is no Go type uint24.":                         &btf.Struct{Name: "odd", Size: 4, Members: []btf.Member{{Name: "a", Type: &btf.Int{Name: "odd int", Size: 3}}}},
		"Small is enum small of C, without its constants: constant LARGE does not fit 1 bytes.": &btf.Enum{Name: "small", Size: 1, Values: []btf.EnumValue{{Name: "LARGE", Value: 300}}},
	} {
		qt.Check(t, qt.StringContains(value(t, typ), strings.TrimSpace(want)))
	}
}

// An enum without a name has no constants in Go either.
func TestVariableOfAnAnonymousEnum(t *testing.T) {
	src := value(t, &btf.Enum{Size: 4, Values: []btf.EnumValue{{Name: "A", Value: 1}}})
	qt.Check(t, qt.StringContains(src, "V *runtime.Variable[uint32]"))
}

// A variable's size is that of its place in the section, whatever its type says.
func TestVariableOfAnotherSize(t *testing.T) {
	s := section(".data", &btf.Var{Name: "v", Type: u32, Linkage: btf.GlobalVar})
	s.Vars[0].Size = 2
	src, err := generate(build(t, []mapOf{{name: ".data", typ: ebpf.Array, section: ".data", key: u32, value: s}}), "p", "p.bpfl")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(string(src), "V *runtime.Variable[[2]byte]"))
}

func TestEmbeddedName(t *testing.T) {
	b := build(t, nil)
	for _, bad := range []string{"", "a b", "a\nfunc init() {}", `a"b`, "a*", "a[b]", "../a", `a\b`} {
		_, err := generate(b, "p", bad)
		qt.Check(t, qt.ErrorMatches(err, "-embed .*: want the name of a file .*"))
	}
	_, err := generate(b, "p", "a-b_c+d.e=f@g.bpfl")
	qt.Check(t, qt.IsNil(err))
}
