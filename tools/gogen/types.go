package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// typeSet is the C types that get Go declarations, by Go name.
type typeSet struct {
	types  map[string]btf.Type
	names  map[btf.Type]string
	walked map[btf.Type]bool
	taken  func(string) bool
	shapes *shapes
}

func newTypeSet(taken func(string) bool) *typeSet {
	s := &typeSet{types: map[string]btf.Type{}, names: map[btf.Type]string{}, walked: map[btf.Type]bool{}, taken: taken}
	s.shapes = newShapes(s.names)
	return s
}

// add declares the named structs, unions and enums that typ is made of. A pointer is followed if it is typ itself:
// `struct event *unused_event` is how C code has a type described that no map has.
func (s *typeSet) add(typ btf.Type) {
	if p, ok := btf.As[*btf.Pointer](typ); ok {
		typ = p.Target
	}
	s.walk(typ)
}

func (s *typeSet) walk(typ btf.Type) {
	typ = btf.QualifiedType(typ)
	if s.walked[typ] {
		return
	}
	s.walked[typ] = true
	switch t := btf.UnderlyingType(typ).(type) {
	case *btf.Struct:
		s.declare(typ)
		for _, m := range t.Members {
			s.walk(m.Type)
		}
	case *btf.Union:
		s.declare(typ)
		for _, m := range t.Members {
			s.walk(m.Type)
		}
	case *btf.Enum:
		s.declare(typ)
	case *btf.Array:
		s.walk(t.Type)
	}
}

// declare gives a type its Go name, unless it has no name or another type has it already: then it is written out where
// it is used.
func (s *typeSet) declare(typ btf.Type) {
	if typ.TypeName() == "" {
		return
	}
	name := identifier(typ.TypeName())
	if s.taken(name) {
		name += "Type"
	}
	if _, ok := s.types[name]; ok || s.taken(name) {
		return
	}
	s.types[name] = typ
	s.names[typ] = name
}

// goType returns how Go code writes a type of C that add has seen, or ok false where there is no way.
func (s *typeSet) goType(typ btf.Type) (code string, ok bool) {
	typ = btf.QualifiedType(typ)
	if name := s.names[typ]; name != "" {
		return name, true
	}
	decl, err := s.declaration("T", typ)
	if err != nil {
		return "", false
	}
	decl, _, _ = strings.Cut(decl, constants)
	if s.check(decl, func(string) bool { return true }) != nil {
		return "", false
	}
	return strings.TrimPrefix(decl, "type T "), true
}

// constants separates the declaration of an enum from its constants.
const constants = "; const "

// declaration returns a type's declaration and, for an enum, those of its constants.
func (s *typeSet) declaration(name string, typ btf.Type) (string, error) {
	if err := s.shapes.check(typ); err != nil {
		return "", err
	}
	return (&btf.GoFormatter{Names: s.names, Identifier: identifier}).TypeDeclaration(name, typ)
}

// declarations returns the Go declarations, in the order of their names.
func (s *typeSet) declarations() ([]string, error) {
	declared := map[string]bool{}
	free := func(name string) bool {
		_, isType := s.types[name]
		return !isType && !s.taken(name) && !declared[name]
	}
	var decls []string
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		typ := s.types[name]
		decl, err := s.declaration(name, typ)
		if err == nil {
			err = cmp.Or(s.check(decl, free), checkValues(typ))
		}
		comment := fmt.Sprintf("// %s is %s of C", name, describe(typ))
		typeDecl, consts, _ := strings.Cut(decl, constants)
		_, isEnum := btf.As[*btf.Enum](typ)
		switch {
		case err == nil && consts != "":
			decl = fmt.Sprintf("%s.\n%s\n\nconst %s", comment, typeDecl, consts)
			for id := range constantNames(decl) {
				declared[id] = true
			}
		case err == nil:
			decl = fmt.Sprintf("%s.\n%s", comment, typeDecl)
		case isEnum && consts != "":
			decl = fmt.Sprintf("%s, without its constants: %s.\n%s", comment, reason(err), typeDecl)
		default:
			size, sizeErr := btf.Sizeof(typ)
			if sizeErr != nil {
				return nil, fmt.Errorf("type %s: %w", typ.TypeName(), sizeErr)
			}
			decl = fmt.Sprintf("%s, as bytes: %s.\ntype %s [%d]byte", comment, reason(err), name, size)
		}
		decls = append(decls, decl)
	}
	return decls, nil
}

// inType is how the formatter begins its errors: with the type that it was at.
var inType = regexp.MustCompile(`^(\w+:"[^"]*": )+`)

// reason says on one line why a type has no declaration.
func reason(err error) string {
	return oneLine(strings.Join(strings.Fields(inType.ReplaceAllString(err.Error(), "")), " "))
}

// describe names a type as C does, on one line.
func describe(typ btf.Type) string {
	var kind string
	switch typ.(type) {
	case *btf.Struct:
		kind = "struct "
	case *btf.Union:
		kind = "union "
	case *btf.Enum:
		kind = "enum "
	}
	return kind + oneLine(typ.TypeName())
}

// check holds a declaration to what the formatter leaves open: no two fields of a struct may have one name, every type is one
// that Go or the package has, and every constant's name must be free.
func (s *typeSet) check(decl string, free func(string) bool) error {
	file, err := parse(decl)
	if err != nil {
		return err
	}
	var found error
	ast.Inspect(file, func(n ast.Node) bool {
		var typ ast.Expr
		switch n := n.(type) {
		case *ast.TypeSpec:
			typ = n.Type
		case *ast.ArrayType:
			typ = n.Elt
		case *ast.Field:
			typ = n.Type
		}
		if id, ok := typ.(*ast.Ident); ok && s.types[id.Name] == nil && types.Universe.Lookup(id.Name) == nil {
			found = cmp.Or(found, fmt.Errorf("there is no Go type %s", id.Name))
		}
		st, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		fields := map[string]bool{}
		for _, f := range st.Fields.List {
			for _, id := range f.Names {
				if id.Name != "_" && fields[id.Name] {
					found = cmp.Or(found, fmt.Errorf("two fields would be called %s", id.Name))
				}
				fields[id.Name] = true
			}
		}
		return true
	})
	if found != nil {
		return found
	}
	ids := constantNames(decl)
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		if ids[id] > 1 || !free(id) {
			return fmt.Errorf("constant %s is declared twice", id)
		}
	}
	return nil
}

// constantNames returns the names of the constants that a declaration has, and how often.
func constantNames(decl string) map[string]int {
	file, err := parse(decl)
	if err != nil {
		return nil
	}
	ids := map[string]int{}
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, spec := range g.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					ids[id.Name]++
				}
			}
		}
	}
	return ids
}

func parse(decl string) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", "package p\n"+decl, parser.SkipObjectResolution)
}
