package loader

import (
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// programPlan is a program and where in the blob its attribute is.
type programPlan struct {
	*object.Program
	index  int
	attr   uint32
	size   int
	insns  uint32
	attach *lookup // of its attach target, or nil
	// where in the blob the program's information is; 0 for none
	funcs, lines, relos uint32
}

func (c *compiler) planPrograms() error {
	c.plans = map[*object.Program]*programPlan{}
	for _, prog := range c.obj.Programs {
		if !prog.Autoload {
			continue
		}
		p := &programPlan{Program: prog, index: len(c.programs)}
		if err := c.planProgram(p); err != nil {
			return fmt.Errorf("program %s (section %s): %w", p.Name, p.Section, err)
		}
		c.programs = append(c.programs, p)
		c.plans[prog] = p
	}
	c.slots.programs = len(c.programs)
	return c.checkSlots()
}

func (c *compiler) planProgram(p *programPlan) error {
	switch {
	case p.Kind.Type == uapi.ProgTypeExt:
		return fmt.Errorf("%w: it replaces a function of another program, which a loader cannot find", object.ErrUnsupported)
	case p.Kind.AttachBTF && p.Attach == "":
		return errors.New("the section names no attach target: write SEC(\"" + p.Section + "/TARGET\")")
	case p.Kind.AttachBTF:
		prefix := p.Kind.ExpectedAttachType.TargetPrefix()
		kind := btf.Func
		if prefix == uapi.TargetTracepoint {
			kind = btf.Typedef
		}
		p.attach = c.lookup(prefix+p.Attach, kind, false)
	case p.Kind.Type == uapi.ProgTypeStructOps:
		m, ok := c.members[p.Program]
		if !ok {
			return errors.New("no struct_ops map of the object has it as a member")
		}
		p.attach = m.lookup
	}
	used := map[*object.Map]bool{}
	for _, ref := range p.Refs {
		if ref.Map == nil {
			if err := c.planExtern(p, ref); err != nil {
				return err
			}
			continue
		}
		if c.mapPlans[ref.Map] == nil {
			return fmt.Errorf("it uses map %s, which is disabled", ref.Map.Name)
		}
		used[ref.Map] = true
	}
	if len(used) > uapi.MaxUsedMaps {
		return fmt.Errorf("it uses %d maps, and the kernel allows a program %d", len(used), uapi.MaxUsedMaps)
	}
	return checkNumbers(p.Program)
}

// checkNumbers refuses instructions that name a map, a variable or a function of the kernel by a number and not by a relocation. The
// number would be that of a descriptor of whoever runs the loader, or of a type of whatever kernel that is on.
func checkNumbers(p *object.Program) error {
	refs := map[int]bool{}
	for _, ref := range p.Refs {
		refs[ref.Insn] = true
	}
	for i := 0; i < len(p.Insns); i++ {
		in := p.Insns[i]
		named := in.IsLoadImm64() && in.Src != insn.PseudoNone && in.Src != insn.PseudoFunc || in.IsCall() && in.Src == insn.PseudoKfunc
		if named && !refs[i] {
			return fmt.Errorf("instruction %d (%v) names something by its number, which the host would choose: it has no relocation", i, in)
		}
		if in.IsLoadImm64() {
			i++
		}
	}
	return nil
}

// patchedInsns returns the program's instructions with its references to maps in place.
func (c *compiler) patchedInsns(p *programPlan) []insn.Insn {
	insns := append([]insn.Insn{}, p.Insns...)
	for _, ref := range p.Refs {
		in := &insns[ref.Insn]
		switch {
		case ref.Map != nil && ref.Value:
			in.Src, in.Imm = insn.PseudoMapIdxValue, int32(c.mapPlans[ref.Map].index)
			insns[ref.Insn+1].Imm = ref.Offset
		case ref.Map != nil:
			in.Src, in.Imm = insn.PseudoMapIdx, int32(c.mapPlans[ref.Map].index)
		case ref.Extern.Kind == object.Kfunc && in.IsCall():
			in.Src, in.Imm, in.Off = insn.PseudoKfunc, 0, 0
		default: // as if the symbol were missing
			in.Src, in.Imm = 0, 0
			insns[ref.Insn+1].Imm = 0
		}
	}
	return insns
}

// layOutPrograms puts the programs' attributes into the blob.
func (c *compiler) layOutPrograms() {
	for _, p := range c.programs {
		a := &attr{order: c.order}
		a.u32(uapi.ProgLoadType, uint32(p.Kind.Type))
		a.u32(uapi.ProgLoadInsnCnt, uint32(len(p.Insns)))
		a.u32(uapi.ProgLoadFlags, uint32(p.Kind.Flags))
		a.name(uapi.ProgLoadName, p.Name)
		a.u32(uapi.ProgLoadAttachType, c.attachType(p))
		if p.attach != nil {
			a.reserve(uapi.ProgLoadAttachBTFObjFD + 4)
		}
		if c.btf != nil && len(p.Funcs) > 0 {
			a.u32(uapi.ProgLoadFuncInfoRecSize, uapi.FuncInfoSize)
			a.u32(uapi.ProgLoadFuncInfoCnt, uint32(len(p.Funcs)))
			if len(p.Lines) > 0 {
				a.u32(uapi.ProgLoadLineInfoRecSize, uapi.LineInfoSize)
				a.u32(uapi.ProgLoadLineInfoCnt, uint32(len(p.Lines)))
			}
		}
		if len(p.Relos) > 0 {
			a.u32(uapi.ProgLoadCOREReloCnt, uint32(len(p.Relos)))
			a.u32(uapi.ProgLoadCOREReloRecSize, uapi.COREReloSize)
		}
		if c.usesFDArray(p) {
			a.reserve(uapi.ProgLoadFDArray + 8)
		}
		p.attr, p.size = c.blob.add(a.data, 8), len(a.data)
	}
}

// attachType is the program's expected attach type: that of a struct_ops program is the number of its member.
func (c *compiler) attachType(p *programPlan) uint32 {
	if m, ok := c.members[p.Program]; ok {
		return uint32(m.index)
	}
	return uint32(p.Kind.ExpectedAttachType)
}

// usesFDArray says whether an instruction of p refers to a descriptor by its index.
func (c *compiler) usesFDArray(p *programPlan) bool {
	for _, ref := range p.Refs {
		if ref.Map != nil || ref.Extern.Kind == object.Kfunc {
			return true
		}
	}
	return false
}

// layOutInsns puts the programs' instructions into the blob, and layOutInfo what is known of them.
func (c *compiler) layOutInsns() {
	for _, p := range c.programs {
		p.insns = c.blob.add(insn.Append(nil, c.order, c.patchedInsns(p)...), 8)
	}
}

func (c *compiler) layOutInfo() {
	if c.btf == nil {
		return
	}
	record := func(to []byte, words ...uint32) []byte {
		for _, w := range words {
			to = append(to, 0, 0, 0, 0)
			c.order.PutUint32(to[len(to)-4:], w)
		}
		return to
	}
	for _, p := range c.programs {
		var funcs, lines, relos []byte
		for _, f := range p.Funcs {
			funcs = record(funcs, f.Offset, c.btf.ID(f.Type))
		}
		if len(p.Funcs) > 0 {
			for _, l := range p.Lines {
				lines = record(lines, l.Offset, c.btf.String(l.File), c.btf.String(l.Text), l.LineCol)
			}
		}
		for _, r := range p.Relos {
			relos = record(relos, r.Offset*insn.Size, c.btf.ID(r.Type), c.btf.String(r.Access), r.Kind)
		}
		add := func(data []byte) uint32 {
			if len(data) == 0 {
				return 0
			}
			return c.blob.add(data, 4)
		}
		p.funcs, p.lines, p.relos = add(funcs), add(lines), add(relos)
	}
}

// loadPrograms emits the loading of all programs.
func (c *compiler) loadPrograms() {
	for _, p := range c.programs {
		c.code.sys(uapi.CmdProgLoad, p.attr, p.size)
		c.keep(c.slots.ofProgram(p.index), ctxOffset(len(c.maps)+p.index))
	}
}
