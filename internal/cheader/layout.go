package cheader

import (
	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// record is how a struct or union has to be declared, so that clang lays it out as the kernel's compiler did.
type record struct {
	// opaque: C has no declaration for it, only for its size.
	opaque bool
	packed bool
	// aligned is the alignment in bytes to ask for, or 0.
	aligned uint64
	// align is the alignment in bytes that the declaration has. The kernel's can be higher, which BTF does not tell.
	align uint64
	// gaps are what to fill, in bits, before each member and at the end.
	gaps []gap
}

// gap is a part of a record, from one bit to another, that no member is in.
type gap struct{ from, to uint64 }

// maxAlign is the largest alignment that any attribute asks for in kernels.
const maxAlign = 1 << 16

// sizeAlign returns a type's size and alignment in bytes, as declared; false if it has none.
func (w *writer) sizeAlign(id btf.ID) (size, align uint64, ok bool) {
	n := uint64(1)
	for range maxDepth {
		id = w.names.actual[id]
		t := &w.spec.Types[id]
		switch t.Kind {
		case btf.Array:
			n *= uint64(t.Extra)
			if n > 1<<32 {
				return 0, 0, false
			}
			id = t.Ref
			continue
		case btf.Typedef, btf.Volatile, btf.Const, btf.Restrict, btf.TypeTag:
			id = t.Ref
			continue
		case btf.Ptr:
			return n * w.pointerSize, w.pointerSize, true
		case btf.Int, btf.Float, btf.Enum, btf.Enum64:
			size, align = uint64(t.Size), w.scalarAlign(t)
		case btf.Struct, btf.Union:
			size, align = uint64(t.Size), w.layout(id).align
		default:
			return 0, 0, false
		}
		return n * size, align, true
	}
	return 0, 0, false
}

// scalarAlign is the alignment of a number: its size. 32-bit machines differ in that of 64-bit numbers. Where all are
// aligned to 4 bytes, none makes a record packed, which would split accesses into bytes.
func (w *writer) scalarAlign(t *btf.Type) uint64 {
	size := uint64(t.Size)
	switch {
	case !isPowerOf2(size) || size > 16, t.Kind == btf.Float && size != 4 && size != 8:
		return 1 // see basicDeclaration
	case w.pointerSize == 4:
		return min(size, 4)
	}
	return size
}

func isPowerOf2(n uint64) bool { return n != 0 && n&(n-1) == 0 }

func alignUp(n, align uint64) uint64 { return (n + align - 1) / align * align }

// layout finds the declaration of a struct or union.
func (w *writer) layout(id btf.ID) *record {
	if w.records[id] == nil {
		w.records[id] = &record{opaque: true, align: 1} // for a type that contains itself
		t := &w.spec.Types[id]
		r, ok := w.fit(t, false)
		if !ok {
			r, ok = w.fit(t, true)
		}
		if ok {
			w.records[id] = r
		}
	}
	return w.records[id]
}

// fit lays a record out as clang does for BPF, packed or not, and finds the gaps that have to be filled for every member
// to come where BTF says; or that there is no way.
//
// A bit-field comes right after what is before it, but does not cross a multiple of its type's size; packed, it may. All other
// members begin at multiples of their alignment. Unnamed bit-fields do not add to the record's alignment.
func (w *writer) fit(t *btf.Type, packed bool) (*record, bool) {
	r := &record{packed: packed, align: 1, gaps: make([]gap, len(t.Members)+1)}
	var at, end uint64 // in bits
	for i := range t.Members {
		m := &t.Members[i]
		offset, width := w.spec.BitField(t, m)
		size, align, ok := w.sizeAlign(m.Type)
		if !ok {
			return nil, false
		}
		if packed {
			align = 1
		}
		if t.Kind == btf.Union {
			at = 0
		}
		unit := align * 8
		natural := alignUp(at, unit)
		bits := size * 8
		if width > 0 {
			if width > bits || !w.isInteger(m.Type) {
				return nil, false
			}
			crosses := func(at uint64) bool { return !packed && at%unit+width > bits }
			natural = at
			if crosses(at) {
				natural = alignUp(at, unit)
			}
			if offset != natural && crosses(offset) {
				return nil, false
			}
			bits = width
		}
		if offset != natural {
			if offset < at || t.Kind == btf.Union || width == 0 && offset%unit != 0 {
				return nil, false
			}
			r.gaps[i] = gap{at, offset}
		}
		at = offset + bits
		end = max(end, at)
		r.align = max(r.align, align)
	}
	size := uint64(t.Size) * 8
	switch {
	case alignUp(end, r.align*8) == size:
	case end > size || size%(r.align*8) != 0:
		return nil, false
	case t.Kind == btf.Struct:
		r.gaps[len(t.Members)] = gap{end, size}
	default: // in a union nothing can follow: only a larger alignment makes it larger
		for r.align < maxAlign && alignUp(end, r.align*8) != size {
			r.align *= 2
		}
		if alignUp(end, r.align*8) != size {
			return nil, false
		}
		r.aligned = r.align
	}
	return r, true
}

// isInteger says whether bit-fields can have a type.
func (w *writer) isInteger(id btf.ID) bool {
	switch w.spec.Types[w.names.actual[w.spec.Strip(id)]].Kind {
	case btf.Int, btf.Enum, btf.Enum64:
		return true
	}
	return false
}

// filler is an unnamed bit-field, or for long gaps a member, with which a part of a gap is filled.
type filler struct {
	typ  string
	bits uint64 // of the bit-field
	len  uint64 // of the member, in bytes
}

// maxFill is the longest gap, in bits, that unnamed bit-fields fill: that before a page. No compiler makes a longer one.
const maxFill = 4096 * 8

// fill returns what fills a gap: the largest types that end at a multiple of their size.
func (g gap) fill() []filler {
	var fillers []filler
	for at := g.from; at < g.to; {
		if at%8 == 0 && g.to-at > maxFill {
			n := (g.to - at) / 8
			fillers, at = append(fillers, filler{"unsigned char", 0, n}), at+n*8
			continue
		}
		end, typ := g.to, "char"
		for _, unit := range []struct {
			bits uint64
			typ  string
		}{{64, "long long"}, {32, "int"}, {16, "short"}, {8, "char"}} {
			if e := alignUp(at+1, unit.bits); e <= g.to {
				end, typ = e, unit.typ
				break
			}
		}
		fillers, at = append(fillers, filler{typ, end - at, 0}), end
	}
	return fillers
}
