// Package proof follows a gen-loader through all its paths on symbolic values, and derives what it makes: its derived contract.
//
// The loader's instructions have no loops, so every instruction is looked at once for each of a few states: all paths that lead
// there are merged. A value is a constant, an address, what an earlier call of this run returned, a part of struct bpf_map, or bytes of
// the context that the host filled in; memory is tracked byte by byte. At a call of bpf(2) every byte that the kernel reads has to be
// one that the signer chose or that this run got from the kernel. Anything else is a finding.
//
// What is proven, and what is assumed, is in docs/audit.md.
package proof

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/flow"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Finding is something in a loader that keeps it from being proven, or that is worth a note.
type Finding struct {
	ID ID
	// PC is the number of the instruction, -1 if the finding is about none.
	PC   int
	Text string
	Note bool
}

// Result is what a loader was found to do.
type Result struct {
	// Findings are ordered by instruction. The loader is proven if all of them are notes.
	Findings []Finding
	// Made is what the loader makes when it succeeds; nil if that cannot be said.
	Made *Made
	// Guarded is set if the loader runs at most once for each metadata map.
	Guarded bool
}

// Proven reports whether nothing but notes was found.
func (r *Result) Proven() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return !f.Note })
}

// Loader follows one loader: its instructions, and the blob that is its metadata map's value.
func Loader(scheme bundle.Scheme, order binary.ByteOrder, insns, blob []byte) *Result {
	p := &prover{
		scheme: scheme, order: order, blob: blob, seen: map[findingKey]bool{}, left: newMemory(int64(len(blob))),
		guard: -1,
	}
	p.run(insns)
	slices.SortFunc(p.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.PC, b.PC), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Text, b.Text))
	})
	res := &Result{Findings: p.found, Guarded: p.guard >= 0}
	if res.Proven() {
		res.Made = p.made
	}
	return res
}

// prover follows one loader.
type prover struct {
	scheme  bundle.Scheme
	checks  bool // the loader has to check the metadata map; otherwise the kernel does
	order   binary.ByteOrder
	insns   []insn.Insn
	blob    []byte
	expect  [uapi.BPFMapExcl + uapi.BPFMapExclSize]byte // what struct bpf_map has to begin with
	found   []Finding
	seen    map[findingKey]bool
	states  [][]*state // that wait, by instruction
	live    []uint16   // by instruction, the registers whose values are still needed: a bit each
	calls   []*call    // by index, in the order in which they are met
	callAt  map[int]*call
	modules map[int]moduleTest // by instruction
	acts    bool
	exits   int   // that succeed
	made    *Made // by the exit that succeeds
	// left is what the runs that were followed so far may have left in the blob: what the next one finds there. unguarded is set if
	// something is written that the run-once guard does not protect.
	left      memory
	more      bool // this pass left something new
	unguarded bool
	guard     int64 // where in the blob the run-once guard is, or -1
}

type findingKey struct {
	id ID
	pc int
}

func (p *prover) add(id ID, pc int, format string, args ...any) {
	p.report(Finding{ID: id, PC: pc, Text: fmt.Sprintf(format, args...), Note: notes[id]})
}

func (p *prover) report(f Finding) {
	if key := (findingKey{f.ID, f.PC}); !p.seen[key] {
		p.seen[key] = true
		p.found = append(p.found, f)
	}
}

func (p *prover) big() bool { return p.order == binary.ByteOrder(binary.BigEndian) }

func (p *prover) run(raw []byte) {
	how, err := p.scheme.Attestation()
	if err != nil {
		p.add(UnknownScheme, -1, "nothing is proven: %v", err)
		return
	}
	p.checks = how.LoaderChecks
	if p.insns, err = insn.Decode(raw, p.order); err != nil {
		p.add(Malformed, -1, "%v", err)
		return
	}
	for _, bad := range flow.Check(p.insns) {
		p.add(Malformed, bad.PC, "%s", bad.Text)
	}
	if len(p.found) > 0 {
		return
	}
	sha := sha256.Sum256(p.blob)
	copy(p.expect[:], sha[:])
	p.order.PutUint32(p.expect[uapi.BPFMapExcl:], 1)
	order, ok := p.sort()
	if !ok {
		return
	}
	p.live = p.liveness(order)
	p.pass(order)
	p.finish()
	p.again(order)
}

// maxRuns is how many further runs are followed at most.
const maxRuns = 16

