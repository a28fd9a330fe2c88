package object

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/elffile"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Options change how an object is read.
type Options struct {
	// Kconfig gives values to kernel configuration externs: CONFIG_X=y|m|n|number|"string", LINUX_KERNEL_VERSION=number and
	// so on. See kconfig.go.
	Kconfig map[string]string
}

// Parse reads an object. The name is that of its file, for messages and for the names of data maps.
func Parse(file string, raw []byte, opts Options) (*Object, error) {
	base := filepath.Base(file)
	name, _, _ := strings.Cut(base, ".")
	r := &reader{
		Object: &Object{Name: name, File: base, SHA256: sha256.Sum256(raw)},
		opts:   opts,
		maps:   map[elf.SectionIndex][]mapAt{},
	}
	if err := r.read(raw); err != nil {
		return nil, err
	}
	return r.Object, nil
}

// reader holds what is only needed while an object is read.
type reader struct {
	*Object
	opts     Options
	elf      *elf.File
	symbols  []elf.Symbol // by index in the symbol table, less the null symbol
	ext      *btf.Ext
	mapsSec  elf.SectionIndex // .maps, 0 if there is none
	textSec  elf.SectionIndex
	funcs    []*function
	funcAt   map[location]*function
	maps     map[elf.SectionIndex][]mapAt // maps defined in a section
	arena    *Map
	arenaSec elf.SectionIndex
	externs  map[int]*Extern // by symbol
	kconfig  *Map
	linked   int // how many records all programs together have: instructions and what is known of them
}

// location is a place in a section, in bytes.
type location struct {
	sec elf.SectionIndex
	off uint64
}

// mapAt is a map and the place of its definition.
type mapAt struct {
	off, size uint64
	m         *Map
}

