// Package insn is the encoding of BPF instructions, as much of it as gen-loaders and the relocation of programs need.
// See RFC 9669 and include/uapi/linux/bpf.h.
package insn

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Size is the size of an instruction, in bytes. A 64-bit load (Op == LoadImm64) takes two.
const Size = 8

// Insn is one instruction slot.
type Insn struct {
	Op       uint8
	Dst, Src uint8
	Off      int16
	Imm      int32
}

// Opcodes that loaders are made of. Their names say class, size and source: ALU64 with K(an immediate) or X(a register).
const (
	LoadImm64 = 0x18 // dst = imm64; Src says what the immediate is: Pseudo*

	LoadW   = 0x61 // dst = *(u32 *)(src + off)
	LoadB   = 0x71
	LoadDW  = 0x79
	StoreW  = 0x63 // *(u32 *)(dst + off) = src
	StoreB  = 0x73
	StoreDW = 0x7b
	AtomicW = 0xc3 // Imm says what is done: AtomicXchg
	StoreIW = 0x62 // *(u32 *)(dst + off) = imm
	StoreIH = 0x6a
	StoreIB = 0x72

	AddK = 0x07
	AddX = 0x0f
	OrX  = 0x4f
	XorK = 0xa7
	XorX = 0xaf
	MulK = 0x27
	RshK = 0x77
	MovK = 0xb7
	MovX = 0xbf

	Ja     = 0x05 // pc += off
	JaLong = 0x06 // pc += imm; Linux 6.6
	JeqK   = 0x15
	JneK   = 0x55
	JeqX   = 0x1d
	JneX   = 0x5d
	JeqK32 = 0x16
	JsltK  = 0xc5 // signed <
	Call   = 0x85
	Exit   = 0x95
)

// What a LoadImm64's Src says of its immediate (BPF_PSEUDO_* in include/uapi/linux/bpf.h).
const (
	PseudoNone        = 0 // it is a number
	PseudoMapFD       = 1
	PseudoMapValue    = 2
	PseudoBTFID       = 3
	PseudoFunc        = 4
	PseudoMapIdx      = 5 // imm = index into fd_array
	PseudoMapIdxValue = 6 // the same; the second slot's imm is an offset into the map's first value
)

// AtomicXchg is the immediate of an atomic exchange (BPF_XCHG, which has BPF_FETCH in it, include/uapi/linux/bpf.h):
// src = exchange(dst + off, src).
const AtomicXchg = 0xe1

// What a Call's Src says of its immediate.
const (
	CallHelper  = 0
	PseudoCall  = 1 // imm = distance to a subprogram, in instructions
	PseudoKfunc = 2 // imm = the BTF id of a kernel function
)

// Registers of the calling convention: R1 to R5 are arguments and are lost in calls, R6 to R9 are kept.
const (
	R0 = iota
	R1
	R2
	R3
	R4
	R5
	R6
	R7
	R8
	R9
	R10 // frame pointer, read-only
)

// ErrTruncated says that bytes end within an instruction.
var ErrTruncated = errors.New("instructions end in the middle of one")

// Append adds the encoding of instructions to b.
func Append(b []byte, order binary.ByteOrder, insns ...Insn) []byte {
	for _, i := range insns {
		var raw [Size]byte
		Put(raw[:], order, i)
		b = append(b, raw[:]...)
	}
	return b
}

// Where the parts of an instruction are in its encoding, in bytes. The opcode comes first.
const (
	RegsAt = 1 // both registers
	OffAt  = 2
	ImmAt  = 4
)

// Put writes an instruction over the first 8 bytes of b.
func Put(b []byte, order binary.ByteOrder, i Insn) {
	b[0] = i.Op
	if order == binary.ByteOrder(binary.BigEndian) { // the two register fields are bit fields: they swap
		b[RegsAt] = i.Dst<<4 | i.Src
	} else {
		b[RegsAt] = i.Src<<4 | i.Dst
	}
	order.PutUint16(b[OffAt:], uint16(i.Off))
	order.PutUint32(b[ImmAt:], uint32(i.Imm))
}

// Get reads the instruction in the first 8 bytes of b.
func Get(b []byte, order binary.ByteOrder) Insn {
	i := Insn{
		Op: b[0], Dst: b[RegsAt] & 0xf, Src: b[RegsAt] >> 4, Off: int16(order.Uint16(b[OffAt:])),
		Imm: int32(order.Uint32(b[ImmAt:])),
	}
	if order == binary.ByteOrder(binary.BigEndian) {
		i.Dst, i.Src = i.Src, i.Dst
	}
	return i
}

// Decode reads all instructions of b.
func Decode(b []byte, order binary.ByteOrder) ([]Insn, error) {
	if len(b)%Size != 0 {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrTruncated)
	}
	insns := make([]Insn, 0, len(b)/Size)
	for ; len(b) > 0; b = b[Size:] {
		insns = append(insns, Get(b, order))
	}
	return insns, nil
}

// IsCall tells calls from other instructions.
func (i Insn) IsCall() bool { return i.Op == Call }

// IsLoadImm64 tells the first slot of a 64-bit load.
func (i Insn) IsLoadImm64() bool { return i.Op == LoadImm64 }