// again follows further runs with the same metadata map, which find in the blob what the ones before have left: they have to make the same.
func (p *prover) again(order []int) {
	if !p.unguarded || p.guard >= 0 && len(p.found) > 0 {
		return
	}
	first, made, acts, exits := p.found, p.made, p.acts, p.exits
	defer func() { p.found, p.made, p.acts, p.exits = first, made, acts, exits }()
	known := map[findingKey]bool{}
	for _, f := range first {
		known[findingKey{f.ID, f.PC}] = true
	}
	for n := 0; p.more; n++ {
		if n == maxRuns {
			first = append(first, Finding{ID: SecondRun, PC: -1, Text: fmt.Sprintf("after %d runs the loader still leaves something new in the blob", n)})
			return
		}
		p.pass(order)
		for _, f := range p.found {
			if known[findingKey{f.ID, f.PC}] {
				continue
			}
			known[findingKey{f.ID, f.PC}] = true
			if !f.Note {
				f = Finding{ID: SecondRun, PC: f.PC, Text: "a second run finds what the first one left: " + f.Text}
			}
			first = append(first, f)
		}
		if made != nil && p.made != nil && !slices.Equal(made.lines, p.made.lines) {
			first = append(first, Finding{ID: SecondRun, PC: -1, Text: "a second run does not make what the first one does"})
			return
		}
	}
}

// leaves adds what a run that ends here leaves in the blob. What it got from the kernel means nothing to the next one.
func (p *prover) leaves(s *state) {
	if s.facts&hasGuard != 0 || !s.written {
		return
	}
	s.mem[rBlob].visit(0, int64(len(p.blob)), func(at int64, c cell) {
		old := p.left.load(at)
		if old.v != nil && old.v.kind == kStale {
			return
		}
		was := old.v
		if was == nil {
			was = byteValue[p.blob[at]]
		}
		merged := leftover(was, c.v.part(int(c.i), 1))
		if !equal(merged, was) {
			p.left.store(at, []cell{{v: merged}})
			p.more = true
		}
	})
}

// leftover is a byte that holds what it was, or what a run has made of it now. Where that depends on whether the kernel has a symbol, it
// does so in the next run, too: the kernel is taken to answer the same.
func leftover(was, now *value) *value {
	if now.kind == kChoice && now.cond != nil && now.cond.lookup {
		yes := leftover(under(was, map[int]bool{now.cond.pc: true}), under(now, map[int]bool{now.cond.pc: true}))
		no := leftover(under(was, map[int]bool{now.cond.pc: false}), under(now, map[int]bool{now.cond.pc: false}))
		if yes.has(kStale) || no.has(kStale) {
			return stale
		}
		return (&value{kind: kChoice, cond: now.cond, alts: []*alt{yes, no}}).simple()
	}
	isConst := func(a *value) bool { return a.kind == kConst }
	if !was.all(isConst) || !now.all(isConst) {
		return stale
	}
	c := &value{kind: kChoice}
	add := func(v *value) {
		if !slices.ContainsFunc(c.alts, func(a *value) bool { return equal(a, v) }) {
			c.alts = append(c.alts, v)
		}
	}
	was.each(add)
	now.each(add)
	if len(c.alts) > maxAlts {
		return stale
	}
	return c.simple()
}

// pass follows all instructions once.
func (p *prover) pass(order []int) {
	p.found, p.seen = nil, map[findingKey]bool{}
	p.modules = map[int]moduleTest{}
	p.calls, p.callAt, p.acts, p.exits, p.made = nil, map[int]*call{}, false, 0, nil
	p.guard, p.more, p.unguarded = -1, false, false
	p.states = make([][]*state, len(p.insns))
	p.arrive(0, p.start())
	for _, pc := range order {
		waiting := p.states[pc]
		p.states[pc] = nil
		for _, s := range p.merged(waiting) {
			s.owner = nil // what was merged into it is shared from now on
			p.step(pc, s)
		}
	}
}

// start is the state in which the kernel starts a loader.
func (p *prover) start() *state {
	s := &state{}
	for r := range s.regs {
		s.regs[r] = uninit
	}
	s.regs[insn.R1] = pointer(rCtx, 0)
	s.regs[insn.R10] = pointer(rStack, uapi.MaxStack)
	s.mem = [3]memory{rBlob: newMemory(int64(len(p.blob))), rStack: newMemory(uapi.MaxStack), rCtx: newMemory(bundle.MaxCtx)}
	s.mem[rBlob].root = p.left.root
	s.calls = newMemory(int64(len(p.insns)) * wordSize)
	return s
}

