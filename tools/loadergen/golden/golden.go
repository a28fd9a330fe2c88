// Package golden writes what a bundle's loaders are in a text for people: the contract in words, what the loaders ask of the
// kernel, and each instruction with what it is about in place of offsets. A change of an object changes the lines that are about it and no
// others.
package golden

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/contract"
	"github.com/rules-bpf/rules_bpf/internal/flow"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Text returns the golden text of a bundle.
func Text(b *bundle.Bundle) (string, error) {
	var out strings.Builder
	endian := "little-endian"
	if b.Object.BigEndian {
		endian = "big-endian"
	}
	fmt.Fprintf(&out, "# Loaders of %s, license %q, %s\n", printable.Name(b.Object.Name), b.Object.License, endian)
	words, err := contract.Summarize(b)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&out, "\n## Contract\n\n%s\n", strings.Join(words.Lines(), "\n"))
	var calls, listings [2][]string // of the loader at hand and the one before
	for i, l := range b.Loaders {
		sim, err := simkernel.FromBundle(b, l.Scheme)
		if err != nil {
			return "", err
		}
		res := simkernel.Run(sim, simkernel.Options{})
		head, rest := split(trace.Unnumbered(res))
		fmt.Fprintf(&out, "\n## %v: load\n\n%s", l.Scheme, strings.Join(head, ""))
		calls[1], calls[0] = calls[0], rest
		if i > 0 && slices.Equal(calls[0], calls[1]) {
			fmt.Fprintf(&out, "... and the same calls as %v\n", b.Loaders[i-1].Scheme)
		} else {
			out.WriteString(strings.Join(rest, ""))
		}
		lines, err := listing(sim, res)
		if err != nil {
			return "", fmt.Errorf("%v loader: %w", l.Scheme, err)
		}
		fmt.Fprintf(&out, "\n## %v: instructions\n\n", l.Scheme)
		listings[1], listings[0] = listings[0], lines
		if n := len(listings[1]) - len(lines); i > 0 && n >= 0 {
			if at, ok := cut(listings[1], lines); ok {
				fmt.Fprintf(&out, "the same as %v, without the %d lines before %q\n", b.Loaders[i-1].Scheme, n, strings.TrimSpace(listings[1][at+n]))
				continue
			}
		}
		out.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return out.String(), nil
}

// split takes what host and checks do off a trace.
func split(text string) (head, rest []string) {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		if !strings.HasPrefix(l, "host") && !strings.HasPrefix(l, "check") && !strings.HasPrefix(l, "kern") {
			return lines[:i], lines[i:]
		}
	}
	return lines, nil
}

// cut says where lines must be taken out of long for short to remain.
func cut(long, short []string) (at int, ok bool) {
	for at < len(short) && long[at] == short[at] {
		at++
	}
	n := len(long) - len(short)
	return at, n > 0 && at < len(short) && slices.Equal(long[at+n:], short[at:])
}

// listing is the disassembly of a loader that has run. What was not reached in the run is there, too, but the kernel's objects
// that it is about may not be known.
func listing(l simkernel.Loader, res *simkernel.Result) ([]string, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if l.BigEndian {
		order = binary.BigEndian
	}
	insns, err := insn.Decode(l.Insns, order)
	if err != nil {
		return nil, err
	}
	if p := flow.Check(insns); len(p) > 0 {
		return nil, fmt.Errorf("instruction %d: %s", p[0].PC, p[0].Text)
	}
	d := &lister{Flow: flow.New(order, insns, l.Blob), res: res, calls: map[int]*simkernel.Event{}, slots: map[int64]string{}}
	for _, ev := range res.Events {
		if ev.Kind > simkernel.EventCheck && d.calls[ev.PC] == nil {
			d.calls[ev.PC] = ev
		}
	}
	d.findSlots()
	d.findLabels()
	var lines []string
	for pc := 0; pc < len(insns); pc++ {
		if name, ok := d.labels[pc]; ok {
			lines = append(lines, name+":")
		}
		lines = append(lines, "\t"+printable.Text(d.line(pc)))
		if insns[pc].IsLoadImm64() {
			pc++
		}
	}
	return lines, nil
}

// lister writes instructions.
type lister struct {
	*flow.Flow
	res    *simkernel.Result
	calls  map[int]*simkernel.Event
	slots  map[int64]string // places in the blob that hold a descriptor, by offset
	stack  map[int64]string // and on the stack
	labels map[int]string
	states map[int]*flow.State
}

