// Package trace says in words what a loader asks of the kernel: one line a call, in order, for people who review what
// they sign, and the decoded content of all that it creates, for comparing loaders.
package trace

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Text is the trace of a load: what the host does, what the loader checks, what it asks for with the number of the call,
// and how it ends. It has no offsets, descriptors or digests in it: it changes when the loader does something else.
func Text(res *simkernel.Result) string { return text(res, true) }

// Unnumbered is the trace without the calls' numbers, so that one more call is one more line.
func Unnumbered(res *simkernel.Result) string { return text(res, false) }

func text(res *simkernel.Result, numbered bool) string {
	var b strings.Builder
	for _, ev := range res.Events {
		who := actor(ev)
		if !numbered && ev.N != 0 {
			who = "call"
		}
		fmt.Fprintf(&b, "%-5s %s\n", who, Line(ev))
	}
	switch {
	case res.Fault != nil:
		fmt.Fprintf(&b, "fault %s\n", printable.Text(res.Fault.Error()))
	case res.Errno != 0 && res.Stage == simkernel.StageRun:
		fmt.Fprintf(&b, "end   the loader returns -%v\n", res.Errno)
	case res.Errno != 0:
		fmt.Fprintf(&b, "end   refused: %s\n", printable.Text(res.Why))
	default:
		fmt.Fprintf(&b, "end   the loader returns %s\n", strings.Join(left(res), ", "))
	}
	for _, l := range res.Leaks {
		fmt.Fprintf(&b, "fault %s\n", printable.Text(l.Error()))
	}
	return b.String()
}

// left lists what the loader hands over.
func left(res *simkernel.Result) []string {
	if len(res.Descriptors) == 0 {
		return []string{"nothing"}
	}
	var list []string
	for _, off := range sortedKeys(res.Descriptors) {
		list = append(list, Object(res.Descriptors[off]))
	}
	return list
}

func actor(ev *simkernel.Event) string {
	switch {
	case ev.Kernel:
		return "kern"
	case ev.Kind == simkernel.EventHost:
		return "host"
	case ev.Kind == simkernel.EventCheck:
		return "check"
	case ev.N != 0:
		return fmt.Sprintf("%4d", ev.N)
	}
	return "call"
}

// Line is an event in words, printable and in one line.
func Line(ev *simkernel.Event) string {
	text := printable.Text(words(ev))
	switch {
	case ev.Injected:
		text += fmt.Sprintf(": made to fail: -%v", ev.Errno())
	case ev.Errno() != 0:
		text += fmt.Sprintf(": -%v", ev.Errno())
	}
	return text
}

func words(ev *simkernel.Event) string {
	switch ev.Kind {
	case simkernel.EventHost:
		return ev.Text
	case simkernel.EventCheck:
		return check(ev.Check)
	case simkernel.EventBPF:
		return command(ev)
	case simkernel.EventFindBTF:
		if ev.Symbol == nil {
			return "FIND_TYPE"
		}
		return "FIND_TYPE " + symbol(ev.Symbol)
	case simkernel.EventKallsyms:
		if ev.Symbol == nil {
			return "FIND_SYMBOL"
		}
		return "FIND_SYMBOL " + printable.Name(ev.Symbol.Name)
	case simkernel.EventCopyFromUser:
		return "COPY_FROM_USER"
	case simkernel.EventPrintk:
		return fmt.Sprintf("PRINTK %q", ev.Text)
	case simkernel.EventClose:
		return "CLOSE " + Object(ev.Object)
	}
	return fmt.Sprintf("event %d", ev.Kind)
}

func check(c *simkernel.Check) string {
	verdict := "ok"
	if c.Got != c.Want {
		verdict = "REFUSED"
	}
	if c.Excl {
		return fmt.Sprintf("the map's exclusivity is %d, wanted %d: %s", c.Got, c.Want, verdict)
	}
	var words []string
	for mask := c.SHA; mask != 0; mask &= mask - 1 {
		words = append(words, fmt.Sprint(bits.TrailingZeros(uint(mask))))
	}
	if c.Got != c.Want && c.Got == 0 {
		verdict = "not computed: REFUSED"
	}
	return fmt.Sprintf("the map's digest, word %s: %s", strings.Join(words, "+"), verdict)
}

