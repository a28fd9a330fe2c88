// Package linker joins BPF ELF objects into one, as `bpftool gen object` does: sections of a name are laid one after the other,
// globals are resolved, BTF and BTF.ext are merged. What it makes is again a relocatable object, with nothing in it of the
// inputs' paths.
//
// A linker that works on LLVM's bitcode will not do: every source of BPF has its own license, under the same name.
package linker

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/elffile"
)

// ErrLink is in the chain of every error about what the inputs contain.
var ErrLink = errors.New("cannot link")

// Input is one object. The name is that of its file, for messages.
type Input struct {
	Name string
	Raw  []byte
}

// Link joins objects, in their order. The result is a function of the inputs' bytes alone.
func Link(inputs []Input) ([]byte, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("%w: no objects", ErrLink)
	}
	l := &link{byName: map[string]*section{}, globals: map[string]*global{}}
	for _, in := range inputs {
		o, err := open(in)
		if err != nil {
			return nil, err
		}
		if len(l.objects) > 0 && o.elf.ByteOrder != l.order {
			return nil, o.errorf("byte order", "%v, but %s is %v", o.elf.ByteOrder, l.objects[0].name, l.order)
		}
		l.order = o.elf.ByteOrder
		l.objects = append(l.objects, o)
	}
	for _, step := range []func() error{l.place, l.resolve, l.relocate, l.mergeBTF} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if n := 2*len(l.sections) + 6; n >= int(elf.SHN_LORESERVE) { // with relocations, BTF, symbols and names
		return nil, fmt.Errorf("%w: %d sections, more than a file can number", ErrLink, n)
	}
	return l.write(), nil
}

// link is the state of one run.
type link struct {
	order    binary.ByteOrder
	objects  []*object
	sections []*section
	byName   map[string]*section
	locals   []symbol
	globals  map[string]*global
	names    []string // of globals, in the order of appearance
	btf, ext []byte
}

// object is an input being linked. The slices are by index of the input's sections and symbols.
type object struct {
	name    string
	elf     *elf.File
	symbols []elf.Symbol // symbol 0, which is none, included
	btf     *btf.Spec
	btfExt  *btf.Ext
	chunks  []*chunk   // nil for sections that are not copied
	refs    []outgoing // what each symbol is in the output
	dropped []extent   // what another object's definition replaces
}

// chunk is an input section's place in the output.
type chunk struct {
	to   *section
	base uint64
}

// extent is a part of an input section, in bytes.
type extent struct {
	sec        elf.SectionIndex
	start, end uint64
}

func (o *object) errorf(what, format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s: %w", o.name, ErrLink, what, fmt.Errorf(format, args...))
}

// drops says whether a place in an input section belongs to what is not linked.
func (o *object) drops(sec elf.SectionIndex, off uint64) bool {
	for _, e := range o.dropped {
		if e.sec == sec && e.start <= off && off < e.end {
			return true
		}
	}
	return false
}

func open(in Input) (*object, error) {
	o := &object{name: in.Name}
	f, err := elffile.Open(in.Raw)
	if err != nil {
		return nil, o.errorf("ELF", "%w", err)
	}
	if f.Machine != elf.EM_BPF || f.Class != elf.ELFCLASS64 || f.Type != elf.ET_REL {
		return nil, o.errorf("ELF", "%v, %v, %v: want a relocatable 64-bit object for BPF (clang -target bpf -c)", f.Machine, f.Class, f.Type)
	}
	o.elf = f
	symbols, err := f.Symbols()
	if err != nil {
		return nil, o.errorf("ELF", "%w: an object needs its symbols", err)
	}
	o.symbols = append(make([]elf.Symbol, 1), symbols...)
	if s := f.Section(".BTF"); s != nil {
		data, err := s.Data()
		if err == nil {
			o.btf, err = btf.Parse(data, f.ByteOrder)
		}
		if err != nil {
			return nil, o.errorf(".BTF", "%w", err)
		}
	}
	if s := f.Section(".BTF.ext"); s != nil && o.btf != nil {
		data, err := s.Data()
		if err == nil {
			o.btfExt, err = o.btf.ParseExt(data)
		}
		if err != nil {
			return nil, o.errorf(".BTF.ext", "%w", err)
		}
	}
	return o, nil
}
