package insn

import (
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

var (
	aluOps = map[ALUOp]string{
		ALUAdd: "+=", ALUSub: "-=", ALUMul: "*=", ALUDiv: "/=", ALUOr: "|=", ALUAnd: "&=", ALULsh: "<<=", ALURsh: ">>=",
		ALUMod: "%=", ALUXor: "^=", ALUMov: "=", ALUArsh: "s>>=",
	}
	jumpOps = map[JumpOp]string{
		JumpEq: "==", JumpGt: ">", JumpGe: ">=", JumpSet: "&", JumpNe: "!=", JumpSgt: "s>", JumpSge: "s>=", JumpLt: "<",
		JumpLe: "<=", JumpSlt: "s<", JumpSle: "s<=",
	}
)

// String formats the instruction as the kernel's verifier log does, roughly. A 64-bit load shows its first half.
func (i Insn) String() string {
	reg := func(r uint8) string { return fmt.Sprintf("r%d", r) }
	mem := func(base uint8) string {
		return fmt.Sprintf("*(u%d *)(r%d %+d)", 8*i.MemSize(), base, i.Off)
	}
	narrow := i.Class() == ClassALU || i.Class() == ClassJMP32
	if narrow {
		reg = func(r uint8) string { return fmt.Sprintf("w%d", r) }
	}
	src := fmt.Sprint(i.Imm)
	if i.SourceIsReg() {
		src = reg(i.Src)
	}
	switch i.Class() {
	case ClassLD:
		if !i.IsLoadImm64() {
			break
		}
		switch i.Src {
		case PseudoNone:
			return fmt.Sprintf("r%d = %#x ll", i.Dst, uint32(i.Imm))
		case PseudoMapIdx:
			return fmt.Sprintf("r%d = map[%d] ll", i.Dst, i.Imm)
		case PseudoMapIdxValue:
			return fmt.Sprintf("r%d = map[%d].value ll", i.Dst, i.Imm)
		case PseudoMapFD:
			return fmt.Sprintf("r%d = map fd %d ll", i.Dst, i.Imm)
		case PseudoMapValue:
			return fmt.Sprintf("r%d = map fd %d.value ll", i.Dst, i.Imm)
		case PseudoBTFID:
			return fmt.Sprintf("r%d = btf id %d ll", i.Dst, i.Imm)
		case PseudoFunc:
			return fmt.Sprintf("r%d = func %+d ll", i.Dst, i.Imm)
		}
	case ClassLDX:
		switch i.Mode() {
		case ModeMem:
			return fmt.Sprintf("r%d = %s", i.Dst, mem(i.Src))
		case ModeMemSX:
			return fmt.Sprintf("r%d = (signed) %s", i.Dst, mem(i.Src))
		}
	case ClassST:
		if i.Mode() == ModeMem {
			return fmt.Sprintf("%s = %d", mem(i.Dst), i.Imm)
		}
	case ClassSTX:
		switch i.Mode() {
		case ModeMem:
			return fmt.Sprintf("%s = r%d", mem(i.Dst), i.Src)
		case ModeAtomic:
			if i.Imm == AtomicXchg {
				return fmt.Sprintf("r%d = exchange %s, r%d", i.Src, mem(i.Dst), i.Src)
			}
			return fmt.Sprintf("atomic(%#x) %s, r%d", i.Imm, mem(i.Dst), i.Src)
		}
	case ClassALU, ClassALU64:
		op := i.ALUOp()
		switch name, ok := aluOps[op]; {
		case op == ALUNeg:
			return fmt.Sprintf("%s = -%[1]s", reg(i.Dst))
		case op == ALUEnd && narrow:
			return fmt.Sprintf("r%d = %s%d r%[1]d", i.Dst, map[bool]string{false: "le", true: "be"}[i.SourceIsReg()], i.Imm)
		case op == ALUEnd:
			return fmt.Sprintf("r%d = bswap%d r%[1]d", i.Dst, i.Imm)
		case ok && op == ALUMov && i.Off != 0:
			return fmt.Sprintf("%s = (s%d) %s", reg(i.Dst), i.Off, src)
		case ok && i.Off == 1:
			return fmt.Sprintf("%s s%s %s", reg(i.Dst), name, src)
		case ok:
			return fmt.Sprintf("%s %s %s", reg(i.Dst), name, src)
		}
	case ClassJMP, ClassJMP32:
		switch name, ok := jumpOps[i.JumpOp()]; {
		case i.Op == Ja:
			return fmt.Sprintf("goto %+d", i.Off)
		case i.Op == JaLong:
			return fmt.Sprintf("gotol %+d", i.Imm)
		case i.Op == Exit:
			return "exit"
		case i.Op == Call && i.Src == PseudoCall:
			return fmt.Sprintf("call %+d", i.Imm)
		case i.Op == Call && i.Src == PseudoKfunc:
			return fmt.Sprintf("call kfunc %d", i.Imm)
		case i.Op == Call:
			return "call " + uapi.Helper(i.Imm).String()
		case ok:
			return fmt.Sprintf("if %s %s %s goto %+d", reg(i.Dst), name, src, i.Off)
		}
	}
	return fmt.Sprintf("op %#02x dst %d src %d off %d imm %d", i.Op, i.Dst, i.Src, i.Off, i.Imm)
}