func command(ev *simkernel.Event) string {
	switch uapi.Cmd(ev.Cmd) {
	case uapi.CmdBTFLoad:
		if ev.BTF == nil {
			return "BTF_LOAD"
		}
		return fmt.Sprintf("BTF_LOAD %s bytes", simkernel.Thousands(len(ev.BTF.Raw)))
	case uapi.CmdMapCreate:
		if ev.Map == nil {
			return "MAP_CREATE"
		}
		return "MAP_CREATE " + mapAttrs(ev.Map)
	case uapi.CmdMapUpdateElem:
		return "MAP_UPDATE " + update(ev)
	case uapi.CmdMapFreeze:
		return "MAP_FREEZE " + Object(ev.Map)
	case uapi.CmdProgLoad:
		if ev.Prog == nil {
			return "PROG_LOAD"
		}
		return "PROG_LOAD " + progAttrs(ev.Prog)
	case uapi.CmdLinkCreate:
		return "LINK_CREATE " + Object(ev.Link)
	case uapi.CmdRawTracepointOpen:
		return "RAW_TRACEPOINT_OPEN " + Object(ev.Link)
	}
	return fmt.Sprintf("command %v", uapi.Cmd(ev.Cmd))
}

// Object names an object. One that a call was not given, or has not made, has no name.
func Object(o any) string {
	switch o := o.(type) {
	case *simkernel.Map:
		if o == nil {
			return "map"
		}
		return fmt.Sprintf("map %q", o.Name)
	case *simkernel.Prog:
		if o == nil {
			return "program"
		}
		return fmt.Sprintf("program %q", o.Name)
	case *simkernel.BTF:
		if o == nil || o.Module == "" {
			return "BTF"
		}
		return "BTF of module " + printable.Name(o.Module)
	case *simkernel.Link:
		if o == nil {
			return "link"
		}
		return "link of " + Object(o.Prog)
	}
	return "nothing"
}

// attrs collects "name=value" for what is set.
type attrs []string

func (a *attrs) add(name string, value any) { *a = append(*a, fmt.Sprintf("%s=%v", name, value)) }

func (a *attrs) num(name string, n uint64) {
	if n != 0 {
		a.add(name, n)
	}
}

// addFlags adds flags, if there are any.
func addFlags[T interface {
	~uint32
	fmt.Stringer
}](a *attrs, flags T) {
	if flags != 0 {
		a.add("flags", flags)
	}
}

func (a *attrs) String() string { return strings.Join(*a, " ") }

// Attributes are what a map was created with, but for its type and name.
func Attributes(m *simkernel.Map) string {
	var a attrs
	a.num("key", uint64(m.KeySize))
	a.num("value", uint64(m.ValueSize))
	a.num("max_entries", uint64(m.MaxEntries))
	addFlags(&a, uapi.MapFlags(m.Flags))
	a.num("extra", m.Extra)
	a.num("numa_node", uint64(m.NUMANode))
	a.num("ifindex", uint64(m.IfIndex))
	if m.Inner != nil {
		a.add("inner", fmt.Sprintf("%q", m.Inner.Name))
	}
	if m.BTF == nil {
		a = append(a, "untyped")
	}
	return a.String()
}

func mapAttrs(m *simkernel.Map) string {
	return fmt.Sprintf("%v %q %s", uapi.MapType(m.Type), m.Name, Attributes(m))
}

func update(ev *simkernel.Event) string {
	text := Object(ev.Map)
	u := ev.Update
	if u == nil {
		return text
	}
	switch {
	case u.Map != nil:
		text += fmt.Sprintf("%s: %s", key(ev.Map, u), Object(u.Map))
	case u.Prog != nil:
		text += fmt.Sprintf("%s: %s", key(ev.Map, u), Object(u.Prog))
	default:
		text += fmt.Sprintf("%s: %s bytes %s", key(ev.Map, u), simkernel.Thousands(len(u.Value)), data(u.Value))
	}
	if u.Flags != 0 {
		text += fmt.Sprintf(" flags=%v", uapi.UpdateFlags(u.Flags))
	}
	return text
}

// key shows a key, where there may be others.
func key(m *simkernel.Map, u *simkernel.Update) string {
	if m != nil && m.MaxEntries == 1 {
		return ""
	}
	return fmt.Sprintf(" key %x", u.Key)
}

