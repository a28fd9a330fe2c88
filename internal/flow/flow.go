// Package flow follows every path through a gen-loader on abstract values: where pointers point, which numbers are
// constants, which were loaded from the metadata map's struct bpf_map, and what of that was compared with what it should
// be.
package flow

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Kind is what is known of a value.
type Kind uint8

// The kinds of values.
const (
	Uninit   Kind = iota // a register that was not written
	Anything             // a number, nothing more is known
	Negative             // a number below zero
	Constant             // the number N
	Returned             // what the call at instruction N returned
	Upper                // the upper half of it
	Field                // Size bytes at offset N of the metadata map's struct bpf_map
	MapPtr               // the address of the metadata map's struct bpf_map, plus N
	BlobPtr              // the address of the blob, plus N
	InBlob               // an address in the blob
	CtxPtr               // the address of the context, plus N
	StackPtr             // the frame pointer, plus N
)

// Value is an abstract value: a set of concrete ones.
type Value struct {
	Kind Kind
	N    int64
	Size uint8
}

// IsNegative says whether it is a number below zero.
func (v Value) IsNegative() bool { return v.Kind == Negative || v.Kind == Constant && v.N < 0 }

// InBlob says whether it is an address in the blob.
func (v Value) InBlob() bool { return v.Kind == BlobPtr || v.Kind == InBlob }

// join is the smallest value that contains both.
func join(a, b Value) Value {
	switch {
	case a == b:
		return a
	case a.Kind == Uninit || b.Kind == Uninit:
		return Value{Kind: Uninit}
	case a.IsNegative() && b.IsNegative():
		return Value{Kind: Negative}
	case a.InBlob() && b.InBlob():
		return Value{Kind: InBlob}
	}
	return Value{Kind: Anything}
}

// slot is a place on the stack: size bytes at an offset from the frame pointer.
type slot struct {
	off  int64
	size uint8
}

// Facts is a set of things that were compared on the way: bit i for byte i of the map's digest, and HasExcl.
type Facts uint64

// Sets of facts.
const (
	HasDigest Facts = 1<<sha256.Size - 1
	HasExcl   Facts = 1 << sha256.Size
	HasAll          = HasDigest | HasExcl
)

// State is what is known before an instruction.
type State struct {
	reg   [11]Value
	stack map[slot]Value // never written to: changes are made to a copy
}

// Reg returns a register's value.
func (s *State) Reg(r uint8) Value {
	if int(r) >= len(s.reg) {
		return Value{}
	}
	return s.reg[r]
}

func (s *State) set(r uint8, v Value) {
	if r < insn.R10 {
		s.reg[r] = v
	}
}

// join makes s know no more than o does.
func (s *State) join(o *State) (changed bool) {
	for r := range s.reg {
		if j := join(s.reg[r], o.reg[r]); j != s.reg[r] {
			s.reg[r], changed = j, true
		}
	}
	stack := make(map[slot]Value, len(s.stack))
	for at, v := range s.stack {
		w, ok := o.stack[at]
		j := join(v, w)
		changed = changed || !ok || j != v
		if ok {
			stack[at] = j
		}
	}
	s.stack = stack
	return changed
}

// without returns a copy of the stack that knows nothing of size bytes at off.
func (s *State) without(off, size int64) map[slot]Value {
	stack := make(map[slot]Value, len(s.stack)+1)
	for at, v := range s.stack {
		if at.off >= off+size || off >= at.off+int64(at.size) {
			stack[at] = v
		}
	}
	return stack
}

// store writes to the stack.
func (s *State) store(off int64, size uint8, v Value) {
	s.stack = s.without(off, int64(size))
	s.stack[slot{off, size}] = v
}

// zero fills a part of the stack with zeros, as words of 4 bytes.
func (s *State) zero(off, size int64) {
	if size < 0 || size > uapi.MaxStack {
		s.stack = nil
		return
	}
	s.stack = s.without(off, size)
	for o := off; o+4 <= off+size; o += 4 {
		s.stack[slot{o, 4}] = Value{Kind: Constant}
	}
}

