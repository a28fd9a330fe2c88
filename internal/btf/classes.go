package btf

import (
	"fmt"
	"strings"
)

// Classes finds the types that are the same: of one shape, with names, and referring to types that are the same. It returns
// for each type the first one that it is the same as. Types that refer to each other in circles are the same if nothing tells
// them apart.
//
// identity returns a name for a type that is the same as those with that name and no other, whatever its shape: for variables
// and functions, which the linker joins. It returns "" for all others.
func (s *Spec) Classes(identity func(ID) string) []ID {
	// All types that look alike are in one class; a class is split while its types refer to different classes.
	class := make([]ID, len(s.Types))
	number := func(key func(id int) string) int {
		next, first := make([]ID, len(s.Types)), map[string]ID{}
		for id := range s.Types {
			k := key(id)
			if _, ok := first[k]; !ok {
				first[k] = ID(id)
			}
			next[id] = first[k]
		}
		class = next
		return len(first)
	}
	own := make([]bool, len(s.Types))
	n := number(func(id int) string {
		if name := identity(ID(id)); name != "" {
			own[id] = true
			return "=" + name
		}
		return s.Types[id].shape()
	})
	var refs []*ID
	var key strings.Builder
	for {
		more := number(func(id int) string {
			key.Reset()
			fmt.Fprint(&key, class[id])
			if !own[id] {
				refs = s.Types[id].refs(refs[:0])
				for _, ref := range refs {
					fmt.Fprint(&key, " ", class[*ref])
				}
			}
			return key.String()
		})
		if more == n {
			return class
		}
		n = more
	}
}

// shape is all of a type but what it refers to.
func (t *Type) shape() string {
	var b strings.Builder
	fmt.Fprint(&b, t.Kind, t.Flag, t.Size, " ", t.Extra, " ", t.Name)
	for i := range t.Members {
		fmt.Fprint(&b, "\x00", t.Members[i].Name, "\x00", t.Members[i].Offset, " ", t.Members[i].Size)
	}
	return b.String()
}

// Append adds copies of another Spec's types and returns what to add to their ids.
func (s *Spec) Append(from *Spec) ID {
	shift := ID(len(s.Types) - 1)
	var refs []*ID
	for _, t := range from.Types[1:] {
		t.Members = append([]Member(nil), t.Members...)
		refs = t.refs(refs[:0])
		for _, ref := range refs {
			if *ref != 0 {
				*ref += shift
			}
		}
		s.Types = append(s.Types, t)
	}
	return shift
}

// Redirect makes all types refer to others: to[id] instead of id.
func (s *Spec) Redirect(to []ID) {
	var refs []*ID
	for id := range s.Types {
		refs = s.Types[id].refs(refs[:0])
		for _, ref := range refs {
			*ref = to[*ref]
		}
	}
}
