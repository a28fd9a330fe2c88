package loader

import (
	"cmp"
	"encoding/binary"
	"path/filepath"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// contract describes what the loader makes: the same plans that the instructions come from, in words that are signed.
func (c *compiler) contract() bundle.Contract {
	res := bundle.Contract{
		Object: bundle.Object{
			Name: filepath.Base(c.obj.File), SHA256: c.obj.SHA256[:], License: c.obj.License,
			BigEndian: c.order == binary.ByteOrder(binary.BigEndian),
		},
		CtxSize: ctxOffset(len(c.maps) + len(c.programs)), BTF: c.btfRange,
	}
	for _, p := range c.maps {
		res.Maps = append(res.Maps, c.describeMap(p))
	}
	externs := c.externs()
	for _, p := range c.programs {
		res.Programs = append(res.Programs, c.describeProgram(p, externs[p]))
	}
	return res
}

func (c *compiler) attributes(m *object.Map) bundle.MapAttributes {
	key, value := c.mapTypes(m)
	return bundle.MapAttributes{
		Kernel: m.KernelName, Type: uint32(m.Type), KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries,
		Flags: uint32(m.Flags), Extra: m.Extra, NUMANode: m.NUMANode, KeyType: key, ValueType: value,
	}
}

func (c *compiler) describeMap(p *mapPlan) bundle.Map {
	m := bundle.Map{
		MapAttributes: c.attributes(&p.Map), Name: p.Name, Ctx: ctxOffset(p.index), Section: p.Section, Pinning: p.Pinning, Frozen: p.Freeze,
	}
	if p.inner != nil {
		inner := c.attributes(p.inner.Map)
		m.Inner = &inner
	}
	if p.update != nil {
		m.Contents = rangeOf(p.update.value, len(p.Data))
	}
	if p.data != 0 {
		m.Arena, m.ArenaOffset = rangeOf(p.data, len(p.Data)), uint64(p.DataOffset)
	}
	for _, u := range p.fills {
		e := bundle.Entry{Key: c.order.Uint32(u.keyData)}
		if u.program != nil {
			e.Program = u.program.Name
		} else {
			e.Map = c.maps[u.mapIndex].Name
		}
		m.Entries = append(m.Entries, e)
	}
	if p.ops != nil {
		m.StructOps = c.describeStructOps(p.ops)
	}
	return m
}

func (c *compiler) describeStructOps(s *structOpsPlan) *bundle.StructOps {
	res := &bundle.StructOps{Type: s.TypeName}
	if s.update == nil {
		return res
	}
	res.Table = rangeOf(s.at, len(s.data))
	for _, f := range s.funcs {
		if plan := c.plans[f.program]; plan != nil {
			res.Members = append(res.Members, bundle.Member{Name: f.member, Offset: f.off, Program: plan.Name})
		}
	}
	return res
}

func (c *compiler) describeProgram(p *programPlan, externs []bundle.Extern) bundle.Program {
	res := bundle.Program{
		Name: p.Name, Section: p.Section, Type: uint32(p.Kind.Type), ExpectedAttachType: c.attachType(p), Flags: uint32(p.Kind.Flags),
		AttachTo: p.Attach, Insns: rangeOf(p.insns, len(p.Insns)*insn.Size), Ctx: ctxOffset(len(c.maps) + p.index), Externs: externs,
	}
	if m, ok := c.members[p.Program]; ok {
		res.AttachTo = m.lookup.name
	}
	if p.funcs != 0 {
		res.FuncInfo = rangeOf(p.funcs, len(p.Funcs)*uapi.FuncInfoSize)
	}
	if p.lines != 0 {
		res.LineInfo = rangeOf(p.lines, len(p.Lines)*uapi.LineInfoSize)
	}
	if p.relos != 0 {
		res.Relocations = rangeOf(p.relos, len(p.Relos)*uapi.COREReloSize)
	}
	return res
}

// externs lists what each program's instructions want looked up, in the order of the instructions.
func (c *compiler) externs() map[*programPlan][]bundle.Extern {
	res := map[*programPlan][]bundle.Extern{}
	for _, l := range c.asked {
		kind := bundle.ExternAddress
		switch l.kind {
		case btf.Func:
			kind = bundle.ExternFunction
		case btf.Var:
			kind = bundle.ExternVariable
		}
		for _, u := range l.uses {
			res[u.program] = append(res[u.program], bundle.Extern{Insn: uint32(u.insn), Name: l.name, Kind: kind, Weak: l.weak})
		}
	}
	for _, list := range res {
		slices.SortFunc(list, func(a, b bundle.Extern) int { return cmp.Compare(a.Insn, b.Insn) })
	}
	return res
}

func rangeOf(at uint32, size int) bundle.Range {
	if size == 0 {
		return bundle.Range{}
	}
	return bundle.Range{Offset: at, Size: uint32(size)}
}