// arrive makes a state wait at an instruction, until all that lead there have arrived.
func (p *prover) arrive(pc int, s *state) {
	for r := range s.regs {
		if p.live[pc]>>r&1 == 0 {
			s.regs[r] = uninit
		}
	}
	p.states[pc] = append(p.states[pc], s)
}

// merged merges the states that wait at an instruction, but for those that have to be told apart.
func (p *prover) merged(waiting []*state) (states []*state) {
	if len(waiting) == 1 {
		return waiting
	}
	var keys []uint16
	groups := map[uint16][]*state{}
	for _, s := range waiting {
		k := s.key()
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], s)
	}
	for _, k := range keys {
		states = append(states, p.one(groups[k]))
	}
	return states
}

// maxSiblings is how many states are merged so that what differs between them keeps its condition. Where more meet, at the clean-up
// behind all calls, it does not matter why.
const maxSiblings = 8

// one merges states, those first whose ways parted last.
func (p *prover) one(list []*state) *state {
	if len(list) > maxSiblings {
		for _, s := range list[1:] {
			list[0].merge(s, p, false)
		}
		return list[0]
	}
	for len(list) > 1 {
		a, b, best := 0, 1, -1
		for i := range list {
			for j := range i {
				if _, _, up := meet(list[i].branch, list[j].branch); up.level() > best {
					a, b, best = j, i, up.level()
				}
			}
		}
		list[a].merge(list[b], p, true)
		list = slices.Delete(list, b, b+1)
	}
	return list[0]
}

// sort puts the instructions into an order in which each comes behind all that lead to it. There is none if there is a loop.
func (p *prover) sort() (order []int, ok bool) {
	const following, done = 1, 2
	type frame struct {
		pc   int
		next []int
	}
	mark := make([]uint8, len(p.insns))
	visit := func(pc int) frame {
		mark[pc] = following
		return frame{pc, flow.Successors(p.insns[pc], pc, nil)}
	}
	path := []frame{visit(0)}
	for len(path) > 0 {
		f := &path[len(path)-1]
		if len(f.next) == 0 {
			mark[f.pc] = done
			order = append(order, f.pc)
			path = path[:len(path)-1]
			continue
		}
		to := f.next[0]
		f.next = f.next[1:]
		switch mark[to] {
		case following:
			p.add(Loop, f.pc, "%v goes back to %d: a loader needs no loops, and what one does is not followed", p.insns[f.pc], to)
			return nil, false
		case 0:
			path = append(path, visit(to))
		}
	}
	slices.Reverse(order)
	return order, true
}

// liveness says before which instructions the values of which registers are still needed.
func (p *prover) liveness(order []int) []uint16 {
	live := make([]uint16, len(p.insns))
	var next [2]int
	for _, pc := range slices.Backward(order) {
		in := p.insns[pc]
		after := uint16(0)
		for _, to := range flow.Successors(in, pc, next[:0]) {
			after |= live[to]
		}
		use, def := uint16(0), uint16(0)
		for _, r := range flow.Reads(in) {
			use |= 1 << r
		}
		switch class := in.Class(); {
		case in.Op == insn.Call:
			def = 1<<insn.R0 | 1<<insn.R1 | 1<<insn.R2 | 1<<insn.R3 | 1<<insn.R4 | 1<<insn.R5
			use = def &^ (1 << insn.R0)
		case class == insn.ClassLD, class == insn.ClassLDX, class == insn.ClassALU, class == insn.ClassALU64:
			def = 1 << in.Dst
		case class == insn.ClassSTX && in.Mode() == insn.ModeAtomic:
			def = 1 << in.Src
		}
		live[pc] = after&^def | use
	}
	return live
}

// attested reports whether the metadata is known to be what was signed.
func (p *prover) attested(s *state) bool {
	return !p.checks || s.facts&hasAttested == hasAttested
}

// finish draws the conclusions from all paths.
func (p *prover) finish() {
	switch {
	case slices.ContainsFunc(p.found, func(f Finding) bool { return !f.Note }):
	case !p.acts:
		p.add(NeverActs, -1, "no path leads to a call that does anything")
	case p.exits == 0:
		p.add(NeverActs, -1, "no path leads to success")
	}
}
