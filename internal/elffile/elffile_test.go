package elffile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

// build makes an object of a table of symbols, all with the name that begins the table of strings, and their strings.
func build(symbols int, names []byte, flags elf.SectionFlag) []byte {
	const header, section = 64, 64
	table := make([]byte, symbols*elf.Sym64Size)
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF), Version: 1,
		Shoff: uint64(header + len(table) + len(names)), Ehsize: header, Shentsize: section, Shnum: 3, Shstrndx: 2,
	}
	var b bytes.Buffer
	for _, part := range []any{h, table, names, []elf.Section64{
		{},
		{Type: uint32(elf.SHT_SYMTAB), Flags: uint64(flags), Link: 2, Off: header, Size: uint64(len(table)), Entsize: elf.Sym64Size},
		{Type: uint32(elf.SHT_STRTAB), Off: uint64(header + len(table)), Size: uint64(len(names))},
	}} {
		binary.Write(&b, binary.LittleEndian, part) // a Buffer takes all
	}
	return b.Bytes()
}

func TestOpen(t *testing.T) {
	f, err := Open(build(10, []byte("name\x00"), 0))
	qt.Assert(t, qt.IsNil(err))
	symbols, err := f.Symbols()
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(symbols, 9))
	qt.Check(t, qt.Equals(symbols[0].Name, "name"))

	objects, err := filepath.Glob("../object/testdata/*.o")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Not(qt.HasLen(objects, 0)))
	for _, name := range objects {
		raw, err := os.ReadFile(name)
		qt.Assert(t, qt.IsNil(err))
		_, err = Open(raw)
		qt.Check(t, qt.IsNil(err))
	}
}

// A file of 4 MB whose symbols' names would take 80 GB, and one that says that it unpacks to anything.
func TestTooLarge(t *testing.T) {
	_, err := Open(build(1<<17, append(bytes.Repeat([]byte("x"), 1<<20), 0), 0))
	qt.Check(t, qt.ErrorIs(err, ErrTooLarge))
	qt.Check(t, qt.ErrorMatches(err, "names of symbols, the longest of 1048576 bytes: too large"))
	_, err = Open(build(10, []byte("name\x00"), elf.SHF_COMPRESSED))
	qt.Check(t, qt.ErrorIs(err, ErrTooLarge))
	qt.Check(t, qt.ErrorMatches(err, "section name is compressed: too large"))
	_, err = Open([]byte("not ELF"))
	qt.Check(t, qt.IsNotNil(err))
}

// Sections that share bytes of the file would take more memory than the file.
func TestSectionsOverlap(t *testing.T) {
	raw := build(100, append([]byte("name"), make([]byte, 200)...), 0)
	size := raw[len(raw)-2*64+32:] // sh_size of the table of symbols
	qt.Assert(t, qt.Equals(binary.LittleEndian.Uint64(size), 100*elf.Sym64Size))
	for _, n := range []uint64{uint64(len(raw) - 100), 1<<64 - 1} {
		binary.LittleEndian.PutUint64(size, n)
		_, err := Open(raw)
		qt.Check(t, qt.IsNotNil(err))
	}
	binary.LittleEndian.PutUint64(size, uint64(len(raw)-100))
	_, err := Open(raw)
	qt.Check(t, qt.ErrorIs(err, ErrTooLarge))
	qt.Check(t, qt.ErrorMatches(err, "up to section .*, the sections have .* bytes in a file of .*: too large"))
}
