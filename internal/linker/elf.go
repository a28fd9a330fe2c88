package linker

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// write makes the ELF file: header, sections, section headers.
func (l *link) write() []byte {
	w := writer{order: l.order, strings: []byte{0}}
	w.Write(make([]byte, binary.Size(elf.Header64{})))
	w.headers = make([]elf.Section64, 1) // section 0 is none
	for _, s := range l.sections {
		w.section(s.name, s.data, elf.Section64{Type: uint32(s.typ), Flags: uint64(s.flags), Size: s.size, Addralign: s.align})
	}
	if l.btf != nil {
		w.section(".BTF", l.btf, elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addralign: 4})
	}
	if l.ext != nil {
		w.section(".BTF.ext", l.ext, elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addralign: 4})
	}

	symbols, locals := l.symtab()
	names, table := []byte{0}, bytes.Buffer{}
	for _, s := range symbols {
		sym := elf.Sym64{Info: s.info, Other: s.other, Shndx: uint16(s.section), Value: s.value, Size: s.size}
		if s.name != "" {
			sym.Name = uint32(len(names))
			names = append(append(names, s.name...), 0)
		}
		binary.Write(&table, l.order, sym) // a Buffer takes all
	}
	symtab := uint32(len(w.headers))
	w.section(".symtab", table.Bytes(), elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: symtab + 1, Info: uint32(locals), Addralign: 8, Entsize: elf.Sym64Size})
	w.section(".strtab", names, elf.Section64{Type: uint32(elf.SHT_STRTAB), Addralign: 1})
	for _, s := range l.sections {
		if len(s.rels) == 0 {
			continue
		}
		table.Reset()
		for _, r := range s.rels {
			index := r.to.local
			if r.to.global != nil {
				index = r.to.global.index
			}
			binary.Write(&table, l.order, elf.Rel64{Off: r.off, Info: uint64(index)<<32 | uint64(r.typ)})
		}
		w.section(".rel"+s.name, table.Bytes(), elf.Section64{Type: uint32(elf.SHT_REL), Flags: uint64(elf.SHF_INFO_LINK), Link: symtab, Info: uint32(s.index), Addralign: 8, Entsize: relSize})
	}
	return w.finish()
}

// writer lays sections one after the other.
type writer struct {
	bytes.Buffer
	order   binary.ByteOrder
	headers []elf.Section64
	strings []byte // of the sections' names
}

func (w *writer) pad(align uint64) {
	for uint64(w.Len())%align != 0 {
		w.WriteByte(0)
	}
}

// section adds a section. Data is nil for one that has none in the file, which then says its size itself.
func (w *writer) section(name string, data []byte, h elf.Section64) {
	w.pad(h.Addralign)
	h.Name, h.Off = uint32(len(w.strings)), uint64(w.Len())
	w.strings = append(append(w.strings, name...), 0)
	if data != nil {
		h.Size = uint64(len(data))
	}
	w.Write(data)
	w.headers = append(w.headers, h)
}

func (w *writer) finish() []byte {
	// The section of names has its own name in it.
	name := uint32(len(w.strings))
	w.strings = append(w.strings, ".shstrtab\x00"...)
	w.section("", w.strings, elf.Section64{Type: uint32(elf.SHT_STRTAB), Addralign: 1})
	w.headers[len(w.headers)-1].Name = name
	w.pad(8)
	h := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF), Version: uint32(elf.EV_CURRENT),
		Shoff: uint64(w.Len()), Ehsize: uint16(binary.Size(elf.Header64{})),
		Shentsize: uint16(binary.Size(elf.Section64{})), Shnum: uint16(len(w.headers)), Shstrndx: uint16(len(w.headers) - 1),
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.EV_CURRENT)
	h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	if w.order == binary.BigEndian {
		h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	binary.Write(w, w.order, w.headers)
	out := w.Bytes()
	binary.Encode(out, w.order, h)
	return out
}
