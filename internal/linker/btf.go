package linker

import (
	"cmp"
	"debug/elf"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// The data sections that exist in BTF alone: what the object declares and the kernel has.
func declares(section string) bool { return section == ".ksyms" || section == ".kconfig" }

// merger makes one BTF of all the inputs'.
type merger struct {
	*link
	spec  *btf.Spec
	shift map[*object]btf.ID // what an input's ids have grown by
	// chosen is the Func or Var of each global: that of the object that defines it, or else the first.
	chosen map[string]btf.ID
	owner  []*object // by id
}

// mergeBTF joins types that are the same, gives globals the types of their definitions, and lays out data sections.
func (l *link) mergeBTF() error {
	m := merger{link: l, spec: &btf.Spec{Order: l.order, Types: make([]btf.Type, 1)}, shift: map[*object]btf.ID{}, chosen: map[string]btf.ID{}}
	m.owner = make([]*object, 1)
	for _, o := range l.objects {
		if o.btf == nil {
			continue
		}
		m.shift[o] = m.spec.Append(o.btf)
		for range o.btf.Types[1:] {
			m.owner = append(m.owner, o)
		}
	}
	if len(m.spec.Types) == 1 {
		return nil
	}
	m.choose()
	classes := m.spec.Classes(m.identity)
	for id := range classes { // the definition, which may come after a declaration
		if g := m.global(btf.ID(id)); g != nil && m.chosen[g.name] != 0 {
			classes[id] = m.chosen[g.name]
		}
	}
	if err := m.check(classes); err != nil {
		return err
	}
	sections, err := m.dataSections()
	if err != nil {
		return err
	}

	m.spec.Redirect(classes)
	var roots []btf.ID
	for id, class := range classes {
		if id == int(class) && m.spec.Types[id].Kind != btf.DataSec {
			roots = append(roots, class)
		}
	}
	for _, s := range sections {
		for i := range s.Members {
			s.Members[i].Type = classes[s.Members[i].Type]
		}
		roots = append(roots, btf.ID(len(m.spec.Types)))
		m.spec.Types = append(m.spec.Types, s)
	}
	w, err := btf.NewWriter(m.spec, roots)
	if err != nil {
		return fmt.Errorf("%w: .BTF: %w", ErrLink, err)
	}
	ext, names := m.mergeExt(classes)
	if len(names) > 0 {
		l.ext = w.ExtBytes(ext, names)
	}
	l.btf, err = w.Bytes()
	return err
}

// global returns the global that a Func or Var is the type of, or nil.
func (m *merger) global(id btf.ID) *global {
	t := &m.spec.Types[id]
	if t.Kind != btf.Func && t.Kind != btf.Var || t.Extra == btf.Static {
		return nil
	}
	return m.globals[t.Name] // nil for a declaration that nothing uses
}

// dropped says whether another object's definition stands for this one's, or this one's is that of a second license.
func (m *merger) dropped(id btf.ID) bool {
	g := m.global(id)
	return g != nil && g.object != nil && (g.object != m.owner[id] || m.spec.Types[id].Extra == btf.Extern)
}

// choose finds the type of each global.
func (m *merger) choose() {
	for id := range m.spec.Types {
		if g := m.global(btf.ID(id)); g != nil && !m.dropped(btf.ID(id)) && m.chosen[g.name] == 0 {
			m.chosen[g.name] = btf.ID(id)
		}
	}
}

// identity tells functions and variables apart by what they are, not by what they look like.
func (m *merger) identity(id btf.ID) string {
	t := &m.spec.Types[id]
	switch t.Kind {
	case btf.Func, btf.Var:
		if g := m.global(id); g != nil && m.chosen[g.name] != 0 {
			return fmt.Sprint(m.chosen[g.name])
		}
		return fmt.Sprint(id)
	case btf.DataSec:
		return fmt.Sprint(id)
	}
	return ""
}

// check compares what globals are in each object.
func (m *merger) check(classes []btf.ID) error {
	for id := range m.spec.Types {
		g := m.global(btf.ID(id))
		if g == nil || m.chosen[g.name] == 0 || m.chosen[g.name] == btf.ID(id) {
			continue
		}
		c := comparison{spec: m.spec, classes: classes, assumed: map[[2]btf.ID]bool{}, maps: m.sectionOf(g) == ".maps"}
		if o := m.owner[id]; !c.same(m.chosen[g.name], btf.ID(id)) && !once(m.sectionOf(g)) {
			return o.errorf("symbol "+g.name, "is declared or defined here with another type than in %s", m.owner[m.chosen[g.name]].name)
		}
	}
	return nil
}

// sectionOf returns the name of the section that defines a global, or "".
func (m *merger) sectionOf(g *global) string {
	if g.object == nil || int(g.symbol.Section) >= len(g.object.elf.Sections) {
		return ""
	}
	return g.object.elf.Sections[g.symbol.Section].Name
}

// dataSections lays out what the output's data sections have in them.
func (m *merger) dataSections() ([]btf.Type, error) {
	var sections []btf.Type
	index := map[string]int{}
	declared := map[string]bool{}
	for id := range m.spec.Types {
		t := &m.spec.Types[id]
		if t.Kind != btf.DataSec {
			continue
		}
		o := m.owner[id]
		var in *chunk
		at := -1
		for i, s := range o.elf.Sections {
			if s.Name == t.Name && o.chunks[i] != nil {
				in, at = o.chunks[i], i
			}
		}
		if _, ok := index[t.Name]; !ok {
			index[t.Name] = len(sections)
			sections = append(sections, btf.Type{Kind: btf.DataSec, Name: t.Name})
		}
		out := &sections[index[t.Name]]
		if in != nil {
			out.Size = uint32(in.to.size)
		}
		for _, v := range t.Members {
			of := &m.spec.Types[v.Type]
			if of.Extra == btf.Extern {
				if g := m.globals[of.Name]; g != nil && g.object == nil && !declared[t.Name+"\x00"+of.Name] {
					if !declares(t.Name) {
						return nil, o.errorf("symbol "+of.Name, "is extern in section %s, and no object defines it", t.Name)
					}
					declared[t.Name+"\x00"+of.Name] = true
					out.Members = append(out.Members, v)
				}
				continue
			}
			if in == nil || m.dropped(v.Type) {
				continue
			}
			if of.Extra == btf.Global { // the compiler leaves its place to the symbol table
				g := m.globals[of.Name]
				if g == nil || g.object != o { // another's would be dropped
					return nil, o.errorf("variable "+of.Name, "is defined by the BTF and by no symbol")
				}
				if int(g.symbol.Section) != at {
					return nil, o.errorf("variable "+of.Name, "is in section %s for its BTF and in %s for its symbol", t.Name, m.sectionOf(g))
				}
				v.Offset = g.symbol.Value
			}
			if o.drops(elf.SectionIndex(at), v.Offset) {
				continue
			}
			v.Offset += in.base
			out.Members = append(out.Members, v)
		}
	}
	kept := sections[:0]
	for _, s := range sections {
		slices.SortStableFunc(s.Members, func(x, y btf.Member) int { return cmp.Compare(x.Offset, y.Offset) })
		if len(s.Members) > 0 {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// mergeExt joins what is known of the instructions, and returns the names of the sections that something is known of.
func (m *merger) mergeExt(classes []btf.ID) (*btf.Ext, []string) {
	out := &btf.Ext{Funcs: map[string][]btf.FuncInfo{}, Lines: map[string][]btf.LineInfo{}, Relos: map[string][]btf.CORERelocation{}}
	var names []string
	for _, o := range m.objects {
		if o.btfExt == nil {
			continue
		}
		for i, s := range o.elf.Sections {
			in := o.chunks[i]
			if in == nil || s.Flags&elf.SHF_EXECINSTR == 0 {
				continue
			}
			place := func(off *uint32) bool {
				if o.drops(elf.SectionIndex(i), uint64(*off)) {
					return false
				}
				*off += uint32(in.base)
				return true
			}
			id := func(id btf.ID) btf.ID {
				if id == 0 {
					return 0
				}
				return classes[id+m.shift[o]]
			}
			for _, f := range o.btfExt.Funcs[s.Name] {
				if f.Type = id(f.Type); place(&f.Offset) {
					out.Funcs[s.Name] = append(out.Funcs[s.Name], f)
				}
			}
			for _, line := range o.btfExt.Lines[s.Name] {
				if place(&line.Offset) {
					out.Lines[s.Name] = append(out.Lines[s.Name], line)
				}
			}
			for _, r := range o.btfExt.Relos[s.Name] {
				if r.Type = id(r.Type); place(&r.Offset) {
					out.Relos[s.Name] = append(out.Relos[s.Name], r)
				}
			}
		}
	}
	for _, s := range m.sections {
		if len(out.Funcs[s.name])+len(out.Lines[s.name])+len(out.Relos[s.name]) > 0 {
			names = append(names, s.name)
		}
	}
	return out, names
}
