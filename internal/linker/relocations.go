package linker

import (
	"debug/elf"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// relocation is an entry of an output's SHT_REL section.
type relocation struct {
	off uint64
	typ uint32
	to  outgoing
}

// The types of relocations (Documentation/bpf/llvm_reloc.rst). All keep their addends in place.
const (
	relLoadImm64 = 1  // R_BPF_64_64: the two halves of a 64-bit load
	relAbs64     = 2  // R_BPF_64_ABS64
	relAbs32     = 3  // R_BPF_64_ABS32
	relCall      = 10 // R_BPF_64_32: a call
)

const relSize = 16 // Elf64_Rel {u64 r_offset; u64 r_info}

// relocate takes over the relocations of what was placed. Those against a section have a place in it as their addend,
// which has moved with the section.
func (l *link) relocate() error {
	for _, o := range l.objects {
		for _, s := range o.elf.Sections {
			if s.Type != elf.SHT_REL && s.Type != elf.SHT_RELA || int(s.Info) >= len(o.chunks) || o.chunks[s.Info] == nil {
				continue
			}
			if s.Type == elf.SHT_RELA {
				return o.errorf("section "+s.Name, "has addends of its own (SHT_RELA), which objects for BPF do not")
			}
			data, err := s.Data()
			if err != nil {
				return o.errorf("section "+s.Name, "%w", err)
			}
			if len(data)%relSize != 0 {
				return o.errorf("section "+s.Name, "%d bytes, not a multiple of %d", len(data), relSize)
			}
			in, size := o.chunks[s.Info], o.elf.Sections[s.Info].Size
			for ; len(data) > 0; data = data[relSize:] {
				off, info := l.order.Uint64(data), l.order.Uint64(data[8:])
				if o.drops(elf.SectionIndex(s.Info), off) {
					continue
				}
				index, typ := info>>32, uint32(info)
				if index >= uint64(len(o.refs)) || o.refs[index] == (outgoing{}) {
					return o.errorf("section "+s.Name, "the relocation at %d names symbol %d, which is not linked", off, index)
				}
				r := relocation{in.base + off, typ, o.refs[index]}
				by := uint64(0)
				if r.to.base != nil {
					by = r.to.base.base
				}
				if off > size || !l.shift(in.to.data, in.base+size, r, by) {
					return o.errorf("section "+s.Name, "the relocation at %d is of type %d, or outside of its section", off, typ)
				}
				in.to.rels = append(in.to.rels, r)
			}
		}
	}
	return nil
}

// shift adds n bytes to a relocation's addend, which has to end before a place in data. It returns false where it cannot.
func (l *link) shift(data []byte, end uint64, r relocation, n uint64) bool {
	if end > uint64(len(data)) || r.off > end { // of a section without data, for example
		return false
	}
	at := data[r.off:end]
	add32 := func(at []byte, n uint64) { l.order.PutUint32(at, l.order.Uint32(at)+uint32(n)) }
	switch {
	case r.typ == relLoadImm64 && len(at) >= 2*insn.Size:
		add32(at[4:], n)
	case r.typ == relCall && len(at) >= insn.Size:
		add32(at[4:], n/insn.Size)
	case r.typ == relAbs64 && len(at) >= 8:
		l.order.PutUint64(at, l.order.Uint64(at)+n)
	case r.typ == relAbs32 && len(at) >= 4:
		add32(at, n)
	default:
		return false
	}
	return true
}