// findSlots finds where descriptors are kept: where the result of a call that opens something is stored.
func (d *lister) findSlots() {
	d.stack = map[int64]string{}
	d.states = map[int]*flow.State{}
	for p := range d.States {
		if d.states[p.PC] == nil {
			s, _ := d.At(p.PC)
			d.states[p.PC] = &s
		}
	}
	for pc, in := range d.Insns {
		s := d.states[pc]
		if s == nil || in.Op != insn.StoreW {
			continue
		}
		at, v := s.Reg(in.Dst), s.Reg(in.Src)
		what := d.opened(v)
		if what == "" {
			continue
		}
		switch at.Kind {
		case flow.BlobPtr:
			off := at.N + int64(in.Off)
			if r := d.regionAt(off); r == nil || strings.HasPrefix(r.What, "value") || r.What == "fd_array" {
				d.slots[off] = what
			}
		case flow.StackPtr:
			d.stack[at.N+int64(in.Off)] = what
		}
	}
}

// opened says what descriptor a value is.
func (d *lister) opened(v flow.Value) string {
	ev := d.calls[int(v.N)]
	if ev == nil || v.Kind != flow.Returned && v.Kind != flow.Upper {
		return ""
	}
	switch {
	case v.Kind == flow.Upper && ev.Symbol != nil:
		return "fd of the module with " + printable.Name(ev.Symbol.Name)
	case v.Kind == flow.Upper:
		return ""
	case ev.Kind != simkernel.EventBPF:
		return ""
	case uapi.Cmd(ev.Cmd) == uapi.CmdMapCreate:
		return "fd of " + trace.Object(ev.Map)
	case uapi.Cmd(ev.Cmd) == uapi.CmdProgLoad:
		return "fd of " + trace.Object(ev.Prog)
	case uapi.Cmd(ev.Cmd) == uapi.CmdBTFLoad:
		return "fd of BTF"
	}
	return ""
}

// farJump is how many instructions a jump must go to have a label.
const farJump = 16

// findLabels names the targets of long jumps, from the last to the first: what the schemes differ in comes first.
func (d *lister) findLabels() {
	far := map[int]bool{}
	for pc, in := range d.Insns {
		if to, ok := d.target(pc); ok && (to < pc || to-pc > farJump) && in.Class().IsJump() {
			far[to] = true
		}
	}
	d.labels = map[int]string{}
	for pc := len(d.Insns) - 1; pc >= 0; pc-- {
		if far[pc] {
			d.labels[pc] = fmt.Sprintf("L%d", len(d.labels)+1)
		}
	}
}

// target is where a jump goes.
func (d *lister) target(pc int) (to int, ok bool) {
	in := d.Insns[pc]
	if d.states[pc] == nil || !in.Class().IsJump() || in.Op == insn.Call || in.Op == insn.Exit {
		return 0, false
	}
	return flow.Successors(in, pc, nil)[0], true
}

// line is an instruction.
func (d *lister) line(pc int) string {
	in, s := d.Insns[pc], d.states[pc]
	if s == nil { // it cannot be reached: constants decide
		s = &flow.State{}
	}
	switch in.Class() {
	case insn.ClassLD:
		return fmt.Sprintf("r%d = %s", in.Dst, d.imm64(pc))
	case insn.ClassLDX:
		return fmt.Sprintf("r%d = %s", in.Dst, d.place(in, s.Reg(in.Src), in.Src))
	case insn.ClassST:
		return fmt.Sprintf("%s = %d", d.place(in, s.Reg(in.Dst), in.Dst), in.Imm)
	case insn.ClassSTX:
		if in.Mode() == insn.ModeAtomic {
			return fmt.Sprintf("r%d = exchange %s, r%d", in.Src, d.place(in, s.Reg(in.Dst), in.Dst), in.Src)
		}
		text := fmt.Sprintf("%s = r%d", d.place(in, s.Reg(in.Dst), in.Dst), in.Src)
		if what := d.opened(s.Reg(in.Src)); what != "" && !strings.Contains(text, what) {
			text += " ; " + what
		}
		return text
	case insn.ClassALU64:
		if in.Op == insn.AddK {
			v := s.Reg(in.Dst)
			v.N += int64(in.Imm)
			if v.Kind == flow.BlobPtr {
				return fmt.Sprintf("r%d = %s", in.Dst, d.address(v.N))
			}
		}
	case insn.ClassJMP, insn.ClassJMP32:
		return d.jump(pc, in)
	}
	return in.String()
}

func (d *lister) jump(pc int, in insn.Insn) string {
	if in.Op == insn.Call {
		text := "call " + uapi.Helper(in.Imm).String()
		if ev := d.calls[pc]; ev != nil {
			text += " ; " + trace.Line(ev)
		}
		return text
	}
	to, ok := d.target(pc)
	if !ok {
		return in.String()
	}
	text := in.String()
	if name, far := d.labels[to]; far {
		at := strings.LastIndex(text, " ") + 1
		text = text[:at] + name
	}
	for p := range d.States {
		if p.PC != pc {
			continue
		}
		if c, ok := d.Comparison(p); ok {
			if c.Off == uapi.BPFMapExcl {
				return text + " ; check: exclusive"
			}
			if c.With == c.Want {
				return text + fmt.Sprintf(" ; check: digest, bytes %d-%d", c.Off, c.Off+c.Size-1)
			}
			return text + " ; check: WRONG DIGEST"
		}
	}
	return text
}

