package simkernel

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// Limits of a run.
const (
	stackSize = 512
	maxFrames = 8
	// maxSteps ends programs that do not end, unless Config says when. The largest loader that libbpf makes of the kernel's own selftests has some
	// 8,000 instructions, and loaders do not loop.
	maxSteps = 1 << 22
	// maxKept bounds what a run copies, in bytes, beyond some times its blob.
	maxKept = 32 << 20
	// callSize is about what a call takes in the result, in bytes.
	callSize = 512
)

// Fault is what a loader does wrong: no kernel would load or survive it, or it loses track of its descriptors.
type Fault struct {
	// PC is the instruction's number, Insn the instruction.
	PC     int
	Insn   insn.Insn
	Reason string
}

// Error implements the error interface.
func (f *Fault) Error() string { return fmt.Sprintf("instruction %d (%v): %s", f.PC, f.Insn, f.Reason) }

// field is a set of the fields of struct bpf_map that a value was computed from.
type field uint8

const (
	fieldSHA0 field = 1 << iota // the first of four u64 of the digest
	_
	_
	_
	fieldExcl
)

type frame struct {
	ret   int // where to go on after the call
	saved [4]reg
}

type reg struct {
	v    uint64
	set  bool
	from field
}

// machine runs one loader.
type machine struct {
	k     *Kernel
	mem   memory
	insns []insn.Insn
	// second marks the second slots of 64-bit loads, where no jump may land.
	second []bool
	reg    [11]reg
	pc     int
	frames []frame
	calls  int
	kept   int // bytes that the result takes, about
	res    *Result
	err    *Fault
	// ctxFD is where in ctx the loader put numbers of 4 bytes, and the instruction that did.
	ctxFD    map[int]int
	blobSize int
}

// fault records the first thing that goes wrong; the run ends after the instruction.
func (m *machine) fault(format string, args ...any) {
	if m.err == nil {
		m.err = &Fault{m.pc, m.insns[m.pc], fmt.Sprintf(format, args...)}
	}
}

// keep counts what a run leaves in its result. A loader has each part of its blob copied once or twice, so one that goes far beyond
// that goes in circles.
func (m *machine) keep(n int) {
	if m.kept += n; m.kept > maxKept+4*m.blobSize {
		m.fault("the calls so far have copied %d bytes: does it go in circles?", m.kept)
	}
}

// clone copies what the kernel would keep.
func (m *machine) clone(b []byte) []byte {
	if m.keep(len(b)); m.err != nil {
		return nil
	}
	return bytes.Clone(b)
}

// get reads a register, which must have a value.
func (m *machine) get(r uint8) reg {
	if int(r) >= len(m.reg) {
		m.fault("there is no r%d", r)
		return reg{}
	}
	if !m.reg[r].set {
		m.fault("r%d has no value", r)
	}
	return m.reg[r]
}

// region records what a part of the blob is.
func (m *machine) region(addr, size uint64, what string) { m.regionOf(addr, size, what, -1) }

func (m *machine) regionOf(addr, size uint64, what string, cmd int) {
	if off := addr - blobBase; off < regionSpan/2 && size > 0 {
		m.res.Regions = append(m.res.Regions, Region{int(off), int(size), what, cmd})
	}
}

func (m *machine) set(r uint8, v uint64, from field) {
	if r >= insn.R10 {
		m.fault("r%d cannot be written", r)
		return
	}
	m.reg[r] = reg{v, true, from}
}

func (m *machine) pushFrame(ret int) {
	if len(m.frames) == maxFrames {
		m.fault("more than %d calls deep", maxFrames)
		return
	}
	m.frames = append(m.frames, frame{ret, [4]reg(m.reg[insn.R6:insn.R10])})
	base := uint64(stackBase) + uint64(len(m.frames))*regionSpan
	m.mem.add(&region{name: "the stack", base: base, data: make([]byte, stackSize), init: make([]bool, stackSize)})
	for r := insn.R6; r <= insn.R9; r++ {
		m.reg[r] = reg{}
	}
	m.reg[insn.R10] = reg{v: base + stackSize, set: true}
}

