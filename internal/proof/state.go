package proof

import "github.com/rules-bpf/rules_bpf/internal/insn"

// facts is what a path has proven: a bit for each byte of the digest in struct bpf_map, then some more.
type facts uint64

const (
	hasDigest facts = 1<<32 - 1
	hasExcl   facts = 1 << 32
	// hasGuard: no other run is under way or was before.
	hasGuard facts = 1 << 33

	hasAttested = hasDigest | hasExcl
)

// status is what may have become of a call, on the paths that lead to a state.
type status uint8

const (
	notMade status = 1 << iota // it was not made, or failed
	open                       // it succeeded, and if it returned a descriptor that is open
	closed                     // its descriptor was closed
	pending                    // whether it succeeded was not looked at
)

// branch is a conditional jump that depends on what the kernel answered. Branches form a tree: the way that led here.
type branch struct {
	up    *branch
	depth int
	pc    int
	taken bool
	text  *condition
	// lookup is set if it depends on whether the kernel has a symbol, and where.
	lookup bool
}

// level is how many branches led to a place.
func (b *branch) level() int {
	if b == nil {
		return 0
	}
	return b.depth
}

// known is a value as it is where the ways that the state has come leave no choice.
func (s *state) known(v *value) *value {
	for v.kind == kChoice && v.cond != nil {
		b := s.branch
		for b != nil && b.pc != v.cond.pc {
			b = b.up
		}
		switch {
		case b == nil:
			return v
		case b.taken:
			v = v.alts[0]
		default:
			v = v.alts[1]
		}
	}
	return v
}

// condition says in words when a branch is taken.
type condition struct{ text string }

func (c *condition) String() string { return c.text }

// state is all that is known before an instruction, for all paths that lead there.
type state struct {
	regs    [11]*value
	mem     [3]memory // by region, less struct bpf_map
	calls   memory    // by call, a word each: its status
	facts   facts
	written bool // something was written to the blob
	branch  *branch
	owner   *int // set while other states may be merged into this one
}

// status of a call.
func (s *state) status(c *call) status {
	v := s.calls.load(int64(c.index) * wordSize).v
	if v == nil {
		return notMade
	}
	return status(v.n)
}

func (s *state) setStatus(c *call, st status) {
	s.calls.store(int64(c.index)*wordSize, []cell{{v: statusValue[st]}})
}

var statusValue = func() (list [16]*value) {
	for i := range list {
		list[i] = &value{kind: kConst, n: int64(i)}
	}
	return list
}()

// key tells states at one instruction apart that are not merged: before and after the checks and the guard, and with an error kept in a register or
// without, since a loader may share its end between success and failure.
func (s *state) key() (k uint16) {
	if s.facts&hasAttested == hasAttested {
		k = 1
	}
	if s.facts&hasGuard != 0 {
		k |= 2
	}
	for _, r := range []int{insn.R0, insn.R6, insn.R7, insn.R8, insn.R9} {
		if v := s.regs[r]; v.kind == kNeg || v.kind == kConst && v.n < 0 {
			k |= 4 << r
		}
	}
	return k
}

// merge merges another state into s. What differs depends on the branch at which their ways parted, if conditions are kept.
func (s *state) merge(o *state, p *prover, conditions bool) {
	if s.owner == nil {
		s.owner = new(int)
	}
	g := join{a: s, b: o, p: p}
	g.cond, g.swap, s.branch = meet(s.branch, o.branch)
	if !conditions {
		g.cond = nil
	}
	for r := range s.regs {
		if !equal(s.regs[r], o.regs[r]) {
			s.regs[r] = g.values(s.regs[r], o.regs[r])
		}
	}
	for i := range s.mem {
		r := region(i)
		s.mem[i].merge(o.mem[i], s.owner, func(off int64, a, b *word) *word { return g.words(r, off, a, b) })
	}
	s.calls.merge(o.calls, s.owner, mergeStatus)
	s.facts &= o.facts
	s.written = s.written || o.written
}

func mergeStatus(_ int64, a, b *word) *word {
	of := func(w *word) status {
		if v := w[0].v; v != nil {
			return status(v.n)
		}
		return notMade
	}
	st := of(a) | of(b)
	if st == of(a) {
		return a
	}
	return &word{{v: statusValue[st]}}
}

// meet finds where two ways part: the last branch that both have in common, and, if they left it in the two directions and nowhere else,
// that branch (swap: a is where it was not taken).
func meet(a, b *branch) (cond *branch, swap bool, up *branch) {
	var lastA, lastB *branch
	for a.level() > b.level() {
		lastA, a = a, a.up
	}
	for b.level() > a.level() {
		lastB, b = b, b.up
	}
	for a != b {
		lastA, lastB, a, b = a, b, a.up, b.up
	}
	if lastA != nil && lastB != nil && lastA.pc == lastB.pc && lastA.taken != lastB.taken {
		if lastA.taken {
			return lastA, false, a
		}
		return lastB, true, a
	}
	return nil, false, a
}

// join merges the values of two states.
type join struct {
	a, b *state
	p    *prover
	cond *branch
	swap bool
}

// maxAlts is how many values a choice may have before nothing is known of it, and maxLeaves how many one may have that depends on
// conditions, with all choices in it: each condition can double them. A loader's values depend on one or two lookups.
const (
	maxAlts   = 4
	maxLeaves = 64
)

