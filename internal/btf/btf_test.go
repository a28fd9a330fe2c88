package btf

import (
	"debug/elf"
	"encoding/binary"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// section reads a section of one of the fixtures of internal/object.
func section(tb testing.TB, file, name string) ([]byte, binary.ByteOrder) {
	tb.Helper()
	f, err := elf.Open(file)
	qt.Assert(tb, qt.IsNil(err))
	defer f.Close()
	data, err := f.Section(name).Data()
	qt.Assert(tb, qt.IsNil(err))
	return data, f.ByteOrder
}

func fixtures(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("../object/testdata/*.o")
	qt.Assert(tb, qt.IsNil(err))
	more, err := filepath.Glob("../object/testdata/eb/*.o")
	qt.Assert(tb, qt.IsNil(err))
	qt.Assert(tb, qt.IsTrue(len(files) > 10))
	return append(files, more...)
}

// All types kept, a Spec comes out of the Writer as it went in.
func TestWriterKeepsEverything(t *testing.T) {
	for _, file := range fixtures(t) {
		raw, order := section(t, file, ".BTF")
		s, err := Parse(raw, order)
		qt.Assert(t, qt.IsNil(err))
		var all []ID
		for id := range s.Types {
			all = append(all, ID(id))
		}
		w, err := NewWriter(s, all)
		qt.Assert(t, qt.IsNil(err))
		out, err := w.Bytes()
		qt.Assert(t, qt.IsNil(err))
		again, err := Parse(out, order)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.DeepEquals(again.Types, s.Types), qt.Commentf("%s", file))
	}
}

// Pruned, what is kept means what it meant: the same types by name, with the same sizes.
func TestWriterPrunes(t *testing.T) {
	raw, order := section(t, "../object/testdata/graph.bpf.o", ".BTF")
	s, err := Parse(raw, order)
	qt.Assert(t, qt.IsNil(err))
	root := s.Find(DataSec, ".bss.list")
	w, err := NewWriter(s, []ID{root})
	qt.Assert(t, qt.IsNil(err))
	out, err := w.Bytes()
	qt.Assert(t, qt.IsNil(err))
	p, err := Parse(out, order)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(p.Types[w.ID(root)].Name, ".bss.list"))
	// The declaration tag of a variable that is kept, and the type that the tag names.
	qt.Check(t, qt.Not(qt.Equals(p.Find(DeclTag, "contains:node:link"), 0)))
	qt.Check(t, qt.Not(qt.Equals(p.Find(Struct, "node"), 0)))
	// Functions were not asked for.
	qt.Check(t, qt.Equals(p.Find(Func, "push"), 0))
	qt.Check(t, qt.IsTrue(len(p.Types) < len(s.Types)))
	qt.Check(t, qt.Equals(w.ID(s.Find(Func, "push")), 0))
}

func TestSizeOf(t *testing.T) {
	s := &Spec{Types: []Type{
		{},
		{Kind: Int, Size: 4},
		{Kind: Array, Ref: 1, Extra: 3},
		{Kind: Const, Ref: 2},
		{Kind: Ptr, Ref: 3},
		{Kind: Typedef, Ref: 6}, {Kind: Typedef, Ref: 5}, // a cycle
		{Kind: Array, Ref: 2, Extra: 1 << 31},
		{Kind: FuncProto},
	}}
	for id, want := range map[ID]uint32{1: 4, 2: 12, 3: 12, 4: 8} {
		got, err := s.SizeOf(id)
		qt.Check(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(got, want))
	}
	for _, id := range []ID{0, 5, 7, 8} {
		_, err := s.SizeOf(id)
		qt.Check(t, qt.IsNotNil(err), qt.Commentf("type %d", id))
	}
	qt.Check(t, qt.Equals(s.Strip(3), 2))
	qt.Check(t, qt.Equals(s.Strip(5), 0))
}

