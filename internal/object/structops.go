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
	// Value is the table as the object fills it, with zeros where programs go.
	Value []byte
	// Programs are the programs by member of Type.
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
		id := r.BTF.Find(btf.DataSec, sec.Name)
		for _, v := range r.BTF.Types[id].Members {
			m, err := r.structOpsMap(v, data, elf.SectionIndex(i))
			if err != nil {
				return r.errorf("struct_ops map "+r.BTF.Types[v.Type].Name, "%w", err)
			}
			if m.Disabled = disabled; name == ".struct_ops.link" {
				m.Flags = uapi.MapFlagLink
			}
			index := elf.SectionIndex(i)
			r.maps[index] = append(r.maps[index], mapAt{v.Offset, uint64(v.Size), m})
			r.Maps = append(r.Maps, m)
		}
	}
	return nil
}

// structOpsMap reads one table and the relocations that put programs into it.
func (r *reader) structOpsMap(v btf.Member, data []byte, sec elf.SectionIndex) (*Map, error) {
	variable := &r.BTF.Types[v.Type]
	id := r.BTF.Strip(variable.Ref)
	t := &r.BTF.Types[id]
	if t.Kind != btf.Struct || t.Name == "" {
		return nil, errors.New("is not a variable of a named struct")
	}
	if v.Offset+uint64(t.Size) > uint64(len(data)) {
		return nil, errors.New("ends beyond its section")
	}
	m := &Map{
		Name: variable.Name, KernelName: kernelName(variable.Name), Type: uapi.MapTypeStructOps, KeySize: 4, MaxEntries: 1,
		StructOps: &StructOps{
			TypeName: essentialName(t.Name), Type: id, Programs: map[int]*Program{},
			Value: append([]byte{}, data[v.Offset:v.Offset+uint64(t.Size)]...),
		},
	}
	this := func(target elf.SectionIndex) bool { return target == sec }
	err := r.relocations(this, func(_ elf.SectionIndex, off uint64, _ int, sym elf.Symbol) error {
		if off < v.Offset || off >= v.Offset+uint64(t.Size) {
			return nil
		}
		f := r.funcAt[location{sym.Section, sym.Value}]
		if f == nil || f.program == nil || f.program.Kind.Type != uapi.ProgTypeStructOps && f.program.Autoload {
			return fmt.Errorf("%s is not a program of section struct_ops", sym.Name)
		}
		for i, member := range t.Members {
			if !t.Flag && member.Offset == (off-v.Offset)*8 || t.Flag && member.Offset&0xffffff == (off-v.Offset)*8 {
				m.StructOps.Programs[i] = f.program
				f.program.StructOps, f.program.Member = m, i
				return nil
			}
		}
		return fmt.Errorf("%s is put at byte %d, where no member begins", sym.Name, off-v.Offset)
	})
	return m, err
}