// Point is a place in the program, reached with some facts. What is known is kept apart for each set of facts.
type Point struct {
	PC    int
	Facts Facts
}

// Edge is a way to go on, and what is known then.
type Edge struct {
	To    Point
	State State
}

// Flow is a program and what is known of it.
type Flow struct {
	Order binary.ByteOrder
	Insns []insn.Insn
	// States are what is known at every point that can be reached.
	States map[Point]*State
	// Incomplete says that there are more points than New follows, so that States is not all of them.
	Incomplete bool

	expect [uapi.BPFMapExcl + uapi.BPFMapExclSize]byte // what struct bpf_map should begin with
}

// maxPoints bounds how many points New follows, beyond two for each instruction. Loaders that compare byte by byte have 34 ways to
// reach an instruction, one after the other; conditions that skip each other's comparisons double them with each.
const maxPoints = 1 << 14

// New follows a program's paths. The instructions must be ones of which Check says nothing. Its blob says what the checks should
// compare with.
func New(order binary.ByteOrder, insns []insn.Insn, blob []byte) *Flow {
	f := &Flow{Order: order, Insns: insns}
	// The kernel hashes its array, whose elements are a multiple of 8 bytes long.
	sum := sha256.Sum256(append(slices.Clone(blob), make([]byte, -len(blob)&7)...))
	copy(f.expect[uapi.BPFMapSHA:], sum[:])
	order.PutUint32(f.expect[uapi.BPFMapExcl:], 1)

	start := Point{}
	first := &State{}
	first.reg[insn.R1] = Value{Kind: CtxPtr}
	first.reg[insn.R10] = Value{Kind: StackPtr}
	f.States = map[Point]*State{start: first}
	work := []Point{start}
	for len(work) > 0 {
		if len(f.States) > maxPoints+2*len(insns) {
			f.Incomplete = true
			break
		}
		p := work[len(work)-1]
		work = work[:len(work)-1]
		for _, e := range f.Step(p) {
			known, ok := f.States[e.To]
			if !ok {
				f.States[e.To] = &e.State
			} else if !known.join(&e.State) {
				continue
			}
			work = append(work, e.To)
		}
	}
	return f
}

// At returns what is known before an instruction, however it was reached.
func (f *Flow) At(pc int) (s State, reached bool) {
	for p, o := range f.States {
		switch {
		case p.PC != pc:
		case !reached:
			s, reached = *o, true
		default:
			s.join(o)
		}
	}
	return s, reached
}

// Step returns where the program may go from a point that can be reached.
func (f *Flow) Step(p Point) []Edge {
	in, s := f.Insns[p.PC], *f.States[p]
	next := Point{p.PC + 1, p.Facts}
	switch in.Class() {
	case insn.ClassLD:
		s.set(in.Dst, f.loadImm64(p.PC))
		next.PC++
	case insn.ClassLDX:
		s.set(in.Dst, s.load(in))
	case insn.ClassST, insn.ClassSTX:
		if in.Mode() == insn.ModeAtomic {
			s.stack = nil
			s.set(in.Src, Value{Kind: Anything})
		} else if at := s.Reg(in.Dst); at.Kind == StackPtr {
			v := Value{Kind: Constant, N: int64(in.Imm)}
			if in.Class() == insn.ClassSTX {
				v = s.Reg(in.Src)
			}
			s.store(at.N+int64(in.Off), in.MemSize(), v)
		}
	case insn.ClassALU, insn.ClassALU64:
		s.set(in.Dst, s.alu(in))
	case insn.ClassJMP, insn.ClassJMP32:
		return f.jump(p, s)
	}
	return []Edge{{next, s}}
}

func (f *Flow) loadImm64(pc int) Value {
	in := f.Insns[pc]
	second := uint32(f.Insns[pc+1].Imm)
	switch in.Src {
	case insn.PseudoNone:
		return Value{Kind: Constant, N: int64(uint64(uint32(in.Imm)) | uint64(second)<<32)}
	case insn.PseudoMapIdx:
		return Value{Kind: MapPtr}
	case insn.PseudoMapIdxValue:
		return Value{Kind: BlobPtr, N: int64(second)}
	}
	return Value{Kind: Anything}
}