func TestParseExt(t *testing.T) {
	for _, file := range []string{"../object/testdata/core.bpf.o", "../object/testdata/eb/core.bpf.o"} {
		raw, order := section(t, file, ".BTF")
		s, err := Parse(raw, order)
		qt.Assert(t, qt.IsNil(err))
		raw, _ = section(t, file, ".BTF.ext")
		e, err := s.ParseExt(raw)
		qt.Assert(t, qt.IsNil(err))
		const sec = "tp_btf/sched_process_exec"
		qt.Assert(t, qt.HasLen(e.Funcs[sec], 1))
		qt.Check(t, qt.Equals(s.Types[e.Funcs[sec][0].Type].Name, "on_exec"))
		qt.Check(t, qt.IsTrue(e.Lines[sec][0].Line() > 0))
		kinds := map[uint32]bool{}
		for _, r := range e.Relos[sec] {
			kinds[r.Kind] = true
		}
		// field offset, size and existence; type existence and size; enumerator existence and value
		for _, k := range []uint32{0, 1, 2, 8, 9, 10, 11} {
			qt.Check(t, qt.IsTrue(kinds[k]), qt.Commentf("kind %d", k))
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good, order := section(t, "../object/testdata/core.bpf.o", ".BTF")
	for name, change := range map[string]func([]byte){
		"magic":         func(b []byte) { b[0] = 0 },
		"version":       func(b []byte) { b[2] = 9 },
		"header":        func(b []byte) { order.PutUint32(b[4:], 1<<30) },
		"types outside": func(b []byte) { order.PutUint32(b[12:], 1<<30) },
		"half a type":   func(b []byte) { order.PutUint32(b[12:], order.Uint32(b[12:])-4) },
		"no strings":    func(b []byte) { order.PutUint32(b[20:], 0) },
		"unknown kind":  func(b []byte) { order.PutUint32(b[headerLen+4:], 31<<24) },
		"name outside":  func(b []byte) { order.PutUint32(b[headerLen:], 1<<30) },
		"linkage": func(b []byte) {
			s, err := Parse(good, order)
			qt.Assert(t, qt.IsNil(err))
			last := int(s.Find(Func, "on_exec"))
			at := headerLen
			for id := 1; id < last; id++ { // the records before
				m := len(s.Types[id].Members) * memberLen(s.Types[id].Kind)
				switch s.Types[id].Kind {
				case Int, Var, DeclTag:
					m = 4
				case Array:
					m = 12
				}
				at += 12 + m
			}
			order.PutUint32(b[at+4:], uint32(Func)<<24|3)
		},
		"type reference": func(b []byte) { order.PutUint32(b[headerLen+8:], 1<<30) },
	} {
		b := append([]byte{}, good...)
		change(b)
		_, err := Parse(b, order)
		qt.Check(t, qt.ErrorIs(err, ErrMalformed), qt.Commentf("%s", name))
	}
	_, err := Parse(nil, order)
	qt.Check(t, qt.ErrorIs(err, ErrMalformed))
}

// Many names may be in one long string: they share its memory.
func TestSharedStrings(t *testing.T) {
	const members, long = 1 << 15, 1 << 20
	types := []uint32{0, uint32(Struct)<<24 | members, 4}
	for i := range uint32(members) {
		types = append(types, i+1, 0, 0)
	}
	input := raw(binary.LittleEndian, "\x00"+strings.Repeat("x", long)+"\x00", types...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := Parse(input, binary.LittleEndian)
	runtime.ReadMemStats(&after)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(s.Types[1].Members[0].Name, long))
	qt.Check(t, qt.HasLen(s.Types[1].Members[members-1].Name, long-members+1))
	qt.Check(t, qt.IsTrue(after.TotalAlloc-before.TotalAlloc < 20<<20), qt.Commentf("%d bytes", after.TotalAlloc-before.TotalAlloc))
}

// Variables, functions, data sections and tags are no types that another can be made of.
func TestParseRefusesReferences(t *testing.T) {
	record := func(kind Kind, words ...uint32) []uint32 { return append([]uint32{1, uint32(kind) << 24}, words...) }
	for _, test := range []struct {
		from, to []uint32
		ok       bool
	}{
		{record(Ptr, 2), record(Ptr, 0), true},
		{record(Ptr, 2), record(Var, 0, Global), false},
		{record(Typedef, 2), record(DataSec, 0), false},
		{record(Const, 2), record(DeclTag, 0, 0), false},
		{record(DeclTag, 2, 0), record(Var, 0, Global), true},
		{record(DeclTag, 2, 0), record(DeclTag, 0, 0), false},
		{append([]uint32{1, uint32(DataSec)<<24 | 1, 4}, 2, 0, 4), record(Var, 0, Global), true},
		{append([]uint32{1, uint32(DataSec)<<24 | 1, 4}, 2, 0, 4), record(DataSec, 0), false},
		{append([]uint32{1, uint32(Struct)<<24 | 1, 4}, 1, 2, 0), record(Func, 0), false},
	} {
		_, err := Parse(raw(binary.LittleEndian, "\x00x\x00", append(test.from, test.to...)...), binary.LittleEndian)
		if test.ok {
			qt.Check(t, qt.IsNil(err))
			continue
		}
		qt.Check(t, qt.ErrorIs(err, ErrMalformed))
		qt.Check(t, qt.ErrorMatches(err, ".*type 1 .* refers to type 2, a .*"))
	}
}

func TestWriterRefusesManyMembers(t *testing.T) {
	s := &Spec{Order: binary.LittleEndian, Types: []Type{{}, {Kind: DataSec, Name: ".data", Members: make([]Member, 1<<16)}}}
	w, err := NewWriter(s, []ID{1})
	qt.Assert(t, qt.IsNil(err))
	_, err = w.Bytes()
	qt.Check(t, qt.ErrorMatches(err, "type .data has 65536 members, and BTF can number 65535"))
}

func FuzzParse(f *testing.F) {
	for _, file := range fixtures(f) {
		raw, order := section(f, file, ".BTF")
		f.Add(raw, order == binary.ByteOrder(binary.BigEndian))
	}
	f.Fuzz(func(t *testing.T, raw []byte, big bool) {
		order := binary.ByteOrder(binary.LittleEndian)
		if big {
			order = binary.BigEndian
		}
		s, err := Parse(raw, order)
		if err != nil {
			return
		}
		var all []ID
		for id := range s.Types {
			all = append(all, ID(id))
			_, _ = s.SizeOf(ID(id))
			s.Strip(ID(id))
		}
		w, err := NewWriter(s, all)
		if err != nil {
			return
		}
		if out, err := w.Bytes(); err == nil {
			if _, err := Parse(out, order); err != nil {
				t.Fatalf("wrote what cannot be read: %v", err)
			}
		}
	})
}

func FuzzParseExt(f *testing.F) {
	raw, order := section(f, "../object/testdata/core.bpf.o", ".BTF")
	s, err := Parse(raw, order)
	if err != nil {
		f.Fatal(err)
	}
	ext, _ := section(f, "../object/testdata/core.bpf.o", ".BTF.ext")
	f.Add(ext)
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = s.ParseExt(raw)
	})
}
