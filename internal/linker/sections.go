package linker

import (
	"bytes"
	"debug/elf"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// section is a section of the output.
type section struct {
	name  string
	index int // in the output, from 1
	typ   elf.SectionType
	flags elf.SectionFlag
	align uint64
	size  uint64
	data  []byte // nil for SHT_NOBITS
	rels  []relocation
}

// place lays out the sections that programs and data are in.
func (l *link) place() error {
	for _, o := range l.objects {
		o.chunks = make([]*chunk, len(o.elf.Sections))
		for i, s := range o.elf.Sections {
			if s.Flags&elf.SHF_ALLOC == 0 || s.Type != elf.SHT_PROGBITS && s.Type != elf.SHT_NOBITS {
				continue // debug information, symbols, BTF
			}
			if s.Name == ".BTF" || s.Name == ".BTF.ext" {
				return o.errorf("section "+s.Name, "is to be loaded (SHF_ALLOC): it would be in the output twice")
			}
			if s.Addralign&(s.Addralign-1) != 0 {
				return o.errorf("section "+s.Name, "is aligned to %d, not a power of two", s.Addralign)
			}
			var data []byte
			if s.Type == elf.SHT_PROGBITS {
				var err error
				if data, err = s.Data(); err != nil {
					return o.errorf("section "+s.Name, "%w", err)
				}
			}
			to := l.byName[s.Name]
			if to == nil {
				to = &section{name: s.Name, index: len(l.sections) + 1, typ: s.Type, align: 1}
				l.byName[s.Name] = to
				l.sections = append(l.sections, to)
			} else if (s.Flags^to.flags)&elf.SHF_EXECINSTR != 0 && to.size > 0 && s.Size > 0 {
				return o.errorf("section "+s.Name, "holds code in one object and data in another")
			} else if once(s.Name) && to.size > 0 {
				if s.Size == 0 {
					continue
				}
				if a, b := text(to.data), text(data); !bytes.Equal(a, b) {
					return o.errorf("section "+s.Name, "%q, but an object before it has %q: a linked object has one", b, a)
				}
				o.chunks[i] = &chunk{to, 0}
				o.dropped = append(o.dropped, extent{elf.SectionIndex(i), 0, s.Size})
				continue
			}
			if err := to.append(s, data); err != nil {
				return o.errorf("section "+s.Name, "%w", err)
			}
			o.chunks[i] = &chunk{to, to.size - s.Size}
		}
	}
	return nil
}

// once names the sections that say something about the whole object.
func once(name string) bool { return name == "license" || name == "version" }

// text is data up to the first zero byte.
func text(data []byte) []byte {
	t, _, _ := bytes.Cut(data, []byte{0})
	return t
}

// What a section's header may claim: more than any object that the kernel would take.
const (
	maxAlign = 1 << 16
	maxSize  = 1 << 32 // an arena's
	maxData  = 1 << 26
)

// append adds an input section, with padding as its alignment asks for.
func (s *section) append(in *elf.Section, data []byte) error {
	align := max(in.Addralign, 1)
	if in.Flags&elf.SHF_EXECINSTR != 0 {
		align = max(align, insn.Size)
	}
	start := (s.size + align - 1) / align * align
	if align > maxAlign || in.Size > maxSize || start+in.Size > maxSize {
		return fmt.Errorf("%d bytes, aligned to %d, after %d of other objects: too much", in.Size, align, s.size)
	}
	s.flags |= in.Flags
	s.align = max(s.align, align)
	s.size = start + in.Size
	if in.Type == elf.SHT_NOBITS && s.typ == elf.SHT_NOBITS {
		return nil
	}
	if s.size > maxData {
		return fmt.Errorf("%d bytes of data: too much", s.size)
	}
	s.typ = elf.SHT_PROGBITS // zeros are written out where they meet data
	s.data = append(s.data, make([]byte, start-uint64(len(s.data)))...)
	s.data = append(s.data, data...)
	s.data = append(s.data, make([]byte, s.size-uint64(len(s.data)))...)
	return nil
}
