package vmlinux_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// layouts are descriptions of types by kind and name, as "struct sock". Several types of a kernel can have one name.
type layouts map[string][]string

// describer describes types: sizes, offsets in bits, widths of bit-fields, values, and types by name. It leaves out what
// differs between compilers and has no effect on layout: qualifiers, ___2 at the end of names.
type describer struct {
	spec *btf.Spec
}

// layoutsOf describes all types with names, and functions.
func layoutsOf(spec *btf.Spec) layouts {
	d := describer{spec: spec}
	all := layouts{}
	for id := range spec.Types {
		t := &spec.Types[id]
		if t.Name == "" {
			continue
		}
		var text string
		switch t.Kind {
		case btf.Struct, btf.Union:
			text = d.record(t)
		case btf.Enum, btf.Enum64:
			if len(t.Members) == 0 {
				continue
			}
			text = d.enum(t)
		case btf.Typedef, btf.Func:
			text = d.shape(t.Ref)
		default:
			continue
		}
		key := keyword[t.Kind] + t.Name
		all[key] = append(all[key], text)
	}
	return all
}

// keyword is how the names of a kind of type begin.
var keyword = map[btf.Kind]string{
	btf.Struct: "struct ", btf.Union: "union ", btf.Enum: "enum ", btf.Enum64: "enum ", btf.Typedef: "typedef ", btf.Func: "function ",
}

// essential puts types together whose names differ in what CO-RE does not see.
func (l layouts) essential() layouts {
	all := layouts{}
	for key, list := range l {
		if !strings.HasPrefix(key, keyword[btf.Func]) {
			key = essential(key)
		}
		all[key] = append(all[key], list...)
	}
	for _, list := range all {
		slices.Sort(list)
	}
	return all
}

// essential is a name without what comes after three underscores, as CO-RE takes it.
func essential(name string) string {
	for i := len(name) - 5; i >= 0; i-- {
		if name[i] != '_' && name[i+1:i+4] == "___" && name[i+4] != '_' {
			return name[:i+1]
		}
	}
	return name
}

// shape describes a type where it is used: named ones by name.
func (d *describer) shape(id btf.ID) string {
	t := &d.spec.Types[id]
	switch t.Kind {
	case btf.Void:
		return "void"
	case btf.Const, btf.Volatile, btf.Restrict:
		return d.shape(t.Ref)
	case btf.TypeTag:
		if t.Flag { // an attribute that clang does not write into BTF
			return d.shape(t.Ref)
		}
		return t.Name + " " + d.shape(t.Ref)
	case btf.Ptr:
		return "*" + d.shape(t.Ref)
	case btf.Array:
		return fmt.Sprintf("[%d]%s", t.Extra, d.shape(t.Ref))
	case btf.Typedef:
		return "typedef " + essential(t.Name)
	case btf.Int:
		if t.Name == "char" { // signed or not, as compilers see fit
			return "char"
		}
		if t.Extra>>24&4 != 0 {
			return "bool"
		}
		return fmt.Sprintf("int%d signed=%d", t.Size*8, t.Extra>>24&1)
	case btf.Float:
		return fmt.Sprintf("float%d", t.Size*8)
	case btf.FuncProto:
		params := make([]string, len(t.Members))
		for i, p := range t.Members {
			params[i] = d.shape(p.Type)
		}
		return fmt.Sprintf("func(%s) %s", strings.Join(params, ", "), d.shape(t.Ref))
	case btf.Fwd:
		if t.Flag {
			return "union " + essential(t.Name)
		}
		return "struct " + essential(t.Name)
	case btf.Struct, btf.Union, btf.Enum, btf.Enum64:
		if t.Name != "" {
			return keyword[t.Kind] + essential(t.Name)
		}
		if t.Kind == btf.Enum || t.Kind == btf.Enum64 {
			return d.enum(t)
		}
		return d.record(t)
	}
	return fmt.Sprintf("kind %d", t.Kind)
}

func (d *describer) record(t *btf.Type) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sof %d bytes {", keyword[t.Kind], t.Size)
	for _, m := range t.Members {
		if m.Name == "__opaque" || strings.HasPrefix(m.Name, "__gap_") { // what ours has where BTF has no members
			continue
		}
		offset, width := m.Offset, uint64(0)
		if t.Flag {
			offset, width = m.Offset&0xffffff, m.Offset>>24
		}
		shape := d.shape(m.Type)
		if m.Name == "" { // a named struct as an anonymous member (-fms-extensions) is one without a name in the header
			if of := &d.spec.Types[d.spec.Strip(m.Type)]; of.Kind == btf.Struct || of.Kind == btf.Union {
				shape = d.record(of)
			}
		}
		fmt.Fprintf(&b, " %s @%d", m.Name, offset)
		if width > 0 {
			fmt.Fprintf(&b, ":%d", width)
		}
		fmt.Fprintf(&b, " %s;", shape)
	}
	return b.String() + " }"
}

func (d *describer) enum(t *btf.Type) string {
	var b strings.Builder
	fmt.Fprintf(&b, "enum of %d bytes {", t.Size)
	for _, m := range t.Members {
		fmt.Fprintf(&b, " %s=%d", essential(m.Name), value(t, m))
	}
	return b.String() + " }"
}

// value is an enumerator's, as 64 bits.
func value(t *btf.Type, m btf.Member) uint64 {
	if t.Kind == btf.Enum && t.Flag {
		return uint64(int64(int32(m.Offset)))
	}
	return m.Offset
}