// data shows bytes: all of them if they are few.
func data(b []byte) string {
	switch {
	case len(bytes.TrimLeft(b, "\x00")) == 0:
		return "0"
	case len(b) <= 32:
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("sha256:%.8x...", sha256.Sum256(b))
}

// progAttrs describes a program. What it refers to in the kernel and of its maps is what a reviewer asks first.
func progAttrs(p *simkernel.Prog) string {
	a := attrs{ProgKind(p), fmt.Sprintf("%q", p.Name)}
	switch target := Target(p); {
	case p.AttachProg != nil:
		a.add("attach", target)
	case target != "":
		a.add("attach", printable.Name(target))
	}
	if isStructOps(p) {
		a.add("member", p.ExpectedAttachType)
	}
	a.add("insns", len(p.Insns)/8)
	a.num("funcs", uint64(p.FuncInfo.Count))
	a.num("lines", uint64(p.LineInfo.Count))
	a.num("relocations", uint64(p.Relocation.Count))
	addFlags(&a, uapi.ProgFlags(p.Flags))
	a.num("ifindex", uint64(p.IfIndex))
	a.add("license", fmt.Sprintf("%q", p.License))
	a.add("code", Fingerprint(p))
	maps, symbols := Uses(p)
	if len(maps) > 0 {
		a.add("maps", names(maps))
	}
	if len(symbols) > 0 {
		a.add("kernel", names(symbols))
	}
	return a.String()
}

// names lists names.
func names(list []string) string {
	shown := make([]string, len(list))
	for i, name := range list {
		shown[i] = printable.Name(name)
	}
	return strings.Join(shown, ",")
}

// Uses returns the names of the maps and of the kernel's symbols that a program refers to, in order.
func Uses(p *simkernel.Prog) (maps, symbols []string) {
	for _, r := range p.Refs {
		switch {
		case r.Map != nil:
			maps = append(maps, r.Map.Name)
		case r.Symbol != nil:
			symbols = append(symbols, r.Symbol.Name)
		}
	}
	return unique(maps), unique(symbols)
}

// Fingerprint is the beginning of a digest of a program's instructions, without the numbers in them that differ from run
// to run: it changes when the program does.
func Fingerprint(p *simkernel.Prog) string {
	code := slices.Clone(p.Insns)
	for i := range p.Refs {
		clear(code[i*insn.Size+insn.OffAt : (i+1)*insn.Size]) // offset and immediate
		if code[i*insn.Size] == insn.LoadImm64 && !p.Refs[i].Value {
			clear(code[(i+1)*insn.Size+insn.ImmAt : (i+2)*insn.Size])
		}
	}
	return fmt.Sprintf("%.4x", sha256.Sum256(code))
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// isStructOps reports whether p is a member of a struct_ops table. Its expected_attach_type is then no attach type but which
// member of the kernel's struct it is, from 0.
func isStructOps(p *simkernel.Prog) bool { return uapi.ProgType(p.Type) == uapi.ProgTypeStructOps }

// ProgKind says what kind of program p is, as sections of object files spell it where they do.
func ProgKind(p *simkernel.Prog) string {
	return uapi.ProgKind(uapi.ProgType(p.Type), uapi.AttachType(p.ExpectedAttachType))
}

// Target is what a program attaches to in the kernel, by name; empty if that is decided later.
func Target(p *simkernel.Prog) string {
	switch {
	case p.AttachProg != nil:
		return Object(p.AttachProg)
	case p.Attach == nil:
		return ""
	}
	name := p.Attach.Name
	if !isStructOps(p) {
		name = strings.TrimPrefix(name, uapi.AttachType(p.ExpectedAttachType).TargetPrefix())
	}
	if p.Attach.Module != "" {
		name += "@" + p.Attach.Module
	}
	return name
}

// kindName is the name of the BTF kind that a loader asked for, which may be no kind.
func kindName(n uint32) string {
	if n != uint32(btf.Kind(n)) {
		return fmt.Sprintf("unknown(%d)", n)
	}
	return btf.Kind(n).KernelName()
}

func symbol(s *simkernel.Symbol) string {
	text := kindName(s.Kind) + " " + printable.Name(s.Name)
	if s.Module != "" {
		text += "@" + printable.Name(s.Module)
	}
	return text
}