// values merges two values.
func (g *join) values(a, b *value) *value {
	switch {
	case equal(a, b):
		return a
	case a.kind == kUninit || b.kind == kUninit:
		return uninit
	case a.kind == kTop || b.kind == kTop:
		return top
	case isError(a) && isError(b):
		return anyNeg
	}
	own := g.owner(a, b)
	small := a.leaves(maxLeaves)+b.leaves(maxLeaves) <= maxLeaves
	if g.cond != nil && small {
		c := &value{kind: kChoice, alts: []*alt{a, b}, cond: g.cond, own: own}
		if g.swap {
			c.alts[0], c.alts[1] = b, a
		}
		return c
	}
	if cond := lookupOf(a, b); cond != nil && small { // what depends on a lookup goes on to do so
		c := &value{kind: kChoice, own: own, cond: cond, alts: []*alt{
			g.values(along(a, cond.pc, true), along(b, cond.pc, true)), g.values(along(a, cond.pc, false), along(b, cond.pc, false)),
		}}
		if equal(c, a) {
			return a
		}
		return c.simple()
	}
	c := &value{kind: kChoice, own: own}
	add := func(v *value) {
		for i, x := range c.alts {
			if equal(x, v) || isError(x) && isError(v) {
				if !equal(x, v) {
					c.alts[i] = anyNeg
				}
				return
			}
		}
		c.alts = append(c.alts, v)
	}
	a.each(add)
	b.each(add)
	if len(c.alts) > maxAlts {
		return top
	}
	if a.kind == kChoice && a.cond == nil && a.own == own && len(a.alts) == len(c.alts) {
		return a // b is one of them
	}
	return c
}

// lookupOf is the lookup that one of two values depends on first.
func lookupOf(a, b *value) *branch {
	for _, v := range []*value{a, b} {
		if v.kind == kChoice && v.cond != nil && v.cond.lookup {
			return v.cond
		}
	}
	return nil
}

// along is a value where a branch went one way.
func along(v *value, pc int, taken bool) *value {
	for v.kind == kChoice && v.cond != nil && v.cond.pc == pc {
		if taken {
			v = v.alts[0]
		} else {
			v = v.alts[1]
		}
	}
	return v
}

// isError tells a negative error number.
func isError(v *value) bool {
	return v.kind == kNeg || v.kind == kConst && v.n < 0 && v.n >= -maxErrno
}

// maxErrno is MAX_ERRNO (include/linux/err.h).
const maxErrno = 4095

// owner returns the call whose descriptor is open in either state exactly if the value there is that descriptor.
func (g *join) owner(a, b *value) *call {
	var c *call
	find := func(v *value) {
		if v.kind == kFD || v.isModule() {
			c = v.call
		}
	}
	a.each(find)
	if c == nil {
		b.each(find)
	}
	if c == nil || !witness(g.a, a, c) || !witness(g.b, b, c) {
		return nil
	}
	return c
}

// witness reports whether in a state the descriptor of a call is open exactly if v is that descriptor.
func witness(s *state, v *value, c *call) bool {
	const held = open | pending
	switch {
	case v.kind == kChoice && v.own == c:
		return true
	case v.kind == kFD && v.call == c:
		return s.status(c) == open
	case v.isModule() && v.call == c:
		return s.status(c)&closed == 0 // it was found; the descriptor is open unless it is 0
	}
	return s.status(c)&held == 0 && v.all(func(a *value) bool { return a.call != c })
}

// words merges two words of memory: whole or by halves if what is in them was written so, else by bytes.
func (g *join) words(r region, off int64, a, b *word) *word {
	if *a == *b {
		return a
	}
	out := *a
	if va, ok := g.p.assemble(r, off, a[:]); ok && va.width() > 4 {
		if vb, ok := g.p.assemble(r, off, b[:]); ok {
			g.cells(out[:], b[:], va, vb)
			return &out
		}
	}
	for at := 0; at < wordSize; at += 4 {
		ca, cb, to := a[at:at+4], b[at:at+4], out[at:at+4]
		va, oka := g.p.assemble(r, off+int64(at), ca)
		vb, okb := g.p.assemble(r, off+int64(at), cb)
		if oka && okb {
			g.cells(to, cb, va, vb)
			continue
		}
		g.small(r, off+int64(at), ca, cb, to)
	}
	return &out
}

// small merges what is no half of a word: by two bytes, or by one.
func (g *join) small(r region, off int64, a, b, to []cell) {
	n := len(a) / 2
	for at := 0; at < len(a); at += n {
		ca, cb, to := a[at:at+n], b[at:at+n], to[at:at+n]
		va, oka := g.p.assemble(r, off+int64(at), ca)
		vb, okb := g.p.assemble(r, off+int64(at), cb)
		if n == 1 || oka && okb {
			g.cells(to, cb, va, vb)
		} else {
			g.small(r, off+int64(at), ca, cb, to)
		}
	}
}

// cells merges va, which is in the cells to, and vb, which is in from. What this run has not written in one of them counts as not
// written if both are the same.
func (g *join) cells(to, from []cell, va, vb *value) {
	if !equal(va, vb) {
		g.p.spread(to, g.values(va, vb))
		return
	}
	for i := range to {
		if from[i].v == nil {
			to[i] = cell{}
		}
	}
}
