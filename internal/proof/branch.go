package proof

import (
	"fmt"
	"math"

	"github.com/rules-bpf/rules_bpf/internal/flow"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

var jumpText = map[insn.JumpOp]string{
	insn.JumpEq: "==", insn.JumpGt: ">", insn.JumpGe: ">=", insn.JumpSet: "&", insn.JumpNe: "!=", insn.JumpSgt: "s>", insn.JumpSge: "s>=",
	insn.JumpLt: "<", insn.JumpLe: "<=", insn.JumpSlt: "s<", insn.JumpSle: "s<=",
}

func (p *prover) jump(pc int, s *state, in insn.Insn) {
	switch in.Op {
	case insn.Exit:
		p.exit(pc, s)
		return
	case insn.Call:
		if p.helper(pc, s, uapi.Helper(in.Imm)) {
			p.arrive(pc+1, s)
		}
		return
	case insn.Ja:
		p.arrive(pc+1+int(in.Off), s)
		return
	case insn.JaLong:
		p.arrive(pc+1+int(in.Imm), s)
		return
	}
	t := test{p: p, pc: pc, op: in.JumpOp(), wide: in.Class() == insn.ClassJMP, dst: s.regs[in.Dst], src: constant(int64(in.Imm))}
	reg := in.Dst
	if in.SourceIsReg() {
		t.src = s.regs[in.Src]
		if t.dst.kind == kConst && (t.op == insn.JumpEq || t.op == insn.JumpNe) { // the other way round
			t.dst, t.src, reg = t.src, t.dst, in.Src
		}
	}
	for _, e := range t.edges(s) {
		to := pc + 1
		if e.taken {
			to += int(in.Off)
		}
		if e.v != nil {
			e.s.regs[reg] = e.v
		}
		p.arrive(to, e.s)
	}
}

// test is a conditional jump.
type test struct {
	p        *prover
	pc       int
	op       insn.JumpOp
	wide     bool
	dst, src *value
}

// edge is a way that a test may go.
type edge struct {
	taken bool
	s     *state
	v     *value // what the register that was tested holds now; nil if nothing new is known
}

// edges returns the ways that a test may go from a state.
func (t *test) edges(s *state) []edge {
	p := t.p
	both := func() []edge {
		other := *s
		return []edge{{true, s, nil}, {false, &other, nil}}
	}
	if t.src.kind != kConst {
		if t.dst.kind == kPtr || t.src.kind == kPtr {
			p.add(UnknownValue, t.pc, "a branch depends on an address")
		} else {
			p.undecided(t.pc, t.dst, t.src)
		}
		return nil
	}
	switch t.dst.kind {
	case kConst:
		return []edge{{t.holds(t.dst.n), s, nil}}
	case kField, kDiff:
		return t.facts(s, both())
	case kGuard:
		if t.op == insn.JumpEq && t.src.is(0) || t.op == insn.JumpNe && t.src.is(0) {
			e := both()
			for i := range e {
				if e[i].taken == (t.op == insn.JumpEq) {
					e[i].s.facts |= hasGuard
					e[i].s.mem[rBlob].root = nil // no run has changed anything
					e[i].v = zero
				}
			}
			return e
		}
	case kStale:
		return both()
	case kPtr:
		if t.src.is(0) && (t.op == insn.JumpEq || t.op == insn.JumpNe) { // no address is 0
			return []edge{{t.op == insn.JumpNe, s, nil}}
		}
	}
	yes, no, ok := t.split(t.dst)
	switch {
	case !ok:
		p.undecided(t.pc, t.dst, t.src)
		return nil
	case no == nil:
		return []edge{{true, s, t.settle(s, yes)}}
	case yes == nil:
		return []edge{{false, s, t.settle(s, no)}}
	}
	if t.dst.isModule() {
		p.modules[t.pc] = moduleTest{t.dst.call, yes.is(0)}
	}
	e := both()
	text := &condition{fmt.Sprintf("%v %s %d", t.dst, jumpText[t.op], t.src.n)}
	for i := range e {
		v := no
		if e[i].taken {
			v = yes
		}
		e[i].v = t.settle(e[i].s, v)
		up := e[i].s.branch
		e[i].s.branch = &branch{up: up, depth: up.level() + 1, pc: t.pc, taken: e[i].taken, text: text, lookup: isLookup(t.dst)}
	}
	return e
}

// moduleTest is a branch that depends on whether what was looked up is in a module.
type moduleTest struct {
	call *call
	// inKernel is set if the branch is taken where it is in the kernel itself.
	inKernel bool
}

// inKernel reports whether the ways that some branches went mean that what a call has found is in the kernel itself, not in a module.
func (p *prover) inKernel(c *call, given map[int]bool) bool {
	for pc, taken := range given {
		if m, ok := p.modules[pc]; ok && m.call == c && taken == m.inKernel {
			return true
		}
	}
	return false
}

// isModuleOf reports whether a value is the descriptor of the module in which a call has found something, 0 for the kernel itself.
func (p *prover) isModuleOf(v *value, c *call) bool {
	if v.isModule() {
		return v.call == c
	}
	inKernel, inModule, ok := p.byModule(v, c)
	return ok && inKernel.is(0) && inModule.kind == kFD && inModule.call == c
}

// byModule is what a value is where a call has found something in the kernel itself, and where in a module.
func (p *prover) byModule(v *value, c *call) (inKernel, inModule *value, ok bool) {
	if v.kind != kChoice || v.cond == nil {
		return nil, nil, false
	}
	m, ok := p.modules[v.cond.pc]
	if !ok || m.call != c {
		return nil, nil, false
	}
	if m.inKernel {
		return v.alts[0], v.alts[1], true
	}
	return v.alts[1], v.alts[0], true
}

// isLookup reports whether a value is what the kernel answered to a lookup.
func isLookup(v *value) bool {
	return (v.kind == kRet || v.isModule()) && v.call.fn != uapi.HelperSysBPF
}

// undecided says why nothing is known of a branch.
func (p *prover) undecided(pc int, values ...*value) {
	for _, v := range values {
		if v.has(kInput) {
			p.add(HostContext, pc, "what the loader does depends on %v, which the host fills in", v)
			return
		}
		if v.has(kStale) {
			p.add(SecondRun, pc, "what the loader does depends on %v", v)
			return
		}
	}
	p.add(UnknownValue, pc, "it is not known what the branch depends on: %v", values)
}

// holds reports whether the jump is taken for a number.
func (t *test) holds(n int64) bool {
	a, b := n, t.src.n
	ua, ub := uint64(a), uint64(b)
	if !t.wide {
		a, b = int64(int32(a)), int64(int32(b))
		ua, ub = uint64(uint32(a)), uint64(uint32(b))
	}
	switch t.op {
	case insn.JumpEq:
		return a == b
	case insn.JumpNe:
		return a != b
	case insn.JumpGt:
		return ua > ub
	case insn.JumpGe:
		return ua >= ub
	case insn.JumpLt:
		return ua < ub
	case insn.JumpLe:
		return ua <= ub
	case insn.JumpSet:
		return ua&ub != 0
	case insn.JumpSgt:
		return a > b
	case insn.JumpSge:
		return a >= b
	case insn.JumpSlt:
		return a < b
	}
	return a <= b
}

// split divides what a value may be into what the jump is taken for and the rest; nil for nothing.
func (t *test) split(v *value) (yes, no *value, ok bool) {
	between := func(lo, hi int64) (*value, *value, bool) {
		if t.op == insn.JumpSet || (t.op == insn.JumpEq || t.op == insn.JumpNe) && t.inside(lo, hi) {
			return v, v, false
		}
		switch l, h := t.holds(lo), t.holds(hi); {
		case l != h:
			return v, v, false
		case l:
			return v, nil, true
		}
		return nil, v, true
	}
	parts := func(list ...*value) (*value, *value, bool) {
		var ys, ns []*value
		for _, a := range list {
			y, n, ok := t.split(a)
			if !ok {
				return v, v, false
			}
			if y != nil {
				ys = append(ys, y)
			}
			if n != nil {
				ns = append(ns, n)
			}
		}
		if len(ns) == 0 {
			return v, nil, true
		}
		if len(ys) == 0 {
			return nil, v, true
		}
		return choose(v, ys), choose(v, ns), true
	}
	switch v.kind {
	case kConst:
		if t.holds(v.n) {
			return v, nil, true
		}
		return nil, v, true
	case kNeg:
		return between(-maxErrno, -1)
	case kFD:
		return between(1, math.MaxInt32)
	case kStale: // any number, as long as nothing but a descriptor to close comes of it
		return v, v, true
	case kFound:
		if !t.wide {
			return between(1, math.MaxInt32)
		}
		return between(1, math.MaxInt64)
	case kRet:
		if n := int64(int32(t.src.n)); (t.op == insn.JumpEq || t.op == insn.JumpNe) && n >= -maxErrno && n < 0 { // a certain error, or something else
			failed := &value{kind: kNeg, call: v.call}
			if t.op == insn.JumpEq {
				return failed, v, true
			}
			return v, failed, true
		}
		return parts(&value{kind: kNeg, call: v.call}, v.call.good())
	case kPart:
		switch {
		case v.isModule():
			return parts(zero, &value{kind: kFD, call: v.call})
		case v.alts[0].kind == kFound && v.n == 0 && v.size == 4:
			return between(1, math.MaxInt32)
		}
	case kChoice:
		return parts(v.alts...)
	}
	return v, v, false
}

// inside reports whether the number that the jump compares with is in a range.
func (t *test) inside(lo, hi int64) bool {
	n := t.src.n
	if !t.wide {
		n = int64(int32(n))
	}
	return n >= lo && n <= hi
}

// choose is the choice among some of the values of v.
func choose(v *value, alts []*value) *value {
	if len(alts) == 1 {
		return alts[0]
	}
	return &value{kind: kChoice, alts: alts, own: v.own}
}

// settle records what a test has shown of the call that a value comes from, and returns the value.
func (t *test) settle(s *state, v *value) *value {
	was := t.dst
	switch {
	case was.kind == kRet:
		st := notMade
		switch v.kind {
		case kNeg:
		case kRet:
			return v
		case kFound:
			st = pending // whether there is a descriptor depends on where it was found
		default:
			st = open
		}
		s.setStatus(was.call, st)
	case was.isModule():
		t.holdsNow(s, was.call, v)
	case was.kind == kChoice && was.own != nil:
		t.holdsNow(s, was.own, v)
	}
	return v
}

// holdsNow records what is known of a call's descriptor when that is open exactly if v is it.
func (t *test) holdsNow(s *state, c *call, v *value) {
	st := s.status(c)
	switch {
	case v.kind == kFD && v.call == c:
		st = st&closed | open
	case v.all(func(a *value) bool { return a.call != c }):
		if st &^= open | pending; st == 0 {
			st = notMade
		}
	}
	s.setStatus(c, st)
}

// comparison is of a part of struct bpf_map with a number.
type comparison struct {
	with, want uint64
	off, size  int64
	proves     facts // if they are equal
}

// compare says what comparing a field with a number proves.
func (p *prover) compare(field *value, with uint64, low32 bool) (c comparison, ok bool) {
	c = comparison{with: with, off: field.n, size: int64(field.size)}
	if low32 {
		c.with = uint64(uint32(with))
		if c.size == 8 {
			c.size = 4
			if p.big() {
				c.off += 4
			}
		}
	}
	if !flow.IsField(c.off, c.size) {
		return c, false
	}
	b := p.expect[c.off : c.off+c.size]
	for i := range b {
		if p.big() {
			c.want = c.want<<8 | uint64(b[i])
		} else {
			c.want |= uint64(b[i]) << (8 * i)
		}
	}
	c.proves = hasExcl
	if c.off < uapi.BPFMapExcl {
		c.proves = (1<<c.size - 1) << c.off
	}
	return c, true
}

// wrongDigest reports a comparison of the digest with a number that is not the blob's.
func (p *prover) wrongDigest(pc int, c comparison) {
	p.add(WrongDigest, pc, "%v compares bytes %d to %d of the digest with other ones than the blob's", p.insns[pc], c.off, c.off+c.size-1)
}

// facts adds to the two ways of a test what it proves of struct bpf_map.
func (t *test) facts(s *state, e []edge) []edge {
	p := t.p
	learn := func(whenEqual bool, f facts) {
		for i := range e {
			if e[i].taken == (whenEqual == (t.op == insn.JumpEq)) {
				e[i].s.facts |= f
			}
		}
	}
	switch {
	case t.op != insn.JumpEq && t.op != insn.JumpNe:
	case t.dst.kind == kDiff:
		if t.src.is(0) && t.wide {
			learn(true, t.dst.diff)
		}
	default:
		c, ok := p.compare(t.dst, uint64(t.src.n), !t.wide)
		switch {
		case ok && c.with == c.want:
			learn(true, c.proves)
		case ok && c.proves == hasExcl && c.with == 0: // what is not 0 is exclusive
			learn(false, hasExcl)
		case ok && c.off < uapi.BPFMapExcl:
			p.wrongDigest(t.pc, c)
		}
	}
	return e
}
