package object

import (
	"debug/elf"
	"errors"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// StructOps is what a struct_ops map implements: a table of functions that the kernel calls.
type StructOps struct {
	// TypeName is the kernel's type: "tcp_congestion_ops".
	TypeName string
	// Type is the object's own declaration of it.
	Type btf.ID
	// Value is the table as the object fills it. The compiler leaves zeros where programs go.
	Value []byte
	// Programs are the programs by member of Type. Several tables may name the same program.
	Programs map[int]*Program
}

// readStructOps reads the tables in the sections .struct_ops and .struct_ops.link, with or without "?".
func (r *reader) readStructOps() error {
	for i, sec := range r.elf.Sections {
		name, disabled := strings.CutPrefix(sec.Name, "?")
		if sec.Type != elf.SHT_PROGBITS || sec.Size == 0 || name != ".struct_ops" && name != ".struct_ops.link" {
			continue
		}
		data, err := sec.Data()
		if err != nil {
			return r.errorf("section "+sec.Name, "%w", err)
		}
		if r.BTF == nil {
			return r.errorf("section "+sec.Name, "has no BTF; compile with -g")
		}
		index := elf.SectionIndex(i)
		id := r.BTF.Find(btf.DataSec, sec.Name)
		for _, v := range r.BTF.Types[id].Members {
			m, err := r.structOpsMap(v, data)
			if err != nil {
				return r.errorf("struct_ops map "+r.BTF.Types[v.Type].Name, "%w", err)
			}
			if m.Disabled = disabled; name == ".struct_ops.link" {
				m.Flags = uapi.MapFlagLink
			}
			r.maps[index] = append(r.maps[index], mapAt{v.Offset, uint64(len(m.StructOps.Value)), m})
			r.Maps = append(r.Maps, m)
		}
		if err := r.relocateStructOps(index); err != nil {
			return err
		}
	}
	r.loadStructOpsPrograms()
	return nil
}

// structOpsMap reads one table, of which the programs are still missing.
func (r *reader) structOpsMap(v btf.Member, data []byte) (*Map, error) {
	variable := &r.BTF.Types[v.Type]
	id := r.BTF.Strip(variable.Ref)
	t := &r.BTF.Types[id]
	if t.Kind != btf.Struct || t.Name == "" {
		return nil, errors.New("is not a variable of a named struct")
	}
	if size := uint64(len(data)); v.Offset > size || uint64(t.Size) > size-v.Offset {
		return nil, errors.New("ends beyond its section")
	}
	return &Map{
		Name: variable.Name, KernelName: kernelName(variable.Name), Type: uapi.MapTypeStructOps, KeySize: 4, MaxEntries: 1,
		StructOps: &StructOps{
			TypeName: essentialName(t.Name), Type: id, Programs: map[int]*Program{},
			Value: append([]byte{}, data[v.Offset:v.Offset+uint64(t.Size)]...),
		},
	}, nil
}

// relocateStructOps puts programs into the tables of a section.
func (r *reader) relocateStructOps(section elf.SectionIndex) error {
	this := func(target elf.SectionIndex) bool { return target == section }
	return r.relocations(this, func(_ elf.SectionIndex, off uint64, _ int, sym elf.Symbol) error {
		for _, at := range r.maps[section] {
			if off < at.off || off-at.off >= at.size {
				continue
			}
			if err := r.addStructOpsProgram(at.m.StructOps, off-at.off, r.pointee(section, off, sym)); err != nil {
				return r.errorf("struct_ops map "+at.m.Name, "%w", err)
			}
			return nil
		}
		return r.errorf("section "+r.elf.Sections[section].Name, "%s is put at byte %d, where no table is", sym.Name, off)
	})
}

// addStructOpsProgram makes what a pointer refers to the table's member at an offset, in bytes.
func (r *reader) addStructOpsProgram(s *StructOps, off uint64, to pointee) error {
	t := &r.BTF.Types[s.Type]
	for i := range t.Members {
		m := &t.Members[i]
		if at, _ := r.BTF.BitField(t, m); at != off*8 {
			continue
		}
		if !r.isFunctionPointer(m.Type) {
			return fmt.Errorf("member %s: %s is put there, and it is not a pointer to a function", m.Name, to.name)
		}
		if err := to.structOpsProgram(); err != nil {
			return fmt.Errorf("member %s: %w", m.Name, err)
		}
		s.Programs[i] = to.function.program
		return nil
	}
	return fmt.Errorf("%s is put at byte %d, where no member begins", to.name, off)
}

// structOpsProgram says why what a pointer refers to is not a program of a table. A program in SEC("?...") is one.
func (p pointee) structOpsProgram() error {
	switch f := p.function; {
	case f == nil:
		return fmt.Errorf("%s is not a function of the object", p.name)
	case f.program == nil:
		return fmt.Errorf(`%s is not a program: put it into SEC("struct_ops")`, f.name)
	case f.program.Kind.Type != uapi.ProgTypeStructOps:
		return fmt.Errorf(`program %s is in section %s: put it into SEC("struct_ops")`, f.name, f.section)
	}
	return nil
}

// isFunctionPointer says whether a type is a pointer to a function.
func (r *reader) isFunctionPointer(id btf.ID) bool {
	t := &r.BTF.Types[r.BTF.Strip(id)]
	return t.Kind == btf.Ptr && r.BTF.Types[r.BTF.Strip(t.Ref)].Kind == btf.FuncProto
}

// loadStructOpsPrograms decides which programs of tables are loaded: those that an enabled table names. As in libbpf, a
// "?" in the program's section has no effect then, and a program of disabled tables alone is not loaded either.
func (r *reader) loadStructOpsPrograms() {
	for _, m := range r.Maps {
		if m.StructOps != nil && m.Disabled {
			for _, p := range m.StructOps.Programs {
				p.Autoload = false
			}
		}
	}
	for _, m := range r.Maps {
		if m.StructOps != nil && !m.Disabled {
			for _, p := range m.StructOps.Programs {
				p.Autoload = true
			}
		}
	}
}
