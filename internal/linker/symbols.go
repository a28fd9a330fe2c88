package linker

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"strconv"
)

// symbol is a symbol of the output.
type symbol struct {
	name        string
	info, other byte
	section     elf.SectionIndex
	value, size uint64
}

// global is a name that all inputs share.
type global struct {
	name       string
	object     *object // that defines it; nil if none does
	symbol     elf.Symbol
	strong     bool // one that refers to it cannot do without
	visibility elf.SymVis
	index      int // in the output
}

// outgoing is what an input's symbol has become: a global, a section, or a local symbol of the output.
type outgoing struct {
	global *global
	base   *chunk // of a section's symbol: what refers to it has a place in the input section as its addend
	local  int    // in link.locals, from 1
}

// resolve finds the one definition of each global, and takes over the local symbols.
func (l *link) resolve() error {
	for _, s := range l.sections {
		l.locals = append(l.locals, symbol{info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_SECTION), section: elf.SectionIndex(s.index)})
	}
	for _, o := range l.objects {
		o.refs = make([]outgoing, len(o.symbols))
		for i, s := range o.symbols {
			err := o.checkSymbol(s)
			if err == nil {
				o.refs[i], err = l.take(o, s)
			}
			if err != nil {
				return o.errorf("symbol "+cmp.Or(s.Name, strconv.Itoa(i)), "%w", err)
			}
		}
	}
	// A definition is taken or not only when all are known.
	for _, o := range l.objects {
		for i, s := range o.symbols {
			if g := o.refs[i].global; g != nil && s.Section != elf.SHN_UNDEF && (g.object != o || g.symbol.Section != s.Section || g.symbol.Value != s.Value) {
				o.dropped = append(o.dropped, extent{s.Section, s.Value, s.Value + s.Size})
			}
		}
	}
	return nil
}

// checkSymbol refuses a symbol that an object for BPF has no use for: in the output it would be another.
func (o *object) checkSymbol(s elf.Symbol) error {
	typ, bind := elf.ST_TYPE(s.Info), elf.ST_BIND(s.Info)
	switch typ {
	case elf.STT_NOTYPE, elf.STT_OBJECT, elf.STT_FUNC, elf.STT_SECTION, elf.STT_FILE:
	default:
		return fmt.Errorf("has type %v", typ)
	}
	switch bind {
	case elf.STB_LOCAL, elf.STB_GLOBAL, elf.STB_WEAK:
	default:
		return fmt.Errorf("has binding %v", bind)
	}
	switch {
	case bind != elf.STB_LOCAL && s.Name == "":
		return errors.New("is global and has no name")
	case bind != elf.STB_LOCAL && (typ == elf.STT_SECTION || typ == elf.STT_FILE):
		return fmt.Errorf("has type %v and is not local", typ)
	case s.Section == elf.SHN_UNDEF, s.Section == elf.SHN_ABS:
		return nil
	case s.Section == elf.SHN_COMMON:
		return errors.New("is common: compile with -fno-common")
	case int(s.Section) >= len(o.elf.Sections):
		return fmt.Errorf("is in section %d of %d", s.Section, len(o.elf.Sections))
	}
	in := o.elf.Sections[s.Section]
	if s.Value > in.Size || s.Size > in.Size-s.Value {
		return fmt.Errorf("lies at bytes %d+%d of section %s, which has %d", s.Value, s.Size, in.Name, in.Size)
	}
	if typ == elf.STT_SECTION && s.Value != 0 {
		return fmt.Errorf("stands for section %s and has the value %d", in.Name, s.Value)
	}
	return nil
}

func (l *link) take(o *object, s elf.Symbol) (outgoing, error) {
	typ, bind := elf.ST_TYPE(s.Info), elf.ST_BIND(s.Info)
	var in *chunk
	if s.Section != elf.SHN_UNDEF && s.Section != elf.SHN_ABS {
		if in = o.chunks[s.Section]; in == nil {
			return outgoing{}, nil // of debug information
		}
	}
	switch {
	case typ == elf.STT_FILE || s.Name == "" && typ == elf.STT_NOTYPE:
		return outgoing{}, nil
	case typ == elf.STT_SECTION && in != nil:
		return outgoing{base: in, local: in.to.index}, nil
	case bind == elf.STB_LOCAL:
		if o.drops(s.Section, s.Value) {
			return outgoing{}, nil
		}
		l.locals = append(l.locals, moved(s, in))
		return outgoing{local: len(l.locals)}, nil
	}
	g := l.globals[s.Name]
	if g == nil {
		g = &global{name: s.Name}
		l.globals[s.Name] = g
		l.names = append(l.names, s.Name)
	}
	g.visibility = stricter(g.visibility, elf.ST_VISIBILITY(s.Other))
	if s.Section == elf.SHN_UNDEF {
		g.strong = g.strong || bind != elf.STB_WEAK
		return outgoing{global: g}, nil
	}
	switch {
	case o.drops(s.Section, s.Value): // a second license
		if g.object == nil {
			g.object, g.symbol = o, s
		}
	case g.object == nil, elf.ST_BIND(g.symbol.Info) == elf.STB_WEAK && bind != elf.STB_WEAK:
		g.object, g.symbol = o, s
	case bind != elf.STB_WEAK:
		return outgoing{}, fmt.Errorf("is defined in %s too: make one of them static or __weak", g.object.name)
	}
	return outgoing{global: g}, nil
}

// moved is an input's symbol in its place in the output.
func moved(s elf.Symbol, in *chunk) symbol {
	out := symbol{name: s.Name, info: s.Info, other: s.Other, section: s.Section, value: s.Value, size: s.Size}
	if in != nil {
		out.section, out.value = elf.SectionIndex(in.to.index), s.Value+in.base
	}
	return out
}

// stricter is the visibility of a symbol that one object gives one and another object another (gABI: the most constraining).
func stricter(a, b elf.SymVis) elf.SymVis {
	switch {
	case a == elf.STV_DEFAULT:
		return b
	case b == elf.STV_DEFAULT:
		return a
	}
	return min(a, b) // internal, hidden, protected
}

// symtab returns the output's symbols and how many of them are local, the first, which is none, included.
func (l *link) symtab() ([]symbol, int) {
	all := append(make([]symbol, 1), l.locals...)
	locals := len(all)
	for _, name := range l.names {
		g := l.globals[name]
		s := symbol{name: name, section: elf.SHN_UNDEF}
		bind := elf.STB_WEAK
		if g.object == nil {
			if g.strong {
				bind = elf.STB_GLOBAL
			}
			s.info = elf.ST_INFO(bind, elf.STT_NOTYPE)
		} else {
			var in *chunk
			if int(g.symbol.Section) < len(g.object.chunks) {
				in = g.object.chunks[g.symbol.Section]
			}
			s = moved(g.symbol, in)
		}
		s.other = byte(g.visibility)
		g.index = len(all)
		all = append(all, s)
	}
	return all, locals
}
