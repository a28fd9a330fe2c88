package loader

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// The kernel keeps a struct_ops table behind a header, aligned to its cache line (struct bpf_struct_ops_value,
// kernel/bpf/bpf_struct_ops.c), in bytes.
const (
	structOpsHeader = 64
	cacheLine       = 64
)

// structOpsPlan is how a struct_ops map is made.
type structOpsPlan struct {
	*object.StructOps
	lookup, value *lookup // of the type, and of what the kernel keeps it in
	members       []int   // by the member's index in the object's type, that in the kernel's; -1 if it has none
	data          []byte  // the table as the kernel lays it out, with its header
	at            uint32  // where in the blob it is
	funcs         []structOpsFunc
	update        *updatePlan
}

// structOpsFunc is a member of the table that is a program's descriptor.
type structOpsFunc struct {
	off     uint32 // in data
	program *object.Program
}

// planStructOps fills the table of a struct_ops map, as the kernel lays out its type.
func (c *compiler) planStructOps(p *mapPlan) error {
	ops := &structOpsPlan{StructOps: p.StructOps}
	own := c.obj.BTF
	from, to := &own.Types[p.StructOps.Type], &own.Types[p.StructOps.Type]
	if kernel := c.opts.KernelBTF; kernel != nil {
		id := kernel.Find(btf.Struct, ops.TypeName)
		if id == 0 {
			return fmt.Errorf("the kernel BTF given has no struct %s", ops.TypeName)
		}
		to = &kernel.Types[id]
	}
	size := structOpsHeader + (to.Size+cacheLine-1)/cacheLine*cacheLine
	ops.data = make([]byte, size)
	for i, m := range from.Members {
		k := memberNamed(to, m.Name)
		ops.members = append(ops.members, k)
		if err := ops.copyMember(own, from, i, to, k); err != nil {
			return fmt.Errorf("member %s: %w", m.Name, err)
		}
	}
	p.ValueSize = size
	ops.lookup = c.lookup(ops.TypeName, btf.Struct, false)
	ops.value = c.lookup("bpf_struct_ops_"+ops.TypeName, btf.Struct, false)
	p.ops = ops
	return nil
}

func memberNamed(t *btf.Type, name string) int {
	for i, m := range t.Members {
		if m.Name == name {
			return i
		}
	}
	return -1
}

// copyMember puts member i of the object's type where member k of the kernel's is.
func (s *structOpsPlan) copyMember(spec *btf.Spec, from *btf.Type, i int, to *btf.Type, k int) error {
	size, err := spec.SizeOf(from.Members[i].Type)
	if err != nil {
		return err
	}
	start := from.Members[i].Offset / 8
	if start+uint64(size) > uint64(len(s.Value)) {
		return errors.New("ends beyond its type")
	}
	value := s.Value[start : start+uint64(size)]
	program := s.Programs[i]
	if k < 0 {
		if program != nil || len(bytes.Trim(value, "\x00")) > 0 {
			return errors.New("the kernel's type has no such member, and it is not zero")
		}
		return nil
	}
	off := structOpsHeader + to.Members[k].Offset/8
	if off+uint64(size) > uint64(len(s.data)) {
		return errors.New("is larger than in the kernel's type")
	}
	if program != nil {
		s.funcs = append(s.funcs, structOpsFunc{uint32(off), program})
		return nil
	}
	copy(s.data[off:], value)
	return nil
}

// layOutStructOps puts the table into the blob.
func (c *compiler) layOutStructOps(m *object.Map, s *structOpsPlan) {
	s.at = c.blob.add(s.data, 8)
	if m.Flags&uapi.MapFlagLink == 0 {
		return // filling it would attach it
	}
	s.update = c.layOutUpdate(0)
	s.update.value = s.at
}

// fillStructOps emits the filling of struct_ops maps with their programs.
func (c *compiler) fillStructOps() {
	for _, p := range c.maps {
		if p.ops == nil || p.ops.update == nil {
			continue
		}
		for _, f := range p.ops.funcs {
			plan := c.plans[f.program]
			if plan == nil {
				continue // not loaded, as the object asks
			}
			d := c.code.at(slotOffset(c.slots.ofProgram(plan.index)))
			c.code.emit(insn.Insn{Op: insn.LoadW, Dst: insn.R1, Src: regBlob, Off: d})
			c.code.store(insn.StoreDW, p.ops.at+f.off, insn.R1)
		}
		c.code.sys(uapi.CmdMapUpdateElem, p.ops.update.attr, p.ops.update.size)
	}
}

// addLookupTargets says where the answers about a struct_ops map's type go.
func (p *mapPlan) addLookupTargets() {
	if p.ops != nil {
		v := p.ops.value
		v.ids = append(v.ids, p.attr+uapi.MapCreateKernelValueTypeID)
		v.fds = append(v.fds, p.attr+uapi.MapCreateValueTypeBTFFD)
		v.flags = append(v.flags, flag{p.attr + uapi.MapCreateFlags, uint32(p.Flags | uapi.MapFlagValueTypeBTFObjFD)})
	}
}

// addLookupTargets says where the answer about a program's attach target goes.
func (p *programPlan) addLookupTargets() {
	if p.attach != nil {
		p.attach.ids = append(p.attach.ids, p.attr+uapi.ProgLoadAttachBTFID)
		p.attach.fds = append(p.attach.fds, p.attr+uapi.ProgLoadAttachBTFObjFD)
	}
}
