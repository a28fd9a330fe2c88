package btf

import (
	"fmt"
	"strings"
)

// Writer makes the part of a Spec that a program uses, with ids and strings of its own. Add what is needed, take the
// new ids and string offsets, then Bytes.
type Writer struct {
	spec    *Spec
	newID   []ID // by old id; 0: not kept
	keep    []ID // old ids, in the order of the input
	strings []byte
	offsets map[string]uint32
}

// NewWriter plans to keep the types in roots and all that they refer to, in the order of s. Declaration tags stay with
// what they tag, and with them the types that they name ("contains:NAME:FIELD", the elements of a list or tree).
func NewWriter(s *Spec, roots []ID) (*Writer, error) {
	w := &Writer{spec: s, newID: make([]ID, len(s.Types)), strings: []byte{0}, offsets: map[string]uint32{"": 0}}
	tags := map[ID][]ID{} // tagged type -> its declaration tags
	for id := range s.Types {
		if t := &s.Types[id]; t.Kind == DeclTag {
			tags[t.Ref] = append(tags[t.Ref], ID(id))
		}
	}
	used := make([]bool, len(s.Types))
	work := append([]ID{}, roots...)
	var refs []*ID
	for len(work) > 0 {
		id := work[len(work)-1]
		work = work[:len(work)-1]
		if id >= ID(len(s.Types)) {
			return nil, fmt.Errorf("%w: no type %d", ErrMalformed, id)
		}
		if id == 0 || used[id] {
			continue
		}
		used[id] = true
		t := &s.Types[id]
		refs = t.refs(refs[:0])
		for _, ref := range refs {
			work = append(work, *ref)
		}
		work = append(work, tags[id]...)
		if t.Kind == DeclTag {
			if name, ok := strings.CutPrefix(t.Name, "contains:"); ok {
				name, _, _ = strings.Cut(name, ":")
				work = append(work, s.Find(Struct, name))
			}
		}
	}
	for id, u := range used {
		if u {
			w.keep = append(w.keep, ID(id))
			w.newID[id] = ID(len(w.keep))
		}
	}
	if len(w.keep) > maxTypes {
		return nil, fmt.Errorf("the object needs %d types, and the kernel takes %d", len(w.keep), maxTypes)
	}
	for _, id := range w.keep {
		t := &s.Types[id]
		w.String(t.Name)
		for i := range t.Members {
			w.String(t.Members[i].Name)
		}
	}
	return w, nil
}

// Empty says that there is no type to write.
func (w *Writer) Empty() bool { return len(w.keep) == 0 }

// ID returns the id that a type of the input has in the output, 0 if it is not kept.
func (w *Writer) ID(old ID) ID {
	if old >= ID(len(w.newID)) {
		return 0
	}
	return w.newID[old]
}

// String returns the offset of a string in the output, adding it if need be.
func (w *Writer) String(s string) uint32 {
	off, ok := w.offsets[s]
	if !ok {
		off = uint32(len(w.strings))
		w.offsets[s] = off
		w.strings = append(append(w.strings, s...), 0)
	}
	return off
}

// Bytes returns the contents of a .BTF section.
func (w *Writer) Bytes() ([]byte, error) {
	if len(w.strings) > maxStringOffset {
		return nil, fmt.Errorf("the object's BTF has %d bytes of strings, and the kernel takes %d", len(w.strings), maxStringOffset)
	}
	order := w.spec.Order
	out := make([]byte, headerLen, headerLen+len(w.keep)*24+len(w.strings))
	u32 := func(v uint32) {
		out = append(out, 0, 0, 0, 0)
		order.PutUint32(out[len(out)-4:], v)
	}
	for _, id := range w.keep {
		t := &w.spec.Types[id]
		vlen := uint32(len(t.Members))
		if t.Kind == Func {
			vlen = t.Extra
		}
		if vlen > maxMembers {
			return nil, fmt.Errorf("type %s has %d members, and BTF can number %d", t.Name, vlen, maxMembers)
		}
		info := uint32(t.Kind)<<24 | vlen
		if t.Flag {
			info |= 1 << 31
		}
		u32(w.String(t.Name))
		u32(info)
		switch t.Kind {
		case Int, Struct, Union, Enum, DataSec, Float, Enum64:
			u32(t.Size)
		case Array, Fwd:
			u32(0)
		default:
			u32(w.newID[t.Ref])
		}
		for i := range t.Members {
			m := &t.Members[i]
			switch t.Kind {
			case Struct, Union:
				u32(w.String(m.Name))
				u32(w.newID[m.Type])
				u32(uint32(m.Offset))
			case Enum:
				u32(w.String(m.Name))
				u32(uint32(m.Offset))
			case Enum64:
				u32(w.String(m.Name))
				u32(uint32(m.Offset))
				u32(uint32(m.Offset >> 32))
			case FuncProto:
				u32(w.String(m.Name))
				u32(w.newID[m.Type])
			case DataSec:
				u32(w.newID[m.Type])
				u32(uint32(m.Offset))
				u32(m.Size)
			}
		}
		switch t.Kind {
		case Int, Var, DeclTag:
			u32(t.Extra)
		case Array:
			u32(w.newID[t.Ref])
			u32(w.newID[t.Index])
			u32(t.Extra)
		}
	}
	types := len(out) - headerLen
	order.PutUint16(out, magic)
	out[2] = 1
	order.PutUint32(out[4:], headerLen)
	order.PutUint32(out[12:], uint32(types))
	order.PutUint32(out[16:], uint32(types))
	order.PutUint32(out[20:], uint32(len(w.strings)))
	return append(out, w.strings...), nil
}
