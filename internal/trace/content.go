package trace

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Content is all that a loader creates, decoded: a text for each map and program, by "map NAME" and "program NAME". Ids,
// descriptors, offsets in the blob and the order of calls are not in it, so the contents of two loaders of the same
// object are equal if they do the same.
type Content map[string]string

// ContentOf decodes what a loader created.
func ContentOf(res *simkernel.Result) Content {
	d := &decoder{order: res.Order(), names: map[any]string{}, specs: map[*simkernel.BTF]*types{}}
	inner := map[*simkernel.Map]bool{}
	for _, m := range res.Maps {
		if m.Inner != nil {
			inner[m.Inner] = true
		}
	}
	// Kernel names are cut: two objects may share one.
	taken := map[string]int{}
	name := func(o any, n string) {
		taken[n]++
		if taken[n] > 1 {
			n = fmt.Sprintf("%s#%d", n, taken[n])
		}
		d.names[o] = n
	}
	for _, m := range res.Maps {
		if !inner[m] {
			name(m, "map "+m.Name)
		}
	}
	for _, p := range res.Progs {
		name(p, "program "+p.Name)
	}
	c := Content{}
	for _, m := range res.Maps {
		if !inner[m] {
			c[d.names[m]] = d.mapText(m)
		}
	}
	for _, p := range res.Progs {
		c[d.names[p]] = d.progText(p)
	}
	return c
}

// Diff lists the lines that differ between two contents, those of a with "-" and those of b with "+", under the name of
// the map or program.
func Diff(a, b Content) []string {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	var diff []string
	for _, k := range sortedKeys(keys) {
		if a[k] != b[k] {
			diff = append(diff, k+":")
			diff = append(diff, lineDiff(strings.Split(a[k], "\n"), strings.Split(b[k], "\n"))...)
		}
	}
	return diff
}

// lineDiff compares lines as a multiset: the texts have numbers in them where order matters.
func lineDiff(a, b []string) []string {
	count := map[string]int{}
	for _, l := range b {
		count[l]++
	}
	var diff []string
	for _, l := range a {
		if count[l]--; count[l] < 0 {
			diff = append(diff, "- "+l)
		}
	}
	for _, l := range b {
		if count[l] > 0 {
			count[l]--
			diff = append(diff, "+ "+l)
		}
	}
	return diff
}