// popFrame ends a function. It reports whether that was the last.
func (m *machine) popFrame() bool {
	m.get(insn.R0)
	f := m.frames[len(m.frames)-1]
	m.frames = m.frames[:len(m.frames)-1]
	m.mem.drop()
	if len(m.frames) == 0 {
		return true
	}
	copy(m.reg[insn.R6:], f.saved[:])
	for r := insn.R1; r <= insn.R5; r++ {
		m.reg[r] = reg{}
	}
	m.reg[insn.R10].v -= regionSpan
	m.pc = f.ret
	return false
}

// run executes the program from its first instruction and returns R0.
func (m *machine) run() int32 {
	m.pushFrame(0)
	limit := maxSteps
	if m.k.MaxSteps != 0 {
		limit = m.k.MaxSteps
	}
	for steps := 0; ; steps++ {
		if steps == limit {
			m.fault("no end after %d instructions", steps)
		}
		next, done := m.step()
		if m.err != nil {
			return 0
		}
		if done {
			return int32(m.reg[insn.R0].v)
		}
		if !m.target(next) {
			m.fault("no instruction begins at %d", next)
			return 0
		}
		m.pc = next
	}
}

func (m *machine) target(pc int) bool { return pc >= 0 && pc < len(m.insns) && !m.second[pc] }

// step executes an instruction and returns the number of the next.
func (m *machine) step() (next int, done bool) {
	in := m.insns[m.pc]
	next = m.pc + 1
	switch in.Class() {
	case insn.ClassLD:
		if !in.IsLoadImm64() {
			m.fault("unknown instruction")
			return next, false
		}
		m.loadImm64(in, m.insns[next])
		return next + 1, false
	case insn.ClassLDX:
		m.loadX(in)
	case insn.ClassST, insn.ClassSTX:
		m.storeX(in)
	case insn.ClassALU, insn.ClassALU64:
		m.alu(in)
	case insn.ClassJMP, insn.ClassJMP32:
		return m.jump(in)
	}
	return next, false
}

func (m *machine) loadImm64(in, second insn.Insn) {
	v := uint64(uint32(in.Imm)) | uint64(uint32(second.Imm))<<32
	switch in.Src {
	case insn.PseudoNone:
	case insn.PseudoMapIdx:
		v = mapBase
	case insn.PseudoMapIdxValue:
		v = blobBase + uint64(uint32(second.Imm))
	default: // checkInsns lets none through
		m.fault("an immediate of unknown meaning %d", in.Src)
	}
	m.set(in.Dst, v, 0)
}

func (m *machine) loadX(in insn.Insn) {
	size, mode := uint64(in.MemSize()), in.Mode()
	if mode != insn.ModeMem && (mode != insn.ModeMemSX || size == 8) {
		m.fault("unknown instruction")
		return
	}
	addr := m.get(in.Src).v + uint64(int64(in.Off))
	if m.err != nil {
		return
	}
	b, err := m.mem.read(addr, size)
	if err != nil {
		m.fault("load: %v", err)
		return
	}
	v, from := load(m.k.order(), b), field(0)
	if mode == insn.ModeMemSX {
		shift := 64 - size*8
		v = uint64(int64(v<<shift) >> shift)
	}
	if off := addr - mapBase; off < bpfMapSize {
		if from = m.k.mapField(off, size); from == 0 {
			m.fault("load: %d bytes at offset %d of struct bpf_map are no field that this kernel shows", size, off)
			m.res.refused = true
			return
		}
	}
	m.set(in.Dst, v, from)
}