func (r *reader) read(raw []byte) error {
	f, err := elffile.Open(raw)
	if err != nil {
		return r.errorf("ELF", "%w", err)
	}
	switch {
	case f.Machine != elf.EM_BPF && f.Machine != elf.EM_NONE:
		return r.errorf("ELF", "machine %v, want BPF: was it compiled with -target bpf?", f.Machine)
	case f.Class != elf.ELFCLASS64:
		return r.errorf("ELF", "%v, want a 64-bit file", f.Class)
	case f.Type != elf.ET_REL:
		return r.errorf("ELF", "%v, want a relocatable object", f.Type)
	}
	r.elf, r.Order = f, f.ByteOrder
	if r.symbols, err = f.Symbols(); err != nil {
		return r.errorf("ELF", "%w: an object needs its symbols; strip it with llvm-strip -g only", err)
	}
	for _, step := range []func() error{
		r.readBTF, r.findSections, r.readFunctions, r.readExterns, r.readMaps, r.readDataMaps, r.readKconfigMap,
		r.readPrograms, r.readStructOps, r.relocate, r.relocateMaps, r.link, r.checkNames,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// readBTF reads .BTF and .BTF.ext, and fills in what clang leaves to the loader.
func (r *reader) readBTF() error {
	sec := r.elf.Section(".BTF")
	if sec == nil {
		return nil
	}
	data, err := sec.Data()
	if err != nil {
		return r.errorf(".BTF", "%w", err)
	}
	if r.BTF, err = btf.Parse(data, r.Order); err != nil {
		return r.errorf(".BTF", "%w", err)
	}
	if sec = r.elf.Section(".BTF.ext"); sec != nil {
		data, err := sec.Data()
		if err != nil {
			return r.errorf(".BTF.ext", "%w", err)
		}
		if r.ext, err = r.BTF.ParseExt(data); err != nil {
			return r.errorf(".BTF.ext", "%w", err)
		}
	}
	return r.fixDataSections()
}

// fixDataSections gives the BTF's data sections their sizes and their variables' offsets: the compiler leaves zeros, the
// kernel wants the truth.
func (r *reader) fixDataSections() error {
	global := map[string]elf.Symbol{}
	for _, s := range r.symbols {
		if bind := elf.ST_BIND(s.Info); elf.ST_TYPE(s.Info) == elf.STT_OBJECT && bind != elf.STB_LOCAL {
			global[s.Name] = s
		}
	}
	for i := range r.BTF.Types {
		t := &r.BTF.Types[i]
		if t.Kind != btf.DataSec || t.Name == ".kconfig" || t.Name == ".ksyms" {
			continue
		}
		if t.Size == 0 {
			sec := r.elf.Section(t.Name)
			if sec == nil || sec.Size == 0 {
				continue // a section that nothing was put in; nothing refers to it either
			}
			if sec.Size > math.MaxUint32 {
				return r.errorf("section "+sec.Name, "%d bytes are more than BTF can describe", sec.Size)
			}
			t.Size = uint32(sec.Size)
		}
		for j := range t.Members {
			m := &t.Members[j]
			v := &r.BTF.Types[m.Type]
			if v.Kind != btf.Var {
				return r.errorf(".BTF", "data section %s has a member that is not a variable", t.Name)
			}
			if v.Extra != btf.Global { // static variables have their offsets already
				continue
			}
			sym, ok := global[v.Name]
			if !ok {
				return r.errorf(".BTF", "variable %s of section %s has no symbol", v.Name, t.Name)
			}
			if sym.Value > uint64(t.Size) {
				return r.errorf("variable "+v.Name, "its symbol is at byte %d of section %s, which has %d", sym.Value, t.Name, t.Size)
			}
			m.Offset = sym.Value // libbpf's linker may leave that of a declaration
			if hidden(sym) {     // so that its map is not made accessible from user space
				v.Extra = btf.Static
			}
		}
		slices.SortStableFunc(t.Members, func(x, y btf.Member) int { return cmp.Compare(x.Offset, y.Offset) })
	}
	return nil
}

func hidden(s elf.Symbol) bool {
	v := elf.ST_VISIBILITY(s.Other)
	return v == elf.STV_HIDDEN || v == elf.STV_INTERNAL
}

// findSections notes the sections that have a meaning of their own, and reads the license.
func (r *reader) findSections() error {
	for i, s := range r.elf.Sections {
		switch s.Name {
		case ".maps":
			r.mapsSec = elf.SectionIndex(i)
		case ".text":
			r.textSec = elf.SectionIndex(i)
		case "maps":
			return r.errorf("section maps", "%w: map definitions of this old form; use SEC(\".maps\")", ErrUnsupported)
		case "license":
			data, err := s.Data()
			if err != nil {
				return r.errorf("section license", "%w", err)
			}
			license, _, _ := bytes.Cut(data, []byte{0})
			r.License = string(license)
		}
	}
	return nil
}

// function is a piece of code between two labels: a program's entry or a subprogram.
type function struct {
	name           string
	sec            elf.SectionIndex
	section        string
	off            uint64 // in the section, in bytes
	insns          []insn.Insn
	global, hidden bool
	refs           map[int]Ref
	calls          map[int]*function // by relocation, in the order of instructions
	program        *Program          // set for entry points
}

// end is the end of the function in its section, in bytes.
func (f *function) end() uint64 { return f.off + uint64(len(f.insns))*insn.Size }

// readFunctions cuts the executable sections into functions, in the order of sections and offsets.
func (r *reader) readFunctions() error {
	data := map[elf.SectionIndex][]insn.Insn{}
	for _, sym := range r.symbols {
		if elf.ST_TYPE(sym.Info) != elf.STT_FUNC || int(sym.Section) >= len(r.elf.Sections) || sym.Section == elf.SHN_UNDEF {
			continue
		}
		sec := r.elf.Sections[sym.Section]
		if sec.Type != elf.SHT_PROGBITS || sec.Flags&elf.SHF_EXECINSTR == 0 {
			continue
		}
		insns, ok := data[sym.Section]
		if !ok {
			raw, err := sec.Data()
			if err == nil {
				insns, err = insn.Decode(raw, r.Order)
			}
			if err != nil {
				return r.errorf("section "+sec.Name, "%w", err)
			}
			data[sym.Section] = insns
		}
		if sym.Value%insn.Size != 0 || sym.Size%insn.Size != 0 || sym.Size == 0 ||
			sym.Value > sec.Size || sym.Size > sec.Size-sym.Value {
			return r.errorf("function "+sym.Name, "lies at bytes %d+%d of section %s, which has %d", sym.Value, sym.Size, sec.Name, sec.Size)
		}
		r.funcs = append(r.funcs, &function{
			name: sym.Name, sec: sym.Section, section: sec.Name, off: sym.Value,
			insns:  insns[sym.Value/insn.Size : (sym.Value+sym.Size)/insn.Size],
			global: elf.ST_BIND(sym.Info) != elf.STB_LOCAL,
			hidden: hidden(sym),
			refs:   map[int]Ref{}, calls: map[int]*function{},
		})
	}
	slices.SortStableFunc(r.funcs, func(x, y *function) int {
		return cmp.Or(cmp.Compare(x.sec, y.sec), cmp.Compare(x.off, y.off))
	})
	r.funcAt = make(map[location]*function, len(r.funcs))
	for _, f := range r.funcs {
		r.funcAt[location{f.sec, f.off}] = f
	}
	r.markHidden()
	return nil
}

// markHidden makes the BTF of global functions with hidden visibility static: the verifier then checks them in the
// context of each call, which is what hiding them asks for.
func (r *reader) markHidden() {
	if r.BTF == nil {
		return
	}
	hidden := map[string]bool{}
	for _, f := range r.funcs {
		if f.global && f.hidden && f.sec == r.textSec {
			hidden[f.name] = true
		}
	}
	for i := range r.BTF.Types {
		if t := &r.BTF.Types[i]; t.Kind == btf.Func && t.Extra == btf.Global && hidden[t.Name] {
			t.Extra = btf.Static
		}
	}
}

// functionIn returns the function that covers an offset of a section.
func (r *reader) functionIn(sec elf.SectionIndex, off uint64) *function {
	i, _ := slices.BinarySearchFunc(r.funcs, off, func(f *function, off uint64) int {
		if f.sec == sec && f.end() <= off {
			return -1
		}
		return cmp.Compare(f.sec, sec)
	})
	if i < len(r.funcs) && r.funcs[i].sec == sec && r.funcs[i].off <= off {
		return r.funcs[i]
	}
	return nil
}

// readPrograms tells entry points from subprograms: those in .text are subprograms.
func (r *reader) readPrograms() error {
	for _, f := range r.funcs {
		if f.sec == r.textSec {
			continue
		}
		if !f.global {
			return r.errorf("program "+f.name, "is static: make it global, or move it to .text if it is a subprogram (section %s)", f.section)
		}
		section, disabled := strings.CutPrefix(f.section, "?")
		p := &Program{Name: f.name, Section: section, Autoload: !disabled}
		kind, extras, ok := lookupSection(section)
		if !ok && p.Autoload {
			return r.errorf("program "+f.name, "section name %q says no program type; see libbpf's list of SEC() names", section)
		}
		p.Kind = kind
		if kind.AttachBTF {
			p.Attach = extras
			if _, fn, ok := strings.Cut(extras, ":"); ok {
				p.Attach = fn // "module:function"; the kernel looks in all modules
			}
		}
		f.program = p
		r.Programs = append(r.Programs, p)
	}
	return nil
}

// pointee is what a pointer in a data section refers to.
type pointee struct {
	name     string
	function *function // nil if no function begins there
}

// pointee resolves the pointer at an offset of a section, which a relocation against sym is for: what stands there already
// is added to the symbol's value.
func (r *reader) pointee(section elf.SectionIndex, off uint64, sym elf.Symbol) pointee {
	p := pointee{name: sym.Name}
	var addend [8]byte
	if at := r.elf.Sections[section].ReaderAt; at == nil || off > math.MaxInt64 {
		return p
	} else if _, err := at.ReadAt(addend[:], int64(off)); err != nil {
		return p
	}
	p.function = r.funcAt[location{sym.Section, sym.Value + r.Order.Uint64(addend[:])}]
	if p.name == "" && p.function != nil { // the symbol of a section
		p.name = p.function.name
	}
	return p
}

// relocations calls do for each relocation entry of the sections that want accepts.
func (r *reader) relocations(want func(target elf.SectionIndex) bool, do func(target elf.SectionIndex, off uint64, symIndex int, sym elf.Symbol) error) error {
	for _, s := range r.elf.Sections {
		target := elf.SectionIndex(s.Info)
		if s.Type != elf.SHT_REL || int(target) >= len(r.elf.Sections) || !want(target) {
			continue
		}
		data, err := s.Data()
		if err != nil {
			return r.errorf("section "+s.Name, "%w", err)
		}
		const entry = 16 // Elf64_Rel {u64 r_offset; u64 r_info}
		if len(data)%entry != 0 {
			return r.errorf("section "+s.Name, "%d bytes, not a multiple of %d", len(data), entry)
		}
		for ; len(data) > 0; data = data[entry:] {
			off, info := r.Order.Uint64(data), r.Order.Uint64(data[8:])
			index := int(info >> 32)
			if index == 0 || index > len(r.symbols) {
				return r.errorf("section "+s.Name, "a relocation at %d names symbol %d of %d", off, index, len(r.symbols))
			}
			if err := do(target, off, index, r.symbols[index-1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// relocate resolves the relocations of the executable sections.
func (r *reader) relocate() error {
	exec := func(t elf.SectionIndex) bool { return r.elf.Sections[t].Flags&elf.SHF_EXECINSTR != 0 }
	return r.relocations(exec, func(target elf.SectionIndex, off uint64, index int, sym elf.Symbol) error {
		f := r.functionIn(target, off)
		if f == nil {
			return nil // of a weak function that a linker put another in the place of
		}
		i := int(off-f.off) / insn.Size
		if off%insn.Size != 0 {
			return r.errorf("function "+f.name, "a relocation at byte %d is in the middle of an instruction", off)
		}
		if err := r.relocateInsn(f, i, index, sym); err != nil {
			name := sym.Name
			if name == "" && int(sym.Section) < len(r.elf.Sections) {
				name = r.elf.Sections[sym.Section].Name
			}
			return r.errorf(fmt.Sprintf("function %s%s", f.name, r.where(f, i)), "symbol %s: %w", name, err)
		}
		return nil
	})
}

// where returns " (file:line)" for an instruction of a function, as far as it is known.
func (r *reader) where(f *function, index int) string {
	if r.ext == nil {
		return ""
	}
	at, line := f.off+uint64(index)*insn.Size, ""
	for _, l := range r.ext.Lines[f.section] {
		if uint64(l.Offset) > at {
			break
		}
		line = fmt.Sprintf(" (%s:%d)", l.File, l.Line())
	}
	return line
}

// relocateInsn resolves one relocation: instruction index of f refers to a symbol.
func (r *reader) relocateInsn(f *function, index, symIndex int, sym elf.Symbol) error {
	i := f.insns[index]
	if !i.IsCall() && !i.IsLoadImm64() {
		return fmt.Errorf("instruction %d (opcode %#x) is neither a call nor a 64-bit load", index, i.Op)
	}
	if i.IsLoadImm64() && index+1 >= len(f.insns) {
		return errors.New("a 64-bit load is cut off by the end of the function")
	}
	if e, ok := r.externs[symIndex]; ok {
		f.refs[index] = Ref{Extern: e}
		if e.Kind == Kconfig {
			f.refs[index] = Ref{Map: r.kconfig, Value: true, Offset: int32(e.Offset)}
		}
		return nil
	}
	if i.IsCall() {
		if i.Src != insn.PseudoCall {
			return fmt.Errorf("instruction %d calls helper %d and has a relocation", index, i.Imm)
		}
		// A global function's symbol is its own and the immediate is -1; a static one's is its section's, and the
		// immediate is where it is.
		return r.callTo(f, index, sym.Section, sym.Value+uint64(int64(i.Imm)+1)*insn.Size)
	}
	if int(sym.Section) >= len(r.elf.Sections) || sym.Section == elf.SHN_UNDEF {
		return errors.New("is defined nowhere that a program can refer to; was a global variable left uninitialised?")
	}
	sec := r.elf.Sections[sym.Section]
	if sec.Flags&elf.SHF_EXECINSTR != 0 { // the address of a subprogram
		f.insns[index].Src = insn.PseudoFunc // which the compiler leaves to the loader
		return r.callTo(f, index, sym.Section, sym.Value+uint64(int64(i.Imm)))
	}
	switch {
	case sym.Section == r.mapsSec:
		for _, at := range r.maps[sym.Section] {
			if at.off == sym.Value {
				f.refs[index] = Ref{Map: at.m}
				return nil
			}
		}
		return fmt.Errorf("no map is defined at byte %d of section .maps", sym.Value)
	case sym.Section == r.arenaSec && r.arenaSec != 0:
		if r.arena == nil {
			return errors.New("an arena variable needs a map of type BPF_MAP_TYPE_ARENA in the object")
		}
		return f.addValueRef(index, r.arena, sym, r.arena.DataOffset)
	case len(r.maps[sym.Section]) == 1:
		return f.addValueRef(index, r.maps[sym.Section][0].m, sym, 0)
	case sec.Name == ".jumptables":
		return fmt.Errorf("%w: jump tables (indirect goto); compile with -mcpu=v3", ErrUnsupported)
	}
	return fmt.Errorf("section %s is neither data nor maps", sec.Name)
}

// addValueRef notes that an instruction of f loads an address in the value of a map: that of a symbol, whose section begins at
// byte start of the value, plus what the instruction has.
func (f *function) addValueRef(index int, m *Map, sym elf.Symbol, start uint32) error {
	addend := int64(f.insns[index].Imm)
	off := addend + int64(start)
	if sym.Value < uapi.MaxVarOff {
		off += int64(sym.Value)
	}
	if sym.Value >= uapi.MaxVarOff || off < 0 || off >= uapi.MaxVarOff {
		return fmt.Errorf("byte %d%+d of its section is not one that an instruction can address: 0 to %d of map %s", sym.Value, addend,
			uapi.MaxVarOff-1, m.Name)
	}
	f.refs[index] = Ref{Map: m, Value: true, Offset: int32(off)}
	return nil
}

// callTo notes that an instruction of f refers to the function at a place.
func (r *reader) callTo(f *function, index int, sec elf.SectionIndex, off uint64) error {
	to := r.funcAt[location{sec, off}]
	if to == nil {
		return fmt.Errorf("no function begins at byte %d of the section that instruction %d calls into", off, index)
	}
	f.calls[index] = to
	return nil
}
