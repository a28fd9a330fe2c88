// Package elfedit changes BPF objects where their readers look: section headers, symbols, relocations, instructions, type
// information. Fuzz targets use it, since flipping bytes anywhere mostly breaks the ELF header.
package elfedit

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Object is a compiled object and the places in it that can be changed.
type Object struct {
	Name  string
	raw   []byte
	order binary.ByteOrder
	// tables are what edits choose from.
	tables []table
}

// table is a part of the file that consists of records.
type table struct {
	off, size uint64 // of the part, in bytes
	record    uint64 // size of one
	fields    []field
}

// field is a part of a record.
type field struct{ off, size uint64 }

// The records of ELF files and of BTF (Elf64_Shdr, Elf64_Sym, Elf64_Rel, struct bpf_insn), and words.
var (
	sectionFields     = []field{{0, 4}, {4, 4}, {8, 8}, {24, 8}, {32, 8}, {40, 4}, {44, 4}, {48, 8}, {56, 8}}
	symbolFields      = []field{{0, 4}, {4, 1}, {5, 1}, {6, 2}, {8, 8}, {16, 8}}
	relocationFields  = []field{{0, 8}, {8, 4}, {12, 4}}
	instructionFields = []field{{0, 1}, {1, 1}, {2, 2}, {4, 4}}
	wordFields        = []field{{0, 4}, {0, 1}, {1, 1}, {2, 1}, {3, 1}, {0, 2}, {2, 2}}
	byteFields        = []field{{0, 1}}
)

// Load reads the objects that patterns name, in the order of their paths.
func Load(t testing.TB, patterns ...string) []*Object {
	t.Helper()
	var objects []*Object
	for _, p := range patterns {
		paths, err := filepath.Glob(p)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no objects (%v)", p, err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o, err := New(filepath.Base(path), raw)
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			objects = append(objects, o)
		}
	}
	return objects
}

// New finds the places in an object. It has to be sound.
func New(name string, raw []byte) (*Object, error) {
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	o := &Object{Name: name, raw: raw, order: f.ByteOrder}
	o.tables = append(o.tables, table{o.order.Uint64(raw[40:]), uint64(len(f.Sections)) * 64, 64, sectionFields})
	for _, s := range f.Sections {
		t := table{s.Offset, s.Size, 4, wordFields}
		switch {
		case s.Type == elf.SHT_SYMTAB:
			t.record, t.fields = elf.Sym64Size, symbolFields
		case s.Type == elf.SHT_REL:
			t.record, t.fields = 16, relocationFields
		case s.Type == elf.SHT_STRTAB:
			t.record, t.fields = 1, byteFields
		case s.Flags&elf.SHF_EXECINSTR != 0:
			t.record, t.fields = 8, instructionFields
		case s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL || strings.HasPrefix(s.Name, ".debug"):
			continue
		}
		if t.size >= t.record {
			o.tables = append(o.tables, t)
		}
	}
	return o, nil
}

// editSize is the size of an edit: table, record (2), field, how, value (4).
const editSize = 9

// maxEdits is how many edits are made. One that follows many others says little.
const maxEdits = 24

// Apply returns the object with edits made in it. Any bytes are edits.
func (o *Object) Apply(edits []byte) []byte {
	raw := slices.Clone(o.raw)
	for n := 0; n < maxEdits && len(edits) >= editSize; n++ {
		e := edits[:editSize]
		edits = edits[editSize:]
		t := o.tables[int(e[0])%len(o.tables)]
		record := uint64(binary.LittleEndian.Uint16(e[1:])) % (t.size / t.record)
		f := t.fields[int(e[3])%len(t.fields)]
		o.change(raw[t.off+record*t.record+f.off:][:f.size], e[4], binary.LittleEndian.Uint32(e[5:]))
	}
	return raw
}

// change changes the number in a field.
func (o *Object) change(at []byte, how byte, value uint32) {
	old := o.get(at)
	v := uint64(value)
	switch how % 8 {
	case 0:
	case 1:
		v = old + v
	case 2:
		v = old - v
	case 3:
		v = old ^ v
	case 4:
		v = ^uint64(0) - v%16
	case 5:
		v = 1<<(v%64) - v>>8%2
	case 6:
		v %= 16
	case 7: // the number of another record's field, as sections and symbols have
		v %= 64
	}
	o.put(at, v)
}

func (o *Object) get(at []byte) uint64 {
	switch len(at) {
	case 1:
		return uint64(at[0])
	case 2:
		return uint64(o.order.Uint16(at))
	case 4:
		return uint64(o.order.Uint32(at))
	}
	return o.order.Uint64(at)
}

func (o *Object) put(at []byte, v uint64) {
	switch len(at) {
	case 1:
		at[0] = byte(v)
	case 2:
		o.order.PutUint16(at, uint16(v))
	case 4:
		o.order.PutUint32(at, uint32(v))
	default:
		o.order.PutUint64(at, v)
	}
}

// Seeds are edits to begin with: none, and one of each kind in each table.
func (o *Object) Seeds() [][]byte {
	seeds := [][]byte{nil}
	for t, table := range o.tables {
		var seed []byte
		for f := range table.fields {
			seed = append(seed, byte(t), byte(f+1), 0, byte(f), byte(f), byte(t+f), 0, 0, 0)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}