// load is what a load from memory gives.
func (s *State) load(in insn.Insn) Value {
	at, size := s.Reg(in.Src), in.MemSize()
	signed := in.Mode() == insn.ModeMemSX
	switch {
	case at.Kind == MapPtr && !signed:
		return Value{Field, at.N + int64(in.Off), size}
	case at.Kind == StackPtr && !signed:
		v, ok := s.stack[slot{at.N + int64(in.Off), size}]
		if ok && (size == 8 || v.Kind == Constant && v.N >= 0 && v.N < 1<<31) {
			return v
		}
	}
	return Value{Kind: Anything}
}

// operand is an instruction's second operand: a register or the immediate.
func (s *State) operand(in insn.Insn) Value {
	if in.SourceIsReg() {
		return s.Reg(in.Src)
	}
	return Value{Kind: Constant, N: int64(in.Imm)}
}

// alu is what an arithmetic instruction gives, as far as loaders need to know: moves, and constants added to pointers.
func (s *State) alu(in insn.Insn) Value {
	wide := in.Class() == insn.ClassALU64
	src, dst := s.operand(in), s.Reg(in.Dst)
	switch op := in.ALUOp(); {
	case op == insn.ALUNeg || op == insn.ALUEnd: // these have no second operand
		return Value{Kind: Anything}
	case src.Kind == Uninit || op != insn.ALUMov && dst.Kind == Uninit:
		return Value{Kind: Uninit}
	case op == insn.ALUMov && wide && in.Off == 0:
		return src
	case op == insn.ALUMov && in.Off == 0 && src.Kind == Constant:
		return Value{Kind: Constant, N: int64(uint32(src.N))}
	case op == insn.ALURsh && wide && dst.Kind == Returned && src == (Value{Kind: Constant, N: 32}):
		return Value{Kind: Upper, N: dst.N}
	case op == insn.ALUAdd && wide && src.Kind == Constant:
		switch dst.Kind {
		case Constant, MapPtr, BlobPtr, CtxPtr, StackPtr:
			dst.N += src.N
			return dst
		case InBlob:
			return dst
		}
	}
	return Value{Kind: Anything}
}

// jump follows jumps, calls and exits.
func (f *Flow) jump(p Point, s State) []Edge {
	in := f.Insns[p.PC]
	next := Point{p.PC + 1, p.Facts}
	switch in.Op {
	case insn.Exit:
		return nil
	case insn.Call:
		s.call(in, p.PC)
		return []Edge{{next, s}}
	case insn.Ja:
		next.PC += int(in.Off)
		return []Edge{{next, s}}
	case insn.JaLong:
		next.PC += int(in.Imm)
		return []Edge{{next, s}}
	}
	dst, src := s.Reg(in.Dst), s.operand(in)
	taken := Edge{Point{next.PC + int(in.Off), p.Facts}, s}
	falls := Edge{next, s}
	if jumps, known := decide(in, dst, src); known {
		if jumps {
			return []Edge{taken}
		}
		return []Edge{falls}
	}
	switch in.JumpOp() {
	case insn.JumpEq:
		taken.To.Facts |= f.equal(in, dst, src)
		falls.To.Facts |= unequal(dst, src)
	case insn.JumpNe:
		falls.To.Facts |= f.equal(in, dst, src)
		taken.To.Facts |= unequal(dst, src)
	case insn.JumpSlt:
		if in.Op == insn.JsltK && in.Imm == 0 && (dst.Kind == Anything || dst.Kind == Returned) {
			taken.State.set(in.Dst, Value{Kind: Negative})
		}
	}
	return []Edge{taken, falls}
}

