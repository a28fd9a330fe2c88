package proof

import (
	"math"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/flow"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// step follows one instruction from a state, which it may change.
func (p *prover) step(pc int, s *state) {
	in := p.insns[pc]
	for _, r := range flow.Reads(in) {
		if s.regs[r].kind == kUninit {
			p.add(Malformed, pc, "%v reads r%d, which may have no value", in, r)
			return
		}
	}
	next := pc + 1
	ok := true
	switch in.Class() {
	case insn.ClassLD:
		s.regs[in.Dst], ok = p.loadImm64(pc, in)
		next++
	case insn.ClassLDX:
		s.regs[in.Dst], ok = p.loadMem(pc, s, in)
	case insn.ClassST, insn.ClassSTX:
		ok = p.storeMem(pc, s, in)
	case insn.ClassALU, insn.ClassALU64:
		s.regs[in.Dst] = p.alu(pc, s, in)
	default:
		p.jump(pc, s, in)
		return
	}
	if ok {
		p.arrive(next, s)
	}
}

func (p *prover) loadImm64(pc int, in insn.Insn) (*value, bool) {
	second := p.insns[pc+1].Imm
	switch in.Src {
	case insn.PseudoMapIdx, insn.PseudoMapIdxValue:
		if in.Imm != 0 {
			p.add(OtherMap, pc, "it uses the map at index %d of fd_array, which is the host's choice", in.Imm)
			return nil, false
		}
		if in.Src == insn.PseudoMapIdx {
			return pointer(rMap, 0), true
		}
		return pointer(rBlob, int64(uint32(second))), true
	}
	return constant(int64(uint64(uint32(in.Imm)) | uint64(uint32(second))<<32)), true
}

// regionSize is how many bytes of a region can be addressed.
func (p *prover) regionSize(r region) int64 {
	switch r {
	case rBlob:
		return int64(len(p.blob))
	case rStack:
		return uapi.MaxStack
	case rCtx:
		return bundle.MaxCtx
	}
	return int64(len(p.expect))
}

// place resolves an address and checks that size bytes are there.
func (p *prover) place(pc int, v *value, off, size int64, what string) (r region, at int64, ok bool) {
	if v.kind != kPtr {
		p.add(UnknownPointer, pc, "%s: it is not known where: the address is %v", what, v)
		return 0, 0, false
	}
	r, at = v.reg, v.n+off
	if at < 0 || at > p.regionSize(r) || size > p.regionSize(r)-at {
		if r == rMap {
			p.add(UnknownField, pc, "%s: %d bytes at offset %d of struct bpf_map", what, size, at)
		} else {
			p.add(UnknownPointer, pc, "%s: %d bytes at %d are outside of %v", what, size, at, r)
		}
		return 0, 0, false
	}
	return r, at, true
}

func (p *prover) loadMem(pc int, s *state, in insn.Insn) (*value, bool) {
	size := int64(in.MemSize())
	r, at, ok := p.place(pc, s.regs[in.Src], int64(in.Off), size, in.String())
	if !ok {
		return nil, false
	}
	v, ok := p.read(pc, s, r, at, size)
	if ok && in.Mode() == insn.ModeMemSX {
		if v.kind != kConst {
			return top, true
		}
		shift := 64 - 8*size
		v = constant(v.n << shift >> shift)
	}
	return v, ok
}

// The part of a context that says where the verifier's log goes: log_level, log_size and log_buf of struct bpf_loader_ctx
// (tools/lib/bpf/skel_internal.h), in bytes.
const (
	ctxLogLevel = 8
	ctxLogSize  = 12
	ctxLogBuf   = 16
)

// read is what a load gets.
func (p *prover) read(pc int, s *state, r region, at, size int64) (*value, bool) {
	switch r {
	case rMap:
		if !flow.IsField(at, size) || at == uapi.BPFMapExcl && !p.checks {
			p.add(UnknownField, pc, "%v reads %d bytes at offset %d of struct bpf_map", p.insns[pc], size, at)
			return nil, false
		}
		return &value{kind: kField, n: at, size: int(size)}, true
	case rCtx:
		if !p.readable(pc, s, at, size) {
			return nil, false
		}
	case rBlob:
		if p.overlapsGuard(at, size) {
			p.add(UnknownValue, pc, "it reads the run-once guard other than by an exchange")
			return nil, false
		}
	}
	if r == rBlob && !p.attested(s) {
		return stale, true
	}
	v, ok := p.view(s, r, at, size)
	v = s.known(v)
	switch {
	case v.kind == kUninit:
		p.add(Malformed, pc, "it reads bytes of the stack that may have no value")
		return nil, false
	case !ok:
		return top, true
	}
	return v, true
}

// readable reports whether a loader may look at bytes of its context: those that it has written itself, and where to log.
func (p *prover) readable(pc int, s *state, at, size int64) bool {
	written := 0
	s.mem[rCtx].visit(at, size, func(int64, cell) { written++ })
	switch {
	case int64(written) == size:
		return true
	case at < ctxLogLevel || at+size > bundle.CtxHeaderSize:
		p.add(HostContext, pc, "%v reads %d bytes of the context at %d, which the host fills in", p.insns[pc], size, at)
		return false
	case !p.attested(s):
		p.actsUnverified(pc, s)
		return false
	}
	return true
}

func (p *prover) overlapsGuard(at, size int64) bool {
	return p.guard >= 0 && at < p.guard+guardSize && p.guard < at+size
}

// view is the value of bytes in memory; ok is false if they are not one.
func (p *prover) view(s *state, r region, at, size int64) (*value, bool) {
	cells := make([]cell, size)
	s.mem[r].visit(at, size, func(off int64, c cell) { cells[off-at] = c })
	return p.assemble(r, at, cells)
}

// assemble makes one value of the cells at an offset of a region.
func (p *prover) assemble(r region, at int64, cells []cell) (*value, bool) {
	n := len(cells)
	unwritten, unknown := 0, 0
	var n64 uint64
	var low *value // what is in the cells that are no constants
	first, count, start := uint8(0), 0, 0
	for i := range n { // from the least significant byte
		pos := i
		if p.big() {
			pos = n - 1 - i
		}
		c := cells[pos]
		switch {
		case c.v == nil && r == rStack:
			return uninit, true
		case c.v == nil && r == rBlob:
			n64 |= uint64(p.blob[at+int64(pos)]) << (8 * i)
		case c.v == nil:
			unwritten++
		case c.v.kind == kUninit:
			return uninit, true
		case c.v.kind == kStale:
			unknown++
		case c.v.kind == kConst:
			n64 |= uint64(c.v.n) & 0xff << (8 * i)
		case low == nil:
			low, first, count, start = c.v, c.i, 1, i
		case low != c.v || c.i != first+uint8(count) || i != start+count:
			return top, false
		default:
			count++
		}
	}
	switch {
	case low == nil && r == rCtx && unwritten == n:
		return &value{kind: kInput, n: at, size: n, be: p.big()}, true
	case unwritten > 0:
		return top, false
	case unknown > 0 && (low == nil || low.kind == kStale) && unknown == n:
		return stale, true
	case unknown > 0:
		return top, false
	case low == nil:
		return constant(int64(n64)), true
	}
	v := low.part(int(first), count)
	if start == 0 && n64 == 0 && (count == n || int(first)+count >= low.width()) {
		return v, true
	}
	if !v.all(func(a *value) bool { return a.kind == kConst }) {
		return top, false
	}
	return v.each1(func(a *value) *value { return constant(int64(n64 | uint64(a.n)<<(8*start))) }), true
}

// spread writes a value into cells.
func (p *prover) spread(cells []cell, v *value) {
	w := v.width()
	for i := range cells {
		pos := i
		if p.big() {
			pos = len(cells) - 1 - i
		}
		switch {
		case v.kind == kConst:
			cells[pos] = cell{v: byteValue[byte(uint64(v.n)>>(8*i))]}
		case i >= w:
			cells[pos] = cell{v: byteValue[0]}
		default:
			cells[pos] = cell{v, uint8(i)}
		}
	}
}

var byteValue = func() (list [256]*value) {
	for i := range list {
		list[i] = constant(int64(i))
	}
	return list
}()

func (p *prover) storeMem(pc int, s *state, in insn.Insn) bool {
	size := int64(in.MemSize())
	r, at, ok := p.place(pc, s.regs[in.Dst], int64(in.Off), size, in.String())
	if !ok {
		return false
	}
	v := constant(int64(in.Imm))
	if in.Class() == insn.ClassSTX {
		v = s.regs[in.Src]
	}
	if in.Mode() == insn.ModeAtomic {
		return p.exchange(pc, s, in, r, at, v)
	}
	switch r {
	case rMap:
		p.add(UnknownPointer, pc, "%v writes to struct bpf_map", in)
		return false
	case rCtx:
		if at < bundle.CtxHeaderSize {
			p.add(HostContext, pc, "%v writes to the head of the context, which is the host's", in)
			return false
		}
	case rBlob:
		if p.overlapsGuard(at, size) {
			p.add(SecondRun, pc, "it writes to the run-once guard other than by an exchange")
			return false
		}
		if !p.attested(s) {
			p.actsUnverified(pc, s)
			return false
		}
		p.wrote(s)
	}
	cells := make([]cell, size)
	p.spread(cells, v.part(0, int(size)))
	s.mem[r].store(at, cells)
	return true
}

// wrote records that a loader writes to the blob.
func (p *prover) wrote(s *state) {
	s.written = true
	p.unguarded = p.unguarded || s.facts&hasGuard == 0
}

// guardSize is the size of a run-once guard, in bytes.
const guardSize = 4

// exchange follows an atomic exchange: of a guard, which is zero at first, with a number that is not.
func (p *prover) exchange(pc int, s *state, in insn.Insn, r region, at int64, v *value) bool {
	switch {
	case in.Imm != insn.AtomicXchg || in.MemSize() != guardSize || r != rBlob || v.kind != kConst || uint32(v.n) == 0 ||
		at%guardSize != 0 || p.order.Uint32(p.blob[at:]) != 0:
		p.add(Malformed, pc, "%v is not the exchange of a number with a zero in the blob that makes a loader run once", in)
		return false
	case !p.attested(s):
		p.actsUnverified(pc, s)
		return false
	case p.guard >= 0 && p.guard != at:
		p.add(SecondRun, pc, "a second run-once guard")
		return false
	}
	if s.written {
		p.add(SecondRun, pc, "the loader writes to the blob before it has passed the run-once guard")
		return false
	}
	p.guard = at
	s.regs[in.Src] = &value{kind: kGuard}
	return true
}

// alu is what an arithmetic instruction computes. Of what is not needed in a loader nothing is known.
func (p *prover) alu(pc int, s *state, in insn.Insn) *value {
	op, wide := in.ALUOp(), in.Class() == insn.ClassALU64
	dst, src := s.regs[in.Dst], constant(int64(in.Imm))
	if in.SourceIsReg() {
		src = s.regs[in.Src]
	}
	if op == insn.ALUNeg || op == insn.ALUEnd || in.Off != 0 {
		return top
	}
	if op == insn.ALUMov {
		if wide {
			return src
		}
		return src.part(0, 4)
	}
	switch {
	case dst.kind == kChoice && src.kind == kConst && dst.all(func(a *value) bool { return a.kind == kConst }):
		return dst.each1(func(a *value) *value { return fold(op, wide, a.n, src.n) })
	case dst.kind == kConst && src.kind == kConst:
		return fold(op, wide, dst.n, src.n)
	case !wide && (op != insn.ALUXor && op != insn.ALUOr || dst.width() > 4 || src.kind != kConst && src.width() > 4):
		return top
	case dst.kind == kPtr && src.kind == kConst && op == insn.ALUAdd:
		return pointer(dst.reg, dst.n+src.n)
	case dst.kind == kPtr && src.kind == kConst && op == insn.ALUSub:
		return pointer(dst.reg, dst.n-src.n)
	case dst.kind == kConst && src.kind == kPtr && op == insn.ALUAdd:
		return pointer(src.reg, src.n+dst.n)
	case op == insn.ALURsh && src.is(32) && dst.width() > 4:
		return dst.part(4, 4)
	case op == insn.ALUXor || op == insn.ALUSub && dst.kind == kField:
		return p.difference(pc, dst, src, wide)
	case op == insn.ALUOr && dst.kind == kDiff && src.kind == kDiff:
		return &value{kind: kDiff, diff: dst.diff | src.diff}
	case op == insn.ALUOr && dst.kind == kDiff && src.is(0), op == insn.ALUOr && src.kind == kDiff && dst.is(0):
		if dst.kind == kDiff {
			return dst
		}
		return src
	}
	return top
}

// difference of a field of struct bpf_map and what it should be is zero exactly if it is that.
func (p *prover) difference(pc int, a, b *value, wide bool) *value {
	if a.kind == kConst {
		a, b = b, a
	}
	if a.kind != kField || b.kind != kConst {
		return top
	}
	with := uint64(b.n)
	if !wide {
		with = uint64(uint32(with))
	}
	c, ok := p.compare(a, with, false)
	switch {
	case ok && c.with == c.want:
		return &value{kind: kDiff, diff: c.proves}
	case ok && c.off < uapi.BPFMapExcl:
		p.wrongDigest(pc, c)
	}
	return top
}

// fold computes with constants.
func fold(op insn.ALUOp, wide bool, a, b int64) *value {
	var v int64
	if !wide {
		a, b = int64(uint32(a)), int64(uint32(b))
	}
	switch op {
	case insn.ALUAdd:
		v = a + b
	case insn.ALUSub:
		v = a - b
	case insn.ALUOr:
		v = a | b
	case insn.ALUAnd:
		v = a & b
	case insn.ALUXor:
		v = a ^ b
	case insn.ALULsh:
		v = a << (b & 63)
	case insn.ALURsh:
		v = int64(uint64(a) >> (b & 63))
	default:
		return top
	}
	if !wide {
		v &= math.MaxUint32
	}
	return constant(v)
}