func sortedKeys[K int | string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

type decoder struct {
	order binary.ByteOrder
	names map[any]string
	specs map[*simkernel.BTF]*types
}

func (d *decoder) types(b *simkernel.BTF) *types {
	if t, ok := d.specs[b]; ok {
		return t
	}
	t := newTypes(b, d.order)
	d.specs[b] = t
	return t
}

func (d *decoder) mapText(m *simkernel.Map) string {
	var b strings.Builder
	a := attrs{uapi.MapType(m.Type).String(), fmt.Sprintf("%q", m.Name)}
	a.add("key", m.KeySize)
	a.add("value", m.ValueSize)
	a.add("max_entries", m.MaxEntries)
	a.add("flags", uapi.MapFlags(m.Flags))
	a.add("extra", m.Extra)
	a.add("numa_node", m.NUMANode)
	a.add("ifindex", m.IfIndex)
	a.add("frozen", m.Frozen)
	fmt.Fprintf(&b, "%v\n", &a)
	if m.BTF != nil {
		t := d.types(m.BTF)
		fmt.Fprintf(&b, "key type %s\nvalue type %s\n", t.text(m.KeyType, 3), t.text(m.ValueType, 3))
	}
	if m.KernelValue != nil {
		fmt.Fprintf(&b, "value type %s\n", symbol(m.KernelValue))
	}
	if m.Inner != nil {
		fmt.Fprintf(&b, "inner %s", strings.ReplaceAll(d.mapText(m.Inner), "\n", "\n  "))
	}
	for _, u := range m.Updates {
		if uapi.MapType(m.Type) == uapi.MapTypeArray && len(bytes.TrimLeft(u.Value, "\x00")) == 0 {
			continue // it is zero anyway
		}
		fmt.Fprintf(&b, "update key %x flags %v value ", u.Key, uapi.UpdateFlags(u.Flags))
		switch {
		case u.Map != nil:
			fmt.Fprintf(&b, "%s\n", d.names[u.Map])
		case u.Prog != nil:
			fmt.Fprintf(&b, "%s\n", d.names[u.Prog])
		default:
			fmt.Fprintf(&b, "%d bytes %s\n", len(u.Value), hex.EncodeToString(bytes.TrimRight(u.Value, "\x00")))
		}
		for _, off := range sortedKeys(u.Progs) {
			fmt.Fprintf(&b, "value at %d %s\n", off, d.names[u.Progs[off]])
		}
	}
	return b.String()
}

func (d *decoder) progText(p *simkernel.Prog) string {
	var b strings.Builder
	a := attrs{uapi.ProgType(p.Type).String(), fmt.Sprintf("%q", p.Name)}
	if isStructOps(p) {
		a.add("member", p.ExpectedAttachType)
	} else {
		a.add("attach_type", uapi.AttachType(p.ExpectedAttachType))
	}
	a.add("flags", uapi.ProgFlags(p.Flags))
	a.add("ifindex", p.IfIndex)
	a.add("license", fmt.Sprintf("%q", p.License))
	fmt.Fprintf(&b, "%v\n", &a)
	if p.Attach != nil {
		fmt.Fprintf(&b, "attach to %s\n", symbol(p.Attach))
	}
	if p.AttachProg != nil {
		fmt.Fprintf(&b, "attach to %s\n", Object(p.AttachProg))
	}
	insns, err := insn.Decode(p.Insns, d.order)
	if err != nil {
		fmt.Fprintf(&b, "%v\n", err)
	}
	for i := 0; i < len(insns); i++ {
		in := insns[i]
		ref, ok := p.Refs[i]
		switch {
		case !ok && in.IsLoadImm64() && i+1 < len(insns):
			fmt.Fprintf(&b, "%d: %v, %#x\n", i, in, uint32(insns[i+1].Imm))
		case !ok:
			fmt.Fprintf(&b, "%d: %v\n", i, in)
		case in.IsLoadImm64():
			fmt.Fprintf(&b, "%d: r%d = %s\n", i, in.Dst, d.ref(ref))
		default:
			fmt.Fprintf(&b, "%d: call %s\n", i, d.ref(ref))
		}
		if in.IsLoadImm64() {
			i++
		}
	}
	if p.BTF == nil {
		b.WriteString("no BTF\n")
		return b.String()
	}
	t := d.types(p.BTF)
	u32 := func(r []byte, i int) uint32 { return d.order.Uint32(r[4*i:]) }
	for _, r := range p.FuncInfo.All() {
		fmt.Fprintf(&b, "func at %d: %s\n", u32(r, 0), t.text(u32(r, 1), 1))
	}
	for _, r := range p.LineInfo.All() {
		lc := u32(r, 3)
		fmt.Fprintf(&b, "line at %d: %s:%d:%d %q\n", u32(r, 0), t.str(u32(r, 1)), lc>>10, lc&1023, t.str(u32(r, 2)))
	}
	for _, r := range p.Relocation.All() {
		fmt.Fprintf(&b, "relocation at %d: %v, %q of %s\n", u32(r, 0), uapi.COREReloKind(u32(r, 3)), t.str(u32(r, 2)), t.text(u32(r, 1), 2))
	}
	return b.String()
}

func (d *decoder) ref(r simkernel.Ref) string {
	switch {
	case r.Map != nil && r.Value:
		return fmt.Sprintf("%s value %+d", d.names[r.Map], r.Offset)
	case r.Map != nil:
		return d.names[r.Map]
	case r.Symbol != nil:
		return symbol(r.Symbol)
	}
	return "unresolved"
}

// types describes the types of one BTF in words.
type types struct {
	spec *btf.Spec
	err  error
	tags map[btf.ID][]string
}

func newTypes(b *simkernel.BTF, order binary.ByteOrder) *types {
	t := &types{tags: map[btf.ID][]string{}}
	if t.spec, t.err = btf.Parse(b.Raw, order); t.err != nil {
		return t
	}
	for i := range t.spec.Types {
		if tag := &t.spec.Types[i]; tag.Kind == btf.DeclTag {
			t.tags[tag.Ref] = append(t.tags[tag.Ref], fmt.Sprintf("@%d:%s", int32(tag.Extra), tag.Name))
		}
	}
	for _, tags := range t.tags {
		slices.Sort(tags)
	}
	return t
}

func (t *types) str(off uint32) string {
	if t.err != nil {
		return t.err.Error()
	}
	s, err := t.spec.String(off)
	if err != nil {
		return err.Error()
	}
	return s
}

// text describes a type; of structs and the like, depth levels are written out.
func (t *types) text(id btf.ID, depth int) string {
	if t.err != nil {
		return t.err.Error()
	}
	if id >= btf.ID(len(t.spec.Types)) {
		return fmt.Sprintf("type %d of %d", id, len(t.spec.Types))
	}
	ty := &t.spec.Types[id]
	text := ty.Kind.KernelName()
	if ty.Name != "" {
		text += " " + ty.Name
	}
	for _, tag := range t.tags[id] {
		text += " " + tag
	}
	switch ty.Kind {
	case btf.Void:
		return text
	case btf.Int:
		return fmt.Sprintf("%s size %d encoding %#x", text, ty.Size, ty.Extra)
	case btf.Ptr, btf.Typedef, btf.Volatile, btf.Const, btf.Restrict, btf.TypeTag:
		return text + " -> " + t.text(ty.Ref, depth-b2i(ty.Kind == btf.Ptr))
	case btf.Array:
		return fmt.Sprintf("array of %d %s", ty.Extra, t.text(ty.Ref, depth))
	case btf.Fwd:
		return fmt.Sprintf("%s union=%v", text, ty.Flag)
	case btf.Func, btf.Var:
		return fmt.Sprintf("%s linkage %d: %s", text, ty.Extra, t.text(ty.Ref, depth))
	case btf.FuncProto:
		text = "returns " + t.text(ty.Ref, depth-1)
	case btf.DeclTag:
		return text
	default:
		text += fmt.Sprintf(" size %d", ty.Size)
	}
	if depth <= 0 {
		return text
	}
	for _, m := range ty.Members {
		switch ty.Kind {
		case btf.Enum, btf.Enum64:
			text += fmt.Sprintf("; %s=%d", m.Name, m.Offset)
		case btf.DataSec:
			text += fmt.Sprintf("; at %d size %d %s", m.Offset, m.Size, t.text(m.Type, depth-1))
		default:
			text += fmt.Sprintf("; %s at %d %s", m.Name, m.Offset, t.text(m.Type, depth-1))
		}
	}
	return "{" + text + "}"
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