// decide says which way a comparison of constants goes.
func decide(in insn.Insn, dst, src Value) (jumps, known bool) {
	if dst.Kind != Constant || src.Kind != Constant || in.Class() != insn.ClassJMP {
		return false, false
	}
	switch in.JumpOp() {
	case insn.JumpEq:
		return dst.N == src.N, true
	case insn.JumpNe:
		return dst.N != src.N, true
	case insn.JumpSgt:
		return dst.N > src.N, true
	case insn.JumpSge:
		return dst.N >= src.N, true
	case insn.JumpSlt:
		return dst.N < src.N, true
	case insn.JumpSle:
		return dst.N <= src.N, true
	}
	return false, false
}

// Comparison is a test of a part of struct bpf_map for equality with a number.
type Comparison struct {
	// Off and Size say which part, in bytes.
	Off, Size int64
	// With is the number, Want the one that it should be with.
	With, Want uint64
}

// Comparison returns what the conditional jump at a point compares, if it compares a field that loaders may check.
func (f *Flow) Comparison(p Point) (c Comparison, ok bool) {
	in, s := f.Insns[p.PC], f.States[p]
	if op := in.JumpOp(); op != insn.JumpEq && op != insn.JumpNe {
		return c, false
	}
	return f.comparison(in, s.Reg(in.Dst), s.operand(in))
}

// comparison of two values.
func (f *Flow) comparison(in insn.Insn, fld, with Value) (c Comparison, ok bool) {
	if fld.Kind == Constant {
		fld, with = with, fld
	}
	if fld.Kind != Field || with.Kind != Constant {
		return c, false
	}
	c = Comparison{Off: fld.N, Size: int64(fld.Size), With: uint64(with.N)}
	if in.Class() == insn.ClassJMP32 {
		c.With = uint64(uint32(c.With))
		if c.Size == 8 { // of 64
			c.Size = 4
			if f.Order == binary.ByteOrder(binary.BigEndian) {
				c.Off += 4
			}
		}
	}
	if !IsField(c.Off, c.Size) {
		return c, false
	}
	switch b := f.expect[c.Off : c.Off+c.Size]; c.Size {
	case 1:
		c.Want = uint64(b[0])
	case 2:
		c.Want = uint64(f.Order.Uint16(b))
	case 4:
		c.Want = uint64(f.Order.Uint32(b))
	default:
		c.Want = f.Order.Uint64(b)
	}
	return c, true
}

// IsField says whether bytes of struct bpf_map are a part of the digest, or all of the exclusivity.
func IsField(off, size int64) bool {
	return off >= uapi.BPFMapSHA && off+size <= uapi.BPFMapExcl || off == uapi.BPFMapExcl && size == uapi.BPFMapExclSize
}

// equal is what is known if dst and src are equal.
func (f *Flow) equal(in insn.Insn, dst, src Value) Facts {
	c, ok := f.comparison(in, dst, src)
	switch {
	case !ok || c.With != c.Want:
		return 0
	case c.Off == uapi.BPFMapExcl:
		return HasExcl
	}
	return (1<<c.Size - 1) << c.Off
}

// unequal is what is known if dst and src are not: a map whose exclusivity is not zero is exclusive.
func unequal(dst, src Value) Facts {
	if dst.Kind == Constant {
		dst, src = src, dst
	}
	if dst == (Value{Field, uapi.BPFMapExcl, uapi.BPFMapExclSize}) && src == (Value{Kind: Constant}) {
		return HasExcl
	}
	return 0
}

// call is what a helper leaves: memory that it was given may be different.
func (s *State) call(in insn.Insn, pc int) {
	at, size, from := s.reg[insn.R1], s.reg[insn.R2], s.reg[insn.R3]
	for r := insn.R1; r <= insn.R5; r++ {
		onStack := s.reg[r].Kind == StackPtr
		s.reg[r] = Value{}
		switch {
		case !onStack:
		case uapi.Helper(in.Imm) == uapi.HelperProbeReadKernel && r == insn.R1 && size.Kind == Constant && from == (Value{Kind: Constant}):
			s.zero(at.N, size.N) // there is nothing at 0 to be read
		default:
			s.stack = nil
		}
	}
	s.reg[insn.R0] = Value{Kind: Returned, N: int64(pc)}
}
