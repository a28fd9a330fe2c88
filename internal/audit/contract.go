package audit

import (
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// keeps compares what a loader makes with what the contract says.
func (a *auditor) keeps(b *bundle.Bundle, made *proof.Made) {
	maps := map[uint32]*proof.Map{}
	programs := map[uint32]*proof.Program{}
	for _, m := range made.Maps {
		if m.Ctx >= 0 {
			maps[uint32(m.Ctx)] = m
		}
	}
	for _, p := range made.Programs {
		if p.Ctx >= 0 {
			programs[uint32(p.Ctx)] = p
		} else {
			a.add(Misdescribed, "the loader loads program %q and closes it again", p.Name)
		}
	}
	if n, want := len(maps)+len(programs), len(b.Maps)+len(b.Programs); n != want {
		a.add(Misdescribed, "the loader leaves %d descriptors in the context, and the contract has %d", n, want)
	}
	k := keeper{a, b, maps, programs}
	templates := 0
	for i := range b.Maps {
		d := &b.Maps[i]
		if d.Inner != nil {
			templates++
		}
		if m := maps[d.Ctx]; m != nil {
			k.mapKeeps(d, m)
		} else {
			a.add(Misdescribed, "map %s: the loader leaves no map at %d in the context", d.Name, d.Ctx)
		}
	}
	if n := len(made.Maps) - len(maps); n != templates {
		a.add(Misdescribed, "the loader makes %d maps and closes them again, and the contract has %d templates", n, templates)
	}
	for i := range b.Programs {
		d := &b.Programs[i]
		if p := programs[d.Ctx]; p != nil {
			k.programKeeps(d, p)
		} else {
			a.add(Misdescribed, "program %s: the loader leaves no program at %d in the context", d.Name, d.Ctx)
		}
	}
	var data []bundle.Range
	for _, t := range made.BTFs {
		data = append(data, t.Data)
	}
	var want []bundle.Range
	if b.BTF.Size > 0 {
		want = []bundle.Range{b.BTF}
	}
	if !slices.Equal(data, want) {
		a.add(Misdescribed, "the loader loads BTF %v, and the contract says %v", data, want)
	}
}

// keeper compares the parts of a contract.
type keeper struct {
	*auditor
	b        *bundle.Bundle
	maps     map[uint32]*proof.Map // by their place in the context
	programs map[uint32]*proof.Program
}

// fact is something that the loader does and the contract says.
type fact struct {
	what      string
	got, said any
}

func (k *keeper) same(what string, facts ...fact) {
	for _, f := range facts {
		if f.got != f.said {
			k.add(Misdescribed, "%s: %s %v, and the contract says %v", what, f.what, f.got, f.said)
		}
	}
}

func (k *keeper) attributes(what string, d *bundle.MapAttributes, m *proof.Map) {
	k.same(what,
		fact{"name", m.Name, cut(d.Kernel)}, fact{"type", m.Type, uapi.MapType(d.Type)}, fact{"key size", m.KeySize, d.KeySize},
		fact{"value size", m.ValueSize, d.ValueSize}, fact{"entries", m.MaxEntries, d.MaxEntries}, fact{"flags", m.Flags, uapi.MapFlags(d.Flags)}, fact{"extra", m.Extra, d.Extra},
		fact{"node", m.NUMANode, d.NUMANode}, fact{"interface", m.IfIndex, uint32(0)},
		fact{"key type", m.KeyType, d.KeyType}, fact{"value type", m.ValueType, d.ValueType})
}

// cut is a name as the kernel gets it.
func cut(name string) string { return name[:min(len(name), uapi.ObjNameLen-1)] }

func (k *keeper) mapKeeps(d *bundle.Map, m *proof.Map) {
	what := "map " + d.Name
	k.attributes(what, &d.MapAttributes, m)
	k.same(what, fact{"frozen", m.Frozen, d.Frozen})
	switch {
	case (d.Inner == nil) != (m.Inner == nil):
		k.add(Misdescribed, "%s: its template is not what the contract says", what)
	case d.Inner != nil:
		k.attributes(what+"'s template", d.Inner, m.Inner)
	}
	kernelValue := ""
	if d.StructOps != nil {
		kernelValue = "struct bpf_struct_ops_" + d.StructOps.Type
	}
	k.same(what, fact{"kernel type", m.KernelValue, kernelValue})
	k.updates(what, d, m)
}

// updates compares what a loader puts into a map.
func (k *keeper) updates(what string, d *bundle.Map, m *proof.Map) {
	left := slices.Clone(m.Updates)
	take := func(key uint32) *proof.Update {
		for i, u := range left {
			if len(u.Key) == 4 && k.u32(u.Key) == key {
				left = slices.Delete(left, i, i+1)
				return u
			}
		}
		return nil
	}
	if d.Contents.Size > 0 {
		k.contents(what+"'s contents", take(0), d.Contents)
	}
	for _, e := range d.Entries {
		u := take(e.Key)
		if u == nil || len(u.Puts) != 1 || u.Puts[0].Off != 0 || u.Puts[0].Map != k.mapNamed(e.Map) || u.Puts[0].Program != k.programNamed(e.Program) {
			k.add(Misdescribed, "%s: the element %d is not %s%s, as the contract says", what, e.Key, e.Map, e.Program)
		}
	}
	if ops := d.StructOps; ops != nil && ops.Table.Size > 0 {
		u := take(0)
		k.table(what, u, ops)
	}
	for _, u := range left {
		k.add(Misdescribed, "%s: the contract says nothing of an update%v", what, u)
	}
}

func (k *keeper) u32(key []byte) uint32 {
	v := uint32(0)
	for i := range key {
		at := i
		if !k.b.Object.BigEndian {
			at = len(key) - 1 - i
		}
		v = v<<8 | uint32(key[at])
	}
	return v
}

func (k *keeper) contents(what string, u *proof.Update, want bundle.Range) {
	if u == nil || u.Value != want || len(u.Puts)+len(u.Patches) > 0 {
		k.add(Misdescribed, "%s are %v, and the contract says %v", what, u, want)
	}
}

// table compares the table of a struct_ops map.
func (k *keeper) table(what string, u *proof.Update, ops *bundle.StructOps) {
	if u == nil || u.Value != ops.Table || len(u.Patches) > 0 || len(u.Puts) != len(ops.Members) {
		k.add(Misdescribed, "%s: the table is %v, and the contract says %v with %d programs", what, u, ops.Table, len(ops.Members))
		return
	}
	for _, m := range ops.Members {
		if !slices.ContainsFunc(u.Puts, func(p proof.Put) bool {
			at := uint32(p.Off)
			if k.b.Object.BigEndian { // the descriptor is the lower half of a u64
				at -= 4
			}
			return at == m.Offset && p.Program != nil && p.Program == k.programNamed(m.Program)
		}) {
			k.add(Misdescribed, "%s: member %s is not %s, as the contract says", what, m.Name, m.Program)
		}
	}
}

// mapNamed is what the loader leaves where the contract has the map of a name; nil for no name.
func (k *keeper) mapNamed(name string) *proof.Map {
	for i := range k.b.Maps {
		if k.b.Maps[i].Name == name && name != "" {
			return k.maps[k.b.Maps[i].Ctx]
		}
	}
	return nil
}

func (k *keeper) programNamed(name string) *proof.Program {
	for i := range k.b.Programs {
		if k.b.Programs[i].Name == name && name != "" {
			return k.programs[k.b.Programs[i].Ctx]
		}
	}
	return nil
}

func (k *keeper) programKeeps(d *bundle.Program, p *proof.Program) {
	what := "program " + d.Name
	k.same(what,
		fact{"name", p.Name, cut(d.Name)}, fact{"type", p.Type, uapi.ProgType(d.Type)}, fact{"flags", p.Flags, uapi.ProgFlags(d.Flags)},
		fact{"attach type", p.AttachType, uapi.AttachType(d.ExpectedAttachType)}, fact{"license", p.License, k.b.Object.License},
		fact{"interface", p.IfIndex, uint32(0)}, fact{"instructions", p.Insns, d.Insns}, fact{"func_info", p.FuncInfo.Data, d.FuncInfo},
		fact{"line_info", p.LineInfo.Data, d.LineInfo}, fact{"CO-RE relocations", p.CORE.Data, d.Relocations})
	k.target(what, d, p)
	var externs []bundle.Extern
	for i := range p.Refs {
		r := &p.Refs[i]
		switch {
		case r.Extern != "":
			kind, name, _ := strings.Cut(r.Extern, " ")
			externs = append(externs, bundle.Extern{Insn: uint32(r.Insn), Name: name, Kind: externKinds[kind], Weak: r.Weak})
		case r.Index < 0 || r.Index >= len(k.b.Maps) || r.Map != k.maps[k.b.Maps[r.Index].Ctx]:
			k.add(Misdescribed, "%s: instruction %d refers to %v, which is not map %d of the contract", what, r.Insn, r, r.Index)
		}
	}
	if !slices.Equal(externs, d.Externs) {
		k.add(Misdescribed, "%s: it refers to %v of the kernel, and the contract says %v", what, externs, d.Externs)
	}
}

// externKinds are the contract's kinds of externs by what they are called in a lookup.
var externKinds = map[string]bundle.ExternKind{
	"function": bundle.ExternFunction, "variable": bundle.ExternVariable, "symbol": bundle.ExternAddress,
}

// target compares what a program attaches to, where the kernel is told when it is loaded.
func (k *keeper) target(what string, d *bundle.Program, p *proof.Program) {
	kind, prefix := "function", ""
	switch {
	case p.Type == uapi.ProgTypeStructOps:
		kind = "struct"
	case p.AttachType == uapi.AttachTraceRawTP:
		kind, prefix = "typedef", "btf_trace_"
	case p.AttachType == uapi.AttachTraceIter:
		prefix = "bpf_iter_"
	case p.Type == uapi.ProgTypeLSM:
		prefix = "bpf_lsm_"
	case p.Type != uapi.ProgTypeTracing && p.AttachTo == "":
		return // it is for those who attach it
	}
	k.same(what, fact{"target", p.AttachTo, kind + " " + prefix + d.AttachTo})
}