func (d *lister) imm64(pc int) string {
	in := d.Insns[pc]
	switch in.Src {
	case insn.PseudoMapIdx:
		return "the metadata map"
	case insn.PseudoMapIdxValue:
		return d.address(int64(uint32(d.Insns[pc+1].Imm)))
	}
	// A part of the digest is told by what it is compared with, and changes with every change.
	return "a constant"
}

// address names an address in the blob.
func (d *lister) address(off int64) string {
	if off == 0 {
		return "the blob"
	}
	if name, ok := d.slots[off]; ok {
		return "&" + name
	}
	if r := d.regionAt(off); r != nil && int64(r.Off) == off {
		return "&" + r.What
	}
	if name := d.placeInBlob(off); name != "" {
		return "&" + name
	}
	return "a place in the blob"
}

// regionAt returns the smallest known part of the blob that has an offset.
func (d *lister) regionAt(off int64) *simkernel.Region {
	var best *simkernel.Region
	for i := range d.res.Regions {
		r := &d.res.Regions[i]
		if off >= int64(r.Off) && off < int64(r.Off+r.Size) && (best == nil || r.Size < best.Size) {
			best = r
		}
	}
	return best
}

var widths = map[uint8]string{1: "u8", 2: "u16", 4: "u32", 8: "u64"}

// place names where a load or store goes.
func (d *lister) place(in insn.Insn, at flow.Value, base uint8) string {
	width := widths[in.MemSize()]
	off := at.N + int64(in.Off)
	switch at.Kind {
	case flow.BlobPtr:
		if name := d.placeInBlob(off); name != "" {
			return width + " " + name
		}
		return width + " in the blob"
	case flow.CtxPtr:
		return width + " " + d.placeInCtx(off)
	case flow.StackPtr:
		if name, ok := d.stack[off]; ok {
			return width + " " + name
		}
		return fmt.Sprintf("%s stack%+d", width, off)
	case flow.MapPtr:
		if off == uapi.BPFMapExcl {
			return width + " map.excl"
		}
		return fmt.Sprintf("%s map.sha[%d]", width, off)
	}
	return fmt.Sprintf("%s at r%d %+d", width, base, in.Off)
}

func (d *lister) placeInBlob(off int64) string {
	if name, ok := d.slots[off]; ok {
		return name
	}
	r := d.regionAt(off)
	if r == nil {
		return ""
	}
	off -= int64(r.Off)
	if r.Cmd >= 0 {
		if name := uapi.Cmd(r.Cmd).FieldName(off); name != "" {
			return r.What + "." + name
		}
	}
	if strings.HasPrefix(r.What, "instructions") {
		return fmt.Sprintf("%s, insn %d%s", r.What, off/insn.Size, map[int64]string{insn.RegsAt: " registers", insn.OffAt: " off", insn.ImmAt: " imm"}[off%insn.Size])
	}
	if off == 0 {
		return r.What
	}
	return fmt.Sprintf("%s %+d", r.What, off)
}

// ctxFields are the names of the fields of a loader's context (struct bpf_loader_ctx), by offset.
var ctxFields = map[int64]string{
	bundle.CtxSz: "sz", bundle.CtxFlags: "flags", bundle.CtxLogLevel: "log_level", bundle.CtxLogSize: "log_size",
	bundle.CtxLogBuf: "log_buf",
}

func (d *lister) placeInCtx(off int64) string {
	if name := ctxFields[off]; name != "" {
		return "ctx." + name
	}
	if o := d.res.Descriptors[int(off)]; o != nil {
		return "ctx, " + trace.Object(o)
	}
	return fmt.Sprintf("ctx %+d", off)
}

// Diff lists the lines that differ between two texts: those of a with "-", those of b with "+", in order.
func Diff(a, b string) []string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	// The longest common subsequence, of what is between the equal ends.
	var head, tail int
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	for tail < len(x)-head && tail < len(y)-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	x, y = x[head:len(x)-tail], y[head:len(y)-tail]
	const large = 1 << 22
	if len(x)*len(y) > large { // there is nothing to see in the details
		for i := range x {
			x[i] = "-" + x[i]
		}
		for i := range y {
			y[i] = "+" + y[i]
		}
		return append(x, y...)
	}
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var diff []string
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case i < len(x) && j < len(y) && x[i] == y[j]:
			i++
			j++
		case j == len(y) || i < len(x) && common[i+1][j] >= common[i][j+1]:
			diff = append(diff, "-"+x[i])
			i++
		default:
			diff = append(diff, "+"+y[j])
			j++
		}
	}
	return diff
}
