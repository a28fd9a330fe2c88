package loader

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

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

// maxStructOps is more than the size of any type that the kernel has tables of, in bytes.
const maxStructOps = 1 << 20

// structOpsPlan is how a struct_ops map is made.
type structOpsPlan struct {
	*object.StructOps
	lookup, value *lookup // of the type, and of what the kernel keeps it in
	data          []byte  // the table as the kernel lays it out, with its header
	at            uint32  // where in the blob it is
	funcs         []structOpsFunc
	update        *updatePlan
}

// structOpsFunc is a member of the table that is a program's descriptor.
type structOpsFunc struct {
	member  string // its name
	off     uint32 // in data
	program *object.Program
}

// structOpsMember is the member of a kernel type that a program is. The verifier checks the program as that member, so it
// can stand in several tables, but only there.
type structOpsMember struct {
	table  string // the first one that names the program
	name   string
	lookup *lookup // of the type
	index  int     // in the kernel's type
}

// planStructOps fills the table of a struct_ops map, as the kernel lays out its type.
func (c *compiler) planStructOps(p *mapPlan) error {
	ops := &structOpsPlan{StructOps: p.StructOps}
	own := c.obj.BTF
	layout := structOpsLayout{own: own, from: &own.Types[ops.Type], kernel: own, to: &own.Types[ops.Type]}
	if kernel := c.opts.KernelBTF; kernel != nil {
		id := kernel.Find(btf.Struct, ops.TypeName)
		if id == 0 {
			return fmt.Errorf("the kernel BTF given has no struct %s", ops.TypeName)
		}
		layout.kernel, layout.to = kernel, &kernel.Types[id]
	}
	if layout.to.Size > maxStructOps {
		return fmt.Errorf("struct %s has %d bytes, and a table may have %d", ops.TypeName, layout.to.Size, maxStructOps)
	}
	size := structOpsHeader + (layout.to.Size+cacheLine-1)/cacheLine*cacheLine
	ops.data = make([]byte, size)
	ops.lookup = c.lookup(ops.TypeName, btf.Struct, false)
	ops.value = c.lookup("bpf_struct_ops_"+ops.TypeName, btf.Struct, false)
	for i, m := range layout.from.Members {
		k, err := ops.copyMember(layout, i)
		if program := ops.Programs[i]; err == nil && program != nil {
			err = c.addStructOpsMember(program, structOpsMember{p.Name, m.Name, ops.lookup, k})
		}
		if err != nil {
			return fmt.Errorf("member %s: %w", m.Name, err)
		}
	}
	p.ValueSize = size
	p.ops = ops
	return nil
}

// addStructOpsMember notes that a table names a program.
func (c *compiler) addStructOpsMember(p *object.Program, m structOpsMember) error {
	first, ok := c.members[p]
	if !ok {
		c.members[p] = m
		return nil
	}
	if first.lookup != m.lookup || first.index != m.index {
		return fmt.Errorf("program %s is already %s.%s in table %s, and a program can be one member of one type: write a program for each",
			p.Name, first.lookup.name, first.name, first.table)
	}
	return nil
}

// structOpsLayout is a type as the object declares it and as the kernel has it.
type structOpsLayout struct {
	own    *btf.Spec
	from   *btf.Type
	kernel *btf.Spec
	to     *btf.Type
}

// copyMember puts member i of the object's type where the kernel's type has the member of that name, and returns its index
// there: -1 if there is none, which is no error for a member that is zero.
func (s *structOpsPlan) copyMember(l structOpsLayout, i int) (int, error) {
	m := &l.from.Members[i]
	start, width := l.own.BitField(l.from, m)
	if width != 0 {
		return -1, errors.New("is a bit-field, and the kernel takes none in a table")
	}
	start /= 8
	size, err := l.own.SizeOf(m.Type)
	if err != nil {
		return -1, err
	}
	if start+uint64(size) > uint64(len(s.Value)) {
		return -1, errors.New("ends beyond its type")
	}
	value, program := s.Value[start:start+uint64(size)], s.Programs[i]
	k := slices.IndexFunc(l.to.Members, func(k btf.Member) bool { return k.Name == m.Name })
	if k < 0 {
		if program != nil || len(bytes.Trim(value, "\x00")) > 0 {
			return -1, errors.New("the kernel's type has no such member, and it is not zero")
		}
		return -1, nil
	}
	if err := l.sameMember(m, &l.to.Members[k], program != nil); err != nil {
		return -1, err
	}
	to, _ := l.kernel.BitField(l.to, &l.to.Members[k])
	off := structOpsHeader + to/8
	if off+uint64(size) > uint64(len(s.data)) {
		return -1, errors.New("ends beyond the kernel's type")
	}
	if program != nil {
		s.funcs = append(s.funcs, structOpsFunc{m.Name, uint32(off), program})
		return k, nil
	}
	if l.own.Types[l.own.Strip(m.Type)].Kind == btf.Ptr && len(bytes.Trim(value, "\x00")) > 0 {
		// The kernel takes what is in a function's place for a descriptor: that would be one of whoever runs the loader.
		return -1, errors.New("is a pointer that is not zero and has no relocation: it can be a function of the object, or zero")
	}
	copy(s.data[off:], value)
	return k, nil
}

// sameMember says why the kernel's member cannot hold what the object's does.
func (l *structOpsLayout) sameMember(own, kernel *btf.Member, program bool) error {
	if _, width := l.kernel.BitField(l.to, kernel); width != 0 {
		return errors.New("is a bit-field in the kernel's type")
	}
	a := &l.own.Types[l.own.Strip(own.Type)]
	b := &l.kernel.Types[l.kernel.Strip(kernel.Type)]
	if a.Kind != b.Kind {
		return fmt.Errorf("is of kind %s, and of kind %s in the kernel's type: include the kernel's declaration of the type", a.Kind, b.Kind)
	}
	if program && (b.Kind != btf.Ptr || l.kernel.Types[l.kernel.Strip(b.Ref)].Kind != btf.FuncProto) {
		return errors.New("is not a pointer to a function in the kernel's type")
	}
	ours, err := l.own.SizeOf(own.Type)
	if err != nil {
		return err
	}
	theirs, err := l.kernel.SizeOf(kernel.Type)
	if err != nil {
		return err
	}
	if ours != theirs {
		return fmt.Errorf("has %d bytes, and %d in the kernel's type: include the kernel's declaration of the type", ours, theirs)
	}
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
			d := c.code.at(slotOffset(c.slots.ofProgram(c.plans[f.program].index)))
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
