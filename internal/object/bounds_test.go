package object

import (
	"bytes"
	"debug/elf"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// An offset in a map's value is a sum of what the file says in 64 and in 32 bits: it never becomes another one.
func TestOffsetsInValues(t *testing.T) {
	for _, c := range []struct {
		symbol uint64
		addend int32
		start  uint32
		want   int64 // -1: an error
	}{
		{16, 8, 0, 24},
		{16, -8, 0, 8},
		{16, 8, 1 << 20, 1<<20 + 24},
		{uapi.MaxVarOff - 1, 0, 0, uapi.MaxVarOff - 1},
		{uapi.MaxVarOff - 1, 1, 0, -1},
		{uapi.MaxVarOff, -1, 0, -1},
		{16, -17, 0, -1},
		{1 << 32, 0, 0, -1},
		{1<<32 + 16, 8, 0, -1},
		{math.MaxUint64, 1, 0, -1},
		{1 << 28, math.MaxInt32, 0, -1},
		{0, math.MinInt32, 0, -1},
		{0, 0, math.MaxUint32, -1},
	} {
		m := &Map{Name: ".data"}
		f := &function{insns: []insn.Insn{{Op: insn.LoadImm64, Imm: c.addend}, {}}, refs: map[int]Ref{}}
		err := f.addValueRef(0, m, elf.Symbol{Value: c.symbol}, c.start)
		if c.want < 0 {
			qt.Check(t, qt.ErrorMatches(err, `.* is not one that an instruction can address: .*map \.data`), qt.Commentf("%+v", c))
			continue
		}
		qt.Check(t, qt.IsNil(err), qt.Commentf("%+v", c))
		qt.Check(t, qt.Equals(f.refs[0], Ref{Map: m, Value: true, Offset: int32(c.want)}), qt.Commentf("%+v", c))
	}
}

// A variable's symbol lies in its section, wherever the file says.
func TestSymbolsBeyondTheirSection(t *testing.T) {
	const name = "structops_shared"
	for _, value := range []uint64{5, 1 << 32, 1<<32 + 1, math.MaxUint64} {
		raw, err := os.ReadFile("testdata/" + name + ".bpf.o")
		qt.Assert(t, qt.IsNil(err))
		f, err := elf.NewFile(bytes.NewReader(raw))
		qt.Assert(t, qt.IsNil(err))
		symbols, err := f.Symbols()
		qt.Assert(t, qt.IsNil(err))
		i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "inits" })
		const valueAt = 8 // in Elf64_Sym
		entry := raw[f.SectionByType(elf.SHT_SYMTAB).Offset+uint64(i+1)*elf.Sym64Size:]
		f.ByteOrder.PutUint64(entry[valueAt:], value)
		_, err = Parse(name, raw, Options{})
		qt.Check(t, qt.ErrorMatches(err, `.*: variable inits: its symbol is at byte [0-9]+ of section \.bss, which has 4`))
	}
}

// Many programs can share long functions, or overlap: what they become is bounded.
func TestLinkIsBounded(t *testing.T) {
	link := func(insns, linked int) error {
		p := &Program{Name: "p"}
		f := &function{name: "p", insns: make([]insn.Insn, insns), program: p}
		r := &reader{Object: &Object{File: "x"}, funcs: []*function{f}, linked: linked}
		return r.link()
	}
	qt.Check(t, qt.IsNil(link(uapi.MaxInsns, 0)))
	qt.Check(t, qt.ErrorMatches(link(uapi.MaxInsns+1, 0),
		`x: .*: program p: with the functions that it calls, it has at least 1000001 instructions, and the kernel takes 1000000`))
	qt.Check(t, qt.IsNil(link(10, maxLinked-10)))
	qt.Check(t, qt.ErrorMatches(link(11, maxLinked-10), `x: .*: program p: the programs up to this one have more than .*: split the object`))
}
