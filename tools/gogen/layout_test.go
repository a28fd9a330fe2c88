package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/go-quicktest/qt"
)

// C types that Go can show in part only.
var (
	bits = &btf.Struct{Name: "bits", Size: 24, Members: []btf.Member{
		{Name: "version", Type: u8},
		{Name: "mode", Type: u32, Offset: 8, BitfieldSize: 3},
		{Name: "rest", Type: u32, Offset: 11, BitfieldSize: 21},
		{Name: "id", Type: u32, Offset: 32},
		{Name: "last", Type: u32, Offset: 64, BitfieldSize: 32},
		{Name: "time", Type: u64, Offset: 128},
	}}
	onlyBits = &btf.Struct{Name: "only_bits", Size: 4, Members: []btf.Member{{Name: "x", Type: u32, BitfieldSize: 9}}}
	either   = &btf.Union{Name: "either", Size: 8, Members: []btf.Member{{Name: "port", Type: u8}, {Name: "both", Type: u64}}}
	hole     = &btf.Struct{Name: "hole", Size: 16, Members: []btf.Member{{Name: "a", Type: u8}, {Name: "b", Type: u64, Offset: 64}}}
	tail     = &btf.Struct{Name: "tail", Size: 16, Members: []btf.Member{{Name: "b", Type: u64}, {Name: "a", Type: u8, Offset: 64}}}
	tight    = &btf.Struct{Name: "tight", Size: 9, Members: []btf.Member{{Name: "a", Type: u8}, {Name: "b", Type: u64, Offset: 8}}}
	nest     = &btf.Struct{Name: "nest", Size: 112, Members: []btf.Member{
		{Name: "each", Type: &btf.Array{Index: u32, Type: bits, Nelems: 2}},
		{Name: "either", Type: either, Offset: 384},
		{Name: "", Type: &btf.Union{Size: 8, Members: []btf.Member{{Name: "short_one", Type: u8}, {Name: "long_one", Type: u64}}}, Offset: 448},
		{Name: "tails", Type: &btf.Array{Index: u32, Type: tail, Nelems: 2}, Offset: 512},
		{Name: "flags", Type: onlyBits, Offset: 768},
		{Name: "end", Type: u8, Offset: 832},
	}}
)

// runtime.Variable takes each field to be behind the one before, as encoding/binary does. So a generated type must declare
// every byte of the C type: each field at its offset, and blank fields wherever Go has nothing to show.
func TestLayout(t *testing.T) {
	all := []*btf.Struct{bits, onlyBits, hole, tail, tight, nest}
	var vars []*btf.Var
	for _, s := range all {
		vars = append(vars, &btf.Var{Name: "v_" + s.Name, Type: s, Linkage: btf.GlobalVar})
	}
	src, err := generate(build(t, []mapOf{{name: ".data", typ: ebpf.Array, section: ".data", key: u32, value: section(".data", vars...)}}), "p", "p.bpfl")
	qt.Assert(t, qt.IsNil(err))
	declared := typeCheck(t, src)
	for _, s := range all {
		obj := declared.Lookup(identifier(s.Name))
		qt.Assert(t, qt.IsNotNil(obj), qt.Commentf("%s\n%s", s.Name, src))
		got, ok := obj.Type().Underlying().(*types.Struct)
		qt.Assert(t, qt.IsTrue(ok), qt.Commentf("%s is %v", s.Name, obj.Type()))
		qt.Check(t, qt.Equals(packedSize(t, got), int64(s.Size)), qt.Commentf("%s", s.Name))
		want := map[string]int64{}
		for _, m := range s.Members {
			if m.BitfieldSize == 0 {
				want[identifier(memberName(m))] = int64(m.Offset.Bytes())
			}
		}
		qt.Check(t, qt.DeepEquals(packedOffsets(t, got), want), qt.Commentf("%s", s.Name))
	}
}

// memberName is the name of a member, or that of the first of an anonymous union.
func memberName(m btf.Member) string {
	if u, ok := m.Type.(*btf.Union); ok && m.Name == "" {
		return u.Members[0].Name
	}
	return m.Name
}

// typeCheck checks the types of generated source, without its functions and variables, which need other packages.
func typeCheck(t testing.TB, src []byte) *types.Scope {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", src, 0)
	qt.Assert(t, qt.IsNil(err))
	only := &ast.File{Name: file.Name}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok == token.VAR {
			continue
		}
		text := string(src[g.Pos()-1 : g.End()-1])
		if g.Tok != token.TYPE || !strings.HasPrefix(text, "type Objects ") && !strings.HasPrefix(text, "type Variables ") {
			only.Decls = append(only.Decls, d)
		}
	}
	conf := types.Config{Importer: onlyStructs{}, Error: func(err error) {
		if e, ok := err.(types.Error); !ok || !e.Soft { // imports that nothing uses are no concern here
			t.Errorf("%v\n%s", err, src)
		}
	}}
	pkg, _ := conf.Check("p", fset, []*ast.File{only}, nil)
	return pkg.Scope()
}

// onlyStructs knows package structs and takes all others to be empty.
type onlyStructs struct{}

func (onlyStructs) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	if path == "structs" {
		name := types.NewTypeName(token.NoPos, pkg, "HostLayout", nil)
		types.NewNamed(name, types.NewStruct(nil, nil), nil)
		pkg.Scope().Insert(name)
	}
	pkg.MarkComplete()
	return pkg, nil
}

// packedSize is binary.Size of a type.
func packedSize(t *testing.T, typ types.Type) (size int64) {
	t.Helper()
	switch u := typ.Underlying().(type) {
	case *types.Basic:
		return types.SizesFor("gc", "amd64").Sizeof(u)
	case *types.Array:
		return u.Len() * packedSize(t, u.Elem())
	case *types.Struct:
		for f := range u.Fields() {
			size += packedSize(t, f.Type())
		}
		return size
	}
	t.Fatalf("%v has no size", typ)
	return 0
}

// packedOffsets are the offsets of the named fields.
func packedOffsets(t *testing.T, s *types.Struct) map[string]int64 {
	t.Helper()
	at, offsets := int64(0), map[string]int64{}
	for f := range s.Fields() {
		if f.Name() != "_" {
			offsets[f.Name()] = at
		}
		at += packedSize(t, f.Type())
	}
	return offsets
}