func (m *machine) storeX(in insn.Insn) {
	size := uint64(in.MemSize())
	exchange := in.Class() == insn.ClassSTX && in.Mode() == insn.ModeAtomic && in.Imm == insn.AtomicXchg && size >= 4
	if in.Mode() != insn.ModeMem && !exchange {
		m.fault("unknown instruction")
		return
	}
	v := uint64(int64(in.Imm))
	if in.Class() == insn.ClassSTX {
		v = m.get(in.Src).v
	}
	addr := m.get(in.Dst).v + uint64(int64(in.Off))
	if m.err != nil {
		return
	}
	var old []byte
	if exchange {
		b, err := m.mem.read(addr, size)
		if err != nil {
			m.fault("exchange: %v", err)
			return
		}
		old = bytes.Clone(b)
	}
	b, err := m.mem.write(addr, size)
	if err != nil {
		m.fault("store: %v", err)
		return
	}
	store(m.k.order(), b, v)
	if exchange {
		m.set(in.Src, load(m.k.order(), old), 0)
	}
}

// source is an instruction's second operand: a register or the sign-extended immediate.
func (m *machine) source(in insn.Insn) reg {
	if in.SourceIsReg() {
		return m.get(in.Src)
	}
	return reg{v: uint64(int64(in.Imm)), set: true}
}

func (m *machine) alu(in insn.Insn) {
	op, wide := in.ALUOp(), in.Class() == insn.ClassALU64
	if op == insn.ALUEnd {
		m.byteSwap(in, wide)
		return
	}
	src := reg{set: true}
	if op != insn.ALUNeg {
		src = m.source(in)
	}
	dst := reg{set: true}
	if op != insn.ALUMov {
		dst = m.get(in.Dst)
	}
	if m.err != nil {
		return
	}
	v, ok := compute(op, in.Off, wide, dst.v, src.v)
	if !ok {
		m.fault("unknown instruction")
		return
	}
	from := dst.from | src.from
	if op == insn.ALUXor && from != 0 && (dst.from == 0 || src.from == 0) { // zero if they are equal
		m.check(in, from, dst, src)
		from = 0
	}
	m.set(in.Dst, v, from)
}

// compute is dst op src, on 64 or 32 bits. The offset field chooses variants: signed division, sign-extending moves.
func compute(op insn.ALUOp, off int16, wide bool, dst, src uint64) (v uint64, ok bool) {
	bitLen := uint64(64)
	if !wide {
		bitLen = 32
		dst, src = uint64(uint32(dst)), uint64(uint32(src))
	}
	signed := func(x uint64) int64 {
		if wide {
			return int64(x)
		}
		return int64(int32(x))
	}
	ok = off == 0
	switch op {
	case insn.ALUAdd:
		v = dst + src
	case insn.ALUSub:
		v = dst - src
	case insn.ALUMul:
		v = dst * src
	case insn.ALUDiv, insn.ALUMod:
		ok = off == 0 || off == 1
		v = divide(op, off == 1, dst, src, signed)
	case insn.ALUOr:
		v = dst | src
	case insn.ALUAnd:
		v = dst & src
	case insn.ALULsh:
		v = dst << (src & (bitLen - 1))
	case insn.ALURsh:
		v = dst >> (src & (bitLen - 1))
	case insn.ALUArsh:
		v = uint64(signed(dst) >> (src & (bitLen - 1)))
	case insn.ALUNeg:
		v = -dst
	case insn.ALUXor:
		v = dst ^ src
	case insn.ALUMov:
		v = src
		switch off {
		case 0:
		case 8:
			v, ok = uint64(int64(int8(src))), true
		case 16:
			v, ok = uint64(int64(int16(src))), true
		case 32:
			v, ok = uint64(int64(int32(src))), wide
		}
	default:
		return 0, false
	}
	if !wide {
		v = uint64(uint32(v))
	}
	return v, ok
}

// divide is division and remainder, which never trap: dividing by zero gives zero and leaves the remainder.
func divide(op insn.ALUOp, isSigned bool, dst, src uint64, signed func(uint64) int64) uint64 {
	div := op == insn.ALUDiv
	switch {
	case src == 0 && div:
		return 0
	case src == 0:
		return dst
	case !isSigned && div:
		return dst / src
	case !isSigned:
		return dst % src
	case signed(src) == -1 && div: // the least number has no counterpart
		return -dst
	case signed(src) == -1:
		return 0
	case div:
		return uint64(signed(dst) / signed(src))
	}
	return uint64(signed(dst) % signed(src))
}

