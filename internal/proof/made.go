package proof

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Made is what a loader makes when it succeeds: its derived contract.
type Made struct {
	// Maps, Programs and BTFs are in the order in which they are made.
	Maps     []*Map
	Programs []*Program
	BTFs     []*BTF
	// Trials are programs that the loader loads, or fails to load, and closes at once.
	Trials []*Program
	// Lookups are the kernel's symbols and types that it asks for.
	Lookups []string

	lines []string
}

// Map is a map that a loader creates.
type Map struct {
	Name                                  string
	Type                                  uapi.MapType
	KeySize, ValueSize, MaxEntries        uint32
	NUMANode, IfIndex, KeyType, ValueType uint32
	// Flags are the flags, but for the one that a struct_ops map gets if its type is a module's.
	Flags uapi.MapFlags
	Extra uint64
	// BTF has the types of key and value; nil for none.
	BTF *BTF
	// Inner is the template of a map of maps, KernelValue what was looked up for the value of a struct_ops map.
	Inner       *Map
	KernelValue string
	Updates     []*Update
	Frozen      bool
	// Ctx is where in the context the loader leaves the descriptor, in bytes; -1 if it closes it.
	Ctx int
}

// Update is an element that a loader puts into a map.
type Update struct {
	Key   []byte
	Flags uint64
	// Value is where in the blob the value is, but for Puts and Patches; empty if it is a descriptor only.
	Value   bundle.Range
	Puts    []Put
	Patches []Patch
}

// Put is a map or program whose descriptor is at an offset of a value.
type Put struct {
	Off     int
	Map     *Map
	Program *Program
}

// Patch is a byte of a value that the loader sets to another constant than the blob has.
type Patch struct {
	Off  int
	Byte byte
}

// Program is a program that a loader loads.
type Program struct {
	Name, License string
	Type          uapi.ProgType
	Flags         uapi.ProgFlags
	AttachType    uapi.AttachType
	IfIndex       uint32
	Insns         bundle.Range
	// AttachTo is what was looked up as its target, with its kind: "function bpf_lsm_file_open"; empty for none.
	AttachTo                 string
	BTF                      *BTF
	FuncInfo, LineInfo, CORE Records
	// Refs are the instructions that refer to maps or to the kernel.
	Refs []Ref
	Ctx  int
}

// Records are func_info, line_info or CO-RE relocations of a program.
type Records struct {
	Count, Size uint32
	Data        bundle.Range
}

// Ref is what an instruction refers to.
type Ref struct {
	Insn int
	// Map is a map of the loader's, Index its index in fd_array, -1 if it is named otherwise.
	Map   *Map
	Index int
	// Extern is a lookup, with its kind: "function bpf_task_from_pid". Weak says that it may be missing.
	Extern string
	Weak   bool
}

// String says it in words.
func (r *Ref) String() string {
	switch {
	case r.Map != nil:
		return fmt.Sprintf("map %q", r.Map.Name)
	case r.Weak:
		return r.Extern + ", if there is one"
	}
	return r.Extern
}

// BTF is type information that a loader loads.
type BTF struct{ Data bundle.Range }

// details says all that is known of a call, to tell whether two are the same.
func (c *call) details() string {
	switch {
	case c.m != nil:
		return c.m.String()
	case c.prog != nil:
		return c.prog.String()
	case c.btf != nil:
		return fmt.Sprintf("BTF at %v", c.btf.Data)
	case c.up != nil:
		return fmt.Sprintf("%v %v", c.of.text, c.up)
	}
	return c.text
}

// String says all of a map but its contents.
func (m *Map) String() string {
	s := fmt.Sprintf("map %q: %v, key %d, value %d, entries %d, flags %v, extra %#x", m.Name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags, m.Extra)
	if m.NUMANode|m.IfIndex != 0 {
		s += fmt.Sprintf(", node %d, interface %d", m.NUMANode, m.IfIndex)
	}
	if m.BTF != nil {
		s += fmt.Sprintf(", types %d and %d of BTF at %v", m.KeyType, m.ValueType, m.BTF.Data)
	}
	if m.Inner != nil {
		s += fmt.Sprintf(", of maps like (%v)", m.Inner)
	}
	if m.KernelValue != "" {
		s += fmt.Sprintf(", values of %s", m.KernelValue)
	}
	return s
}

// String says what is put where.
func (u *Update) String() string {
	s := fmt.Sprintf("[%x] = ", u.Key)
	if u.Value.Size > 0 {
		s += fmt.Sprintf("%d bytes at %d", u.Value.Size, u.Value.Offset)
	}
	for _, p := range u.Puts {
		if p.Map != nil {
			s += fmt.Sprintf(" %d: map %q", p.Off, p.Map.Name)
		} else {
			s += fmt.Sprintf(" %d: program %q", p.Off, p.Program.Name)
		}
	}
	for _, p := range u.Patches {
		s += fmt.Sprintf(" %d: %#x", p.Off, p.Byte)
	}
	if u.Flags != 0 {
		s += fmt.Sprintf(" flags %#x", u.Flags)
	}
	return s
}

