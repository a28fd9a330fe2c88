package linker_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/linker"
)

// file is an object whose parts a test changes. It is little-endian.
type file struct {
	t        *testing.T
	raw      []byte
	headers  []elf.Section64
	sections []*elf.Section
	symbols  []elf.Symbol
}

func open(t *testing.T, path string) *file {
	raw := inputs(t, path)[0].Raw
	f, err := elf.NewFile(bytes.NewReader(raw))
	qt.Assert(t, qt.IsNil(err))
	symbols, err := f.Symbols()
	qt.Assert(t, qt.IsNil(err))
	file := &file{t, raw, make([]elf.Section64, len(f.Sections)), f.Sections, symbols}
	_, err = binary.Decode(raw[binary.LittleEndian.Uint64(raw[40:]):], binary.LittleEndian, file.headers)
	qt.Assert(t, qt.IsNil(err))
	return file
}

// encode writes what a test has changed.
func (f *file) encode(at uint64, v any) {
	_, err := binary.Encode(f.raw[at:], binary.LittleEndian, v)
	qt.Assert(f.t, qt.IsNil(err))
}

// section changes the header of a section.
func (f *file) section(name string, change func(h *elf.Section64)) {
	i := slices.IndexFunc(f.sections, func(s *elf.Section) bool { return s.Name == name })
	qt.Assert(f.t, qt.IsTrue(i > 0))
	change(&f.headers[i])
	f.encode(binary.LittleEndian.Uint64(f.raw[40:]), f.headers)
}

// symbol changes a symbol; that of a section has no name.
func (f *file) symbol(name string, change func(s *elf.Sym64)) {
	i := 1 + slices.IndexFunc(f.symbols, func(s elf.Symbol) bool { return s.Name == name })
	table := slices.IndexFunc(f.headers, func(h elf.Section64) bool { return elf.SectionType(h.Type) == elf.SHT_SYMTAB })
	at := f.headers[table].Off + uint64(i)*elf.Sym64Size
	var s elf.Sym64
	_, err := binary.Decode(f.raw[at:], binary.LittleEndian, &s)
	qt.Assert(f.t, qt.IsNil(err))
	change(&s)
	f.encode(at, s)
}

// relocation changes the first relocation of a section.
func (f *file) relocation(section string, change func(r *elf.Rel64)) {
	f.section(section, func(h *elf.Section64) {
		var r elf.Rel64
		_, err := binary.Decode(f.raw[h.Off:], binary.LittleEndian, &r)
		qt.Assert(f.t, qt.IsNil(err))
		change(&r)
		f.encode(h.Off, r)
	})
}

// An object with something in it that the output could not repeat is refused: what comes out can be linked again.
func TestOddObjects(t *testing.T) {
	info := func(bind elf.SymBind, typ elf.SymType) byte { return elf.ST_INFO(bind, typ) }
	for _, test := range []struct {
		name, want string
		change     func(f *file)
	}{
		{"a global without a name", `symbol \d+: is global and has no name`,
			func(f *file) { f.symbol("twice", func(s *elf.Sym64) { s.Name = 0 }) }},
		{"a type of symbols that BPF has not", `symbol first: has type .*`,
			func(f *file) { f.symbol("first", func(s *elf.Sym64) { s.Info = info(elf.STB_GLOBAL, elf.STT_TLS) }) }},
		{"a binding that BPF has not", `symbol first: has binding .*`,
			func(f *file) { f.symbol("first", func(s *elf.Sym64) { s.Info = info(10, elf.STT_FUNC) }) }},
		{"a global section", `symbol first: has type STT_SECTION and is not local`,
			func(f *file) {
				f.symbol("first", func(s *elf.Sym64) { s.Info = info(elf.STB_GLOBAL, elf.STT_SECTION) })
			}},
		{"a section's symbol with a value", `symbol first: stands for section syscall and has the value 8`,
			func(f *file) {
				f.symbol("first", func(s *elf.Sym64) { s.Info, s.Value, s.Size = info(elf.STB_LOCAL, elf.STT_SECTION), 8, 0 })
			}},
		{"a symbol outside of its section", `symbol first: lies at bytes 16\+4294967295 of section syscall, which has 392`,
			func(f *file) { f.symbol("first", func(s *elf.Sym64) { s.Value, s.Size = 16, 1<<32-1 }) }},
		{"a symbol in no section", `symbol first: is in section 999 of \d+`,
			func(f *file) { f.symbol("first", func(s *elf.Sym64) { s.Shndx = 999 }) }},
		{"a common symbol", `symbol first: is common: compile with -fno-common`,
			func(f *file) { f.symbol("first", func(s *elf.Sym64) { s.Shndx = uint16(elf.SHN_COMMON) }) }},
		{"a relocation of a type that BPF has not", `section .relsyscall: the relocation at 32 is of type 77, or outside of its section`,
			func(f *file) { f.relocation(".relsyscall", func(r *elf.Rel64) { r.Info = r.Info>>32<<32 | 77 }) }},
		{"a relocation outside of its section", `section .relsyscall: the relocation at 388 is of type 10, or outside of its section`,
			func(f *file) { f.relocation(".relsyscall", func(r *elf.Rel64) { r.Off = 388 }) }},
		{"a relocation of nothing", `section .relsyscall: the relocation at 32 names symbol 0, which is not linked`,
			func(f *file) { f.relocation(".relsyscall", func(r *elf.Rel64) { r.Info &= 0xffffffff }) }},
		{"relocations with addends", `section .relsyscall: has addends of its own \(SHT_RELA\).*`,
			func(f *file) { f.section(".relsyscall", func(h *elf.Section64) { h.Type = uint32(elf.SHT_RELA) }) }},
		{"half a relocation", `section .relsyscall: 159 bytes, not a multiple of 16`,
			func(f *file) { f.section(".relsyscall", func(h *elf.Section64) { h.Size-- }) }},
		{"a variable without a symbol", `variable counted: is defined by the BTF and by no symbol`,
			func(f *file) { f.symbol("counted", func(s *elf.Sym64) { s.Name++ }) }},
		{"a variable elsewhere", `variable counted: is in section .bss for its BTF and in .rodata for its symbol`,
			func(f *file) {
				var section uint16
				f.symbol("limit", func(s *elf.Sym64) { section = s.Shndx })
				f.symbol("counted", func(s *elf.Sym64) { s.Shndx = section })
			}},
		{"an odd alignment", `section .maps: is aligned to 3, not a power of two`,
			func(f *file) { f.section(".maps", func(h *elf.Section64) { h.Addralign = 3 }) }},
		{"type information to be loaded", `section .BTF: is to be loaded \(SHF_ALLOC\): .*`,
			func(f *file) { f.section(".BTF", func(h *elf.Section64) { h.Flags = uint64(elf.SHF_ALLOC) }) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := open(t, part("main"))
			test.change(f)
			_, err := linker.Link([]linker.Input{{"odd.o", f.raw}, inputs(t, part("lib"))[0]})
			qt.Assert(t, qt.ErrorIs(err, linker.ErrLink))
			qt.Check(t, qt.ErrorMatches(err, "odd.o: cannot link: "+test.want))
		})
	}
}