func (m *machine) byteSwap(in insn.Insn, wide bool) {
	r := m.get(in.Dst)
	toBig := in.SourceIsReg()
	swap := wide || toBig != m.k.bigEndian()
	if wide && toBig || in.Off != 0 {
		m.fault("unknown instruction")
		return
	}
	v := r.v
	switch in.Imm {
	case 16:
		v = uint64(uint16(v))
		if swap {
			v = uint64(bits.ReverseBytes16(uint16(v)))
		}
	case 32:
		v = uint64(uint32(v))
		if swap {
			v = uint64(bits.ReverseBytes32(uint32(v)))
		}
	case 64:
		if swap {
			v = bits.ReverseBytes64(v)
		}
	default:
		m.fault("unknown instruction")
		return
	}
	m.set(in.Dst, v, r.from)
}

func (m *machine) jump(in insn.Insn) (next int, done bool) {
	op, wide := in.JumpOp(), in.Class() == insn.ClassJMP
	next = m.pc + 1
	switch {
	case op == insn.JumpAlways && wide:
		return next + int(in.Off), false
	case op == insn.JumpAlways:
		return next + int(in.Imm), false
	case op == insn.JumpCall && in.Op == insn.Call && in.Src == insn.CallHelper:
		m.helper(in.Imm)
		return next, false
	case op == insn.JumpCall && in.Op == insn.Call && in.Src == insn.PseudoCall:
		m.pushFrame(next)
		return next + int(in.Imm), false
	case op == insn.JumpExit && in.Op == insn.Exit:
		ret := m.popFrame()
		return m.pc, ret
	}
	dst, src := m.get(in.Dst), m.source(in)
	if m.err != nil {
		return next, false
	}
	taken, ok := compare(op, wide, dst.v, src.v)
	if !ok {
		m.fault("unknown instruction")
		return next, false
	}
	if from := dst.from | src.from; from != 0 {
		m.check(in, from, dst, src)
	}
	if taken {
		next += int(in.Off)
	}
	return next, false
}

func compare(op insn.JumpOp, wide bool, dst, src uint64) (taken, ok bool) {
	sdst, ssrc := int64(dst), int64(src)
	if !wide {
		dst, src = uint64(uint32(dst)), uint64(uint32(src))
		sdst, ssrc = int64(int32(dst)), int64(int32(src))
	}
	switch op {
	case insn.JumpEq:
		return dst == src, true
	case insn.JumpNe:
		return dst != src, true
	case insn.JumpGt:
		return dst > src, true
	case insn.JumpGe:
		return dst >= src, true
	case insn.JumpLt:
		return dst < src, true
	case insn.JumpLe:
		return dst <= src, true
	case insn.JumpSet:
		return dst&src != 0, true
	case insn.JumpSgt:
		return sdst > ssrc, true
	case insn.JumpSge:
		return sdst >= ssrc, true
	case insn.JumpSlt:
		return sdst < ssrc, true
	case insn.JumpSle:
		return sdst <= ssrc, true
	}
	return false, false
}

// check records that the loader looks at what the kernel says of the metadata map.
func (m *machine) check(in insn.Insn, from field, dst, src reg) {
	got, want := dst.v, src.v
	if dst.from == 0 {
		got, want = want, got
	}
	if in.Class() == insn.ClassJMP32 || in.Class() == insn.ClassALU {
		got, want = got&math.MaxUint32, want&math.MaxUint32
	}
	m.res.Events = append(m.res.Events, &Event{
		PC: m.pc, Kind: EventCheck, Check: &Check{Excl: from&fieldExcl != 0, SHA: int(from &^ fieldExcl), Got: got, Want: want},
	})
}
