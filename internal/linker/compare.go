package linker

import (
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// comparison tells whether two types can be those of one global. It is not as strict as the BTF is: an object may know a
// type by its name alone, may not say that it is const, signed, or how long an array is.
type comparison struct {
	spec    *btf.Spec
	classes []btf.ID
	assumed map[[2]btf.ID]bool // pairs being compared, in circles
	// maps says that these are definitions of maps: the order of their attributes means nothing, and their numbers are
	// written as lengths of arrays.
	maps bool
}

func (c comparison) same(a, b btf.ID) bool {
	a, b = c.spec.Strip(a), c.spec.Strip(b)
	x, y := &c.spec.Types[a], &c.spec.Types[b]
	pair := [2]btf.ID{a, b}
	if c.assumed[pair] || c.classes[a] == c.classes[b] && x.Kind != btf.Func && x.Kind != btf.Var {
		return true
	}
	c.assumed[pair] = true
	composite := func(t *btf.Type) bool { return t.Kind == btf.Struct || t.Kind == btf.Union || t.Kind == btf.Fwd }
	union := func(t *btf.Type) bool { return t.Kind == btf.Union || t.Kind == btf.Fwd && t.Flag }
	enum := func(t *btf.Type) bool { return t.Kind == btf.Enum || t.Kind == btf.Enum64 }
	switch {
	case composite(x) && composite(y) && x.Name != "":
		return x.Name == y.Name && union(x) == union(y)
	case enum(x) && enum(y) && x.Name != "":
		return x.Name == y.Name
	case x.Kind != y.Kind:
		return false
	}
	switch x.Kind {
	case btf.Func, btf.Var, btf.Ptr:
		return c.same(x.Ref, y.Ref)
	case btf.Int, btf.Float, btf.Enum, btf.Enum64:
		return x.Size == y.Size
	case btf.Array:
		unknown := !c.maps && (x.Extra == 0 || y.Extra == 0)
		return (x.Extra == y.Extra || unknown) && c.same(x.Ref, y.Ref)
	case btf.Struct, btf.Union, btf.FuncProto:
		return x.Size == y.Size && (x.Kind != btf.FuncProto || c.same(x.Ref, y.Ref)) && c.sameMembers(x, y)
	}
	return false
}

func (c comparison) sameMembers(x, y *btf.Type) bool {
	p, q := x.Members, y.Members
	if c.maps && x.Kind == btf.Struct {
		byName := func(a, b btf.Member) int { return strings.Compare(a.Name, b.Name) }
		p, q = slices.SortedStableFunc(slices.Values(p), byName), slices.SortedStableFunc(slices.Values(q), byName)
	}
	return slices.EqualFunc(p, q, func(m, n btf.Member) bool {
		named := x.Kind != btf.FuncProto // a parameter may have any name
		placed := named && !c.maps
		return (!named || m.Name == n.Name) && (!placed || m.Offset == n.Offset) && c.same(m.Type, n.Type)
	})
}
