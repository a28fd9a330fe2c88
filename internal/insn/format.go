package insn

import "fmt"

var (
	aluOps  = map[uint8]string{0: "+=", 1: "-=", 2: "*=", 3: "/=", 4: "|=", 5: "&=", 6: "<<=", 7: ">>=", 9: "%=", 10: "^=", 11: "=", 12: "s>>="}
	jumpOps = map[uint8]string{1: "==", 2: ">", 3: ">=", 4: "&", 5: "!=", 6: "s>", 7: "s>=", 10: "<", 11: "<=", 12: "s<", 13: "s<="}
	bitSize = [4]string{"u32", "u16", "u8", "u64"} // by the size bits of an opcode
)

// String formats the instruction as the kernel's verifier log does, roughly. A 64-bit load shows its first half.
func (i Insn) String() string {
	reg := func(r uint8) string { return fmt.Sprintf("r%d", r) }
	mem := func(base uint8) string {
		return fmt.Sprintf("*(%s *)(r%d %+d)", bitSize[i.Op>>3&3], base, i.Off)
	}
	class, op := i.Op&7, i.Op>>4
	narrow := class == 4 || class == 6
	if narrow {
		reg = func(r uint8) string { return fmt.Sprintf("w%d", r) }
	}
	src := fmt.Sprint(i.Imm)
	if i.Op&8 != 0 {
		src = reg(i.Src)
	}
	switch class {
	case 0:
		if !i.IsLoadImm64() {
			break
		}
		switch i.Src {
		case 0:
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
	case 1:
		switch i.Op >> 5 {
		case 3:
			return fmt.Sprintf("r%d = %s", i.Dst, mem(i.Src))
		case 4:
			return fmt.Sprintf("r%d = (signed) %s", i.Dst, mem(i.Src))
		}
	case 2:
		if i.Op>>5 == 3 {
			return fmt.Sprintf("%s = %d", mem(i.Dst), i.Imm)
		}
	case 3:
		switch i.Op >> 5 {
		case 3:
			return fmt.Sprintf("%s = r%d", mem(i.Dst), i.Src)
		case 6:
			return fmt.Sprintf("atomic(%#x) %s, r%d", i.Imm, mem(i.Dst), i.Src)
		}
	case 4, 7:
		switch name, ok := aluOps[op]; {
		case op == 8:
			return fmt.Sprintf("%s = -%[1]s", reg(i.Dst))
		case op == 13 && narrow:
			return fmt.Sprintf("r%d = %s%d r%[1]d", i.Dst, map[bool]string{false: "le", true: "be"}[i.Op&8 != 0], i.Imm)
		case op == 13:
			return fmt.Sprintf("r%d = bswap%d r%[1]d", i.Dst, i.Imm)
		case ok && op == 11 && i.Off != 0:
			return fmt.Sprintf("%s = (s%d) %s", reg(i.Dst), i.Off, src)
		case ok && i.Off == 1:
			return fmt.Sprintf("%s s%s %s", reg(i.Dst), name, src)
		case ok:
			return fmt.Sprintf("%s %s %s", reg(i.Dst), name, src)
		}
	case 5, 6:
		switch name, ok := jumpOps[op]; {
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
			return fmt.Sprintf("call helper %d", i.Imm)
		case ok:
			return fmt.Sprintf("if %s %s %s goto %+d", reg(i.Dst), name, src, i.Off)
		}
	}
	return fmt.Sprintf("op %#02x dst %d src %d off %d imm %d", i.Op, i.Dst, i.Src, i.Off, i.Imm)
}