// String says all of a program.
func (p *Program) String() string {
	s := fmt.Sprintf("program %q: %v, flags %v, attach type %v, license %q, %d instructions at %d", p.Name, p.Type, p.Flags, p.AttachType, p.License,
		p.Insns.Size/insn.Size, p.Insns.Offset)
	if p.IfIndex != 0 {
		s += fmt.Sprintf(", interface %d", p.IfIndex)
	}
	if p.AttachTo != "" {
		s += fmt.Sprintf(", attaches to %s", p.AttachTo)
	}
	if p.BTF != nil {
		s += fmt.Sprintf(", BTF at %v", p.BTF.Data)
	}
	for _, r := range []struct {
		what string
		r    Records
	}{{"func_info", p.FuncInfo}, {"line_info", p.LineInfo}, {"CO-RE", p.CORE}} {
		if r.r.Count > 0 {
			s += fmt.Sprintf(", %d %s records at %d", r.r.Count, r.what, r.r.Data.Offset)
		}
	}
	for _, r := range p.Refs {
		s += fmt.Sprintf("; %d: %v", r.Insn, &r)
	}
	return s
}

// Lines says all that is made, a line each.
func (m *Made) Lines() []string { return m.lines }

func (m *Made) text() (lines []string) {
	for _, b := range m.BTFs {
		lines = append(lines, fmt.Sprintf("BTF: %d bytes at %d", b.Data.Size, b.Data.Offset))
	}
	for _, x := range m.Maps {
		lines = append(lines, x.String()+where(x.Ctx))
		for _, u := range x.Updates {
			lines = append(lines, fmt.Sprintf("map %q%v", x.Name, u))
		}
		if x.Frozen {
			lines = append(lines, fmt.Sprintf("map %q is frozen", x.Name))
		}
	}
	for _, x := range m.Programs {
		lines = append(lines, x.String()+where(x.Ctx))
	}
	for _, x := range m.Trials {
		lines = append(lines, "trial of "+x.String())
	}
	if len(m.Lookups) > 0 {
		lines = append(lines, "looks up "+strings.Join(m.Lookups, ", "))
	}
	return lines
}

func where(ctx int) string {
	if ctx < 0 {
		return ", closed again"
	}
	return fmt.Sprintf(", at %d of the context", ctx)
}

// succeeds follows a path that ends with success: it makes what its calls have made.
func (p *prover) succeeds(pc int, s *state) {
	p.exits++
	at := map[*call]int{}
	bad := false
	s.mem[rCtx].visit(bundle.CtxHeaderSize, bundle.MaxCtx, func(off int64, c cell) {
		if c.v.kind == kFD && c.v.call.makes != aModule && off%4 == 0 {
			if v, ok := p.view(s, rCtx, off, 4); ok && v.kind == kFD {
				at[v.call] = int(off)
			}
		}
	})
	made := &Made{}
	for _, c := range p.calls {
		st := s.status(c)
		ctx, kept := at[c]
		if !kept {
			ctx = -1
		}
		switch {
		case (c.needed || c.trial && kept) && st&(notMade|pending) != 0:
			p.add(IgnoredFailure, c.pc, "the loader may succeed without %v", c)
			bad = true
		case c.makes != noObject && st&(open|pending) != 0 && !kept:
			p.add(LostDescriptor, pc, "the loader succeeds, and the descriptor of %v may stay open where nobody sees it", c)
			bad = true
		case kept && st != open:
			p.add(LostDescriptor, pc, "the context shows the descriptor of %v, which is closed", c)
			bad = true
		}
		switch {
		case c.m != nil:
			c.m.Ctx = ctx
			made.Maps = append(made.Maps, c.m)
			c.m.Updates, c.m.Frozen = nil, false
		case c.trial && !kept:
			made.Trials = append(made.Trials, c.prog)
		case c.prog != nil:
			c.prog.Ctx = ctx
			made.Programs = append(made.Programs, c.prog)
		case c.btf != nil:
			made.BTFs = append(made.BTFs, c.btf)
		case c.up != nil:
			c.of.m.Updates = append(c.of.m.Updates, c.up)
		case c.of != nil:
			c.of.m.Frozen = true
		default:
			if !slices.Contains(made.Lookups, c.text) {
				made.Lookups = append(made.Lookups, c.text)
			}
		}
	}
	made.lines = made.text()
	switch {
	case bad:
	case p.made == nil:
		p.made = made
	case !slices.Equal(p.made.lines, made.lines):
		p.add(UnknownValue, pc, "what the loader makes depends on the path that leads here")
	}
}
