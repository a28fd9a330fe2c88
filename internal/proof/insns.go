package proof

import (
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// maxVariants is in how many forms an instruction may be loaded, by what the kernel answered.
const maxVariants = 16

// programInsns looks at the instructions of a program that is loaded: what the loader has put into them, and what they refer to.
func (p *prover) programInsns(pc int, s *state, pr *Program, fdArray *value) bool {
	off, size := int64(pr.Insns.Offset), int64(pr.Insns.Size)
	patched := map[int64]bool{} // by instruction
	if !p.eachByte(pc, s, rBlob, off, size, "the instructions", func(i int64, _ cell) bool {
		patched[i/insn.Size] = true
		return true
	}) {
		return false
	}
	n := size / insn.Size
	for i := int64(0); i < n; i++ {
		at := off + i*insn.Size
		in := insn.Get(p.blob[at:], p.order)
		two := in.IsLoadImm64() && i+1 < n
		if !patched[i] && !(two && patched[i+1]) && !in.IsLoadImm64() && !in.IsCall() {
			continue
		}
		ref, ok := p.reference(pc, s, pr, i, two, fdArray)
		if !ok {
			return false
		}
		if ref.Map != nil || ref.Extern != "" {
			ref.Insn = int(i)
			pr.Refs = append(pr.Refs, ref)
		}
		if two {
			i++
		}
	}
	return true
}

// form is an instruction in one of the forms in which it may be loaded: each field a value that is no choice.
type form struct {
	regs, off, imm, next *value
	given                map[int]bool // the branches that decide it: whether they are taken, by instruction
}

// reference says what an instruction refers to, in all the forms in which it may be loaded.
func (p *prover) reference(pc int, s *state, pr *Program, i int64, two bool, fdArray *value) (ref Ref, ok bool) {
	at := int64(pr.Insns.Offset) + i*insn.Size
	get := func(at, size int64) *value {
		v, ok := p.view(s, rBlob, at, size)
		if !ok {
			return top
		}
		return v
	}
	bad := func(what string, v *value) (Ref, bool) {
		return Ref{}, p.bad(pc, fmt.Sprintf("%s of instruction %d of program %q", what, i, pr.Name), v)
	}
	op := get(at, 1)
	if op.kind != kConst {
		return bad("the operation", op)
	}
	fields := []*value{get(at+1, 1), get(at+2, 2), get(at+4, 4), zero}
	if two {
		fields[3] = get(at+insn.Size+4, 4)
		if rest := get(at+insn.Size, 4); !rest.is(0) {
			return bad("the second half", rest)
		}
	}
	forms, ok := variants(fields)
	if !ok {
		p.add(UnknownValue, pc, "instruction %d of program %q may be loaded in too many forms", i, pr.Name)
		return Ref{}, false
	}
	none := false
	for _, f := range forms {
		r, ok := p.refers(pc, s, pr, i, byte(op.n), f, fdArray)
		switch {
		case !ok:
			return Ref{}, false
		case r == (Ref{}):
			none = true
		case ref == (Ref{}):
			ref = r
		case ref != r:
			p.add(UnknownValue, pc, "instruction %d of program %q refers to %v, or to %v", i, pr.Name, &ref, &r)
			return Ref{}, false
		}
	}
	if none && ref.Map != nil {
		p.add(UnknownValue, pc, "instruction %d of program %q refers to %v only sometimes", i, pr.Name, &ref)
		return Ref{}, false
	}
	ref.Weak = ref.Weak || none && ref.Extern != ""
	return ref, true
}

// variants lists the forms that some values together may have: choices that depend on one branch go together.
func variants(fields []*value) (forms []form, ok bool) {
	todo := []struct {
		fields []*value
		given  map[int]bool
	}{{fields, nil}}
	for len(todo) > 0 {
		if len(todo)+len(forms) > maxVariants {
			return nil, false
		}
		t := todo[0]
		todo = todo[1:]
		k := slices.IndexFunc(t.fields, func(v *value) bool { return v.kind == kChoice })
		if k < 0 {
			forms = append(forms, form{t.fields[0], t.fields[1], t.fields[2], t.fields[3], t.given})
			continue
		}
		c := t.fields[k]
		for j, alt := range c.alts {
			next := t
			next.fields = slices.Clone(t.fields)
			next.fields[k] = alt
			if c.cond != nil {
				next.given = map[int]bool{c.cond.pc: j == 0}
				for pc, taken := range t.given {
					next.given[pc] = taken
				}
				for m, v := range next.fields {
					next.fields[m] = under(v, next.given)
				}
			}
			todo = append(todo, next)
		}
	}
	return forms, true
}

// under is a value where it is known which ways some branches went.
func under(v *value, given map[int]bool) *value {
	for v.kind == kChoice && v.cond != nil {
		taken, known := given[v.cond.pc]
		switch {
		case !known:
			return v
		case taken:
			v = v.alts[0]
		default:
			v = v.alts[1]
		}
	}
	return v
}

// refers says what an instruction in one form refers to.
func (p *prover) refers(pc int, s *state, pr *Program, i int64, op byte, f form, fdArray *value) (Ref, bool) {
	bad := func(what string, v *value) (Ref, bool) {
		return Ref{}, p.bad(pc, fmt.Sprintf("%s of instruction %d of program %q", what, i, pr.Name), v)
	}
	if f.regs.kind != kConst {
		return bad("the registers", f.regs)
	}
	if f.off.kind != kConst {
		return bad("the offset", f.off)
	}
	var raw [insn.Size]byte
	raw[0], raw[1] = op, byte(f.regs.n)
	in := insn.Get(raw[:], p.order)
	isID := func(v *value) bool { return v.kind == kPart && v.alts[0].kind == kFound && v.n == 0 && v.size == 4 }
	isConst := f.imm.kind == kConst && f.next.kind == kConst
	switch {
	case in.IsLoadImm64() && (in.Src == insn.PseudoMapFD || in.Src == insn.PseudoMapValue):
		if f.next.kind != kConst {
			return bad("the second half", f.next)
		}
		if !p.held(s, f.imm, aMap) {
			if f.imm.kind == kConst {
				p.add(HostDescriptor, pc, "instruction %d of program %q names descriptor %v: descriptors have to come from calls of this run", i, pr.Name, f.imm)
				return Ref{}, false
			}
			return bad("the descriptor", f.imm)
		}
		return Ref{Map: f.imm.call.m, Index: -1}, true
	case in.IsLoadImm64() && (in.Src == insn.PseudoMapIdx || in.Src == insn.PseudoMapIdxValue):
		if !isConst {
			return bad("the index", f.imm)
		}
		c, ok := p.indexed(pc, s, pr, i, int64(int32(f.imm.n)), f.given, fdArray, aMap)
		if !ok {
			return Ref{}, false
		}
		return Ref{Map: c.m, Index: int(int32(f.imm.n))}, true
	case in.IsLoadImm64() && in.Src == insn.PseudoBTFID:
		if !isID(f.imm) {
			p.add(UnknownValue, pc, "instruction %d of program %q names a kernel variable by %v, which differs from kernel to kernel", i, pr.Name, f.imm)
			return Ref{}, false
		}
		inKernel := f.next.is(0) && p.inKernel(f.imm.call, f.given)
		if !inKernel && !(p.held(s, f.next, aModule) && f.next.call == f.imm.call) {
			return bad("the module", f.next)
		}
		return Ref{Extern: f.imm.call.text}, true
	case in.IsLoadImm64() && in.Src == 0:
		if isConst {
			return Ref{}, true
		}
		lo, hi := f.imm, f.next
		if lo.kind == kPart && lo.alts[0].kind == kAddr && lo.n == 0 && lo.size == 4 &&
			hi.kind == kPart && hi.alts[0].kind == kAddr && hi.n == 4 && hi.size == 4 && hi.call == lo.call {
			// The kernel has written 0 if there is none, and the loader may have gone on.
			return Ref{Extern: lo.call.text, Weak: s.status(lo.call)&(notMade|pending) != 0}, true
		}
		return bad("the number", f.imm)
	case in.IsLoadImm64():
		if !isConst {
			return bad("the number", f.imm)
		}
		return Ref{}, true
	case in.IsCall() && in.Src == insn.PseudoKfunc:
		switch {
		case f.imm.is(0) && f.off.is(0):
			return Ref{}, true
		case !isID(f.imm):
			p.add(UnknownValue, pc, "instruction %d of program %q calls a kernel function by %v, which differs from kernel to kernel", i, pr.Name, f.imm)
			return Ref{}, false
		case f.off.is(0):
			if !p.inKernel(f.imm.call, f.given) {
				p.add(UnknownValue, pc, "instruction %d of program %q calls %v in the kernel itself, although it may be in a module", i, pr.Name, f.imm.call)
				return Ref{}, false
			}
			return Ref{Extern: f.imm.call.text}, true
		}
		c, ok := p.indexed(pc, s, pr, i, int64(int16(f.off.n)), f.given, fdArray, aModule)
		if ok && c != f.imm.call {
			p.add(UnknownValue, pc, "instruction %d of program %q calls %v in the module of %v", i, pr.Name, f.imm.call, c)
			ok = false
		}
		if !ok {
			return Ref{}, false
		}
		return Ref{Extern: f.imm.call.text}, true
	case !isConst:
		return bad("the immediate", f.imm)
	}
	return Ref{}, true
}

// indexed is the call whose descriptor is at an index of fd_array.
func (p *prover) indexed(pc int, s *state, pr *Program, i, index int64, given map[int]bool, fdArray *value, want object) (*call, bool) {
	const fdSize = 4
	what := fmt.Sprintf("fd_array[%d], which instruction %d of program %q names,", index, i, pr.Name)
	r, at, ok := p.source(pc, fdArray, 0, "fd_array")
	if !ok {
		return nil, false
	}
	if r, at, ok = p.place(pc, pointer(r, at), index*fdSize, fdSize, what); !ok {
		return nil, false
	}
	v, ok := p.view(s, r, at, fdSize)
	if !ok {
		v = top
	}
	v = under(v, given)
	if !p.held(s, v, want) {
		if v.has(kConst) {
			p.add(HostDescriptor, pc, "%s is %v: descriptors have to come from calls of this run", what, v)
			return nil, false
		}
		return nil, p.bad(pc, what, v)
	}
	return v.call, true
}
