//go:build linux

package insn

import (
	"testing"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"
)

// The parts of an opcode have the numbers of include/uapi/linux/bpf.h, as golang.org/x/sys has them.
func TestParts(t *testing.T) {
	for class, want := range map[Class]uint8{
		ClassLD: unix.BPF_LD, ClassLDX: unix.BPF_LDX, ClassST: unix.BPF_ST, ClassSTX: unix.BPF_STX, ClassALU: unix.BPF_ALU,
		ClassJMP: unix.BPF_JMP, ClassJMP32: unix.BPF_JMP32, ClassALU64: unix.BPF_ALU64,
	} {
		qt.Check(t, qt.Equals(Insn{Op: want | 0xf8}.Class(), class))
	}
	for op, want := range map[ALUOp]uint8{
		ALUAdd: unix.BPF_ADD, ALUSub: unix.BPF_SUB, ALUMul: unix.BPF_MUL, ALUDiv: unix.BPF_DIV, ALUOr: unix.BPF_OR,
		ALUAnd: unix.BPF_AND, ALULsh: unix.BPF_LSH, ALURsh: unix.BPF_RSH, ALUNeg: unix.BPF_NEG, ALUMod: unix.BPF_MOD,
		ALUXor: unix.BPF_XOR, ALUMov: unix.BPF_MOV, ALUArsh: unix.BPF_ARSH, ALUEnd: unix.BPF_END,
	} {
		qt.Check(t, qt.Equals(Insn{Op: want | 0x0f}.ALUOp(), op))
	}
	for op, want := range map[JumpOp]uint8{
		JumpAlways: unix.BPF_JA, JumpEq: unix.BPF_JEQ, JumpGt: unix.BPF_JGT, JumpGe: unix.BPF_JGE, JumpSet: unix.BPF_JSET,
		JumpNe: unix.BPF_JNE, JumpSgt: unix.BPF_JSGT, JumpSge: unix.BPF_JSGE, JumpCall: unix.BPF_CALL, JumpExit: unix.BPF_EXIT,
		JumpLt: unix.BPF_JLT, JumpLe: unix.BPF_JLE, JumpSlt: unix.BPF_JSLT, JumpSle: unix.BPF_JSLE,
	} {
		qt.Check(t, qt.Equals(Insn{Op: want | 0x0f}.JumpOp(), op))
	}
	for mode, want := range map[Mode]uint8{
		ModeImm: unix.BPF_IMM, ModeMem: unix.BPF_MEM, ModeMemSX: unix.BPF_MEMSX, ModeAtomic: unix.BPF_ATOMIC,
	} {
		qt.Check(t, qt.Equals(Insn{Op: want | 0x1f}.Mode(), mode))
	}
	for size, want := range map[uint8]uint8{4: unix.BPF_W, 2: unix.BPF_H, 1: unix.BPF_B, 8: unix.BPF_DW} {
		qt.Check(t, qt.Equals(Insn{Op: want | 0xe7}.MemSize(), size))
	}
	qt.Check(t, qt.IsTrue(Insn{Op: unix.BPF_X}.SourceIsReg()))
	qt.Check(t, qt.IsFalse(Insn{Op: unix.BPF_K | 0xf7}.SourceIsReg()))
	for class := range Class(8) {
		qt.Check(t, qt.Equals(class.IsALU(), class == unix.BPF_ALU || class == unix.BPF_ALU64))
		qt.Check(t, qt.Equals(class.IsJump(), class == unix.BPF_JMP || class == unix.BPF_JMP32))
	}
}

func TestOpcodes(t *testing.T) {
	for name, pair := range map[string][2]int{
		"LoadImm64": {LoadImm64, unix.BPF_LD | unix.BPF_IMM | unix.BPF_DW},
		"LoadW":     {LoadW, unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W},
		"LoadB":     {LoadB, unix.BPF_LDX | unix.BPF_MEM | unix.BPF_B},
		"LoadDW":    {LoadDW, unix.BPF_LDX | unix.BPF_MEM | unix.BPF_DW},
		"StoreW":    {StoreW, unix.BPF_STX | unix.BPF_MEM | unix.BPF_W},
		"StoreB":    {StoreB, unix.BPF_STX | unix.BPF_MEM | unix.BPF_B},
		"StoreDW":   {StoreDW, unix.BPF_STX | unix.BPF_MEM | unix.BPF_DW},
		"StoreIW":   {StoreIW, unix.BPF_ST | unix.BPF_MEM | unix.BPF_W},
		"StoreIH":   {StoreIH, unix.BPF_ST | unix.BPF_MEM | unix.BPF_H},
		"StoreIB":   {StoreIB, unix.BPF_ST | unix.BPF_MEM | unix.BPF_B},
		"AddK":      {AddK, unix.BPF_ALU64 | unix.BPF_ADD | unix.BPF_K},
		"AddX":      {AddX, unix.BPF_ALU64 | unix.BPF_ADD | unix.BPF_X},
		"RshK":      {RshK, unix.BPF_ALU64 | unix.BPF_RSH | unix.BPF_K},
		"OrX":       {OrX, unix.BPF_ALU64 | unix.BPF_OR | unix.BPF_X},
		"XorK":      {XorK, unix.BPF_ALU64 | unix.BPF_XOR | unix.BPF_K},
		"XorX":      {XorX, unix.BPF_ALU64 | unix.BPF_XOR | unix.BPF_X},
		"AtomicW":   {AtomicW, unix.BPF_STX | unix.BPF_ATOMIC | unix.BPF_W},
		"MovK":      {MovK, unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K},
		"MovX":      {MovX, unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X},
		"Ja":        {Ja, unix.BPF_JMP | unix.BPF_JA},
		"JaLong":    {JaLong, unix.BPF_JMP32 | unix.BPF_JA},
		"JeqK":      {JeqK, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K},
		"JneK":      {JneK, unix.BPF_JMP | unix.BPF_JNE | unix.BPF_K},
		"JeqX":      {JeqX, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_X},
		"JneX":      {JneX, unix.BPF_JMP | unix.BPF_JNE | unix.BPF_X},
		"JeqK32":    {JeqK32, unix.BPF_JMP32 | unix.BPF_JEQ | unix.BPF_K},
		"JsltK":     {JsltK, unix.BPF_JMP | unix.BPF_JSLT | unix.BPF_K},
		"Call":      {Call, unix.BPF_JMP | unix.BPF_CALL},
		"Exit":      {Exit, unix.BPF_JMP | unix.BPF_EXIT},

		"PseudoMapFD":       {PseudoMapFD, unix.BPF_PSEUDO_MAP_FD},
		"PseudoMapValue":    {PseudoMapValue, unix.BPF_PSEUDO_MAP_VALUE},
		"PseudoBTFID":       {PseudoBTFID, unix.BPF_PSEUDO_BTF_ID},
		"PseudoFunc":        {PseudoFunc, unix.BPF_PSEUDO_FUNC},
		"PseudoMapIdx":      {PseudoMapIdx, unix.BPF_PSEUDO_MAP_IDX},
		"PseudoMapIdxValue": {PseudoMapIdxValue, unix.BPF_PSEUDO_MAP_IDX_VALUE},
		"PseudoCall":        {PseudoCall, unix.BPF_PSEUDO_CALL},
		"PseudoKfunc":       {PseudoKfunc, unix.BPF_PSEUDO_KFUNC_CALL},
	} {
		qt.Check(t, qt.Equals(pair[0], pair[1]), qt.Commentf("%s", name))
	}
}
