package insn

// Class is what an instruction does, roughly: the lower three bits of its opcode (BPF_CLASS).
type Class uint8

// The classes.
const (
	ClassLD    Class = iota // 64-bit immediates; the others are for socket filters
	ClassLDX                // dst = memory at src
	ClassST                 // memory at dst = immediate
	ClassSTX                // memory at dst = src
	ClassALU                // arithmetic on 32 bits
	ClassJMP                // jumps that compare 64 bits, calls, exit
	ClassJMP32              // jumps that compare 32 bits
	ClassALU64              // arithmetic on 64 bits
)

// Class returns the instruction's class.
func (i Insn) Class() Class { return Class(i.Op & 7) }

// IsALU reports whether the class is one of the two for arithmetic.
func (c Class) IsALU() bool { return c == ClassALU || c == ClassALU64 }

// IsJump reports whether the class is one of the two for jumps.
func (c Class) IsJump() bool { return c == ClassJMP || c == ClassJMP32 }

// ALUOp is the operation of an instruction of ClassALU or ClassALU64: the upper four bits of its opcode (BPF_OP).
type ALUOp uint8

// The operations of arithmetic instructions.
const (
	ALUAdd ALUOp = iota
	ALUSub
	ALUMul
	ALUDiv
	ALUOr
	ALUAnd
	ALULsh
	ALURsh
	ALUNeg
	ALUMod
	ALUXor
	ALUMov
	ALUArsh
	ALUEnd // byte swaps
)

// ALUOp returns the instruction's operation. It means something for ClassALU and ClassALU64 only.
func (i Insn) ALUOp() ALUOp { return ALUOp(i.Op >> 4) }

// JumpOp is the operation of an instruction of ClassJMP or ClassJMP32: the upper four bits of its opcode (BPF_OP).
type JumpOp uint8

// The operations of jumps. JumpS* compare signed numbers.
const (
	JumpAlways JumpOp = iota
	JumpEq
	JumpGt
	JumpGe
	JumpSet
	JumpNe
	JumpSgt
	JumpSge
	JumpCall
	JumpExit
	JumpLt
	JumpLe
	JumpSlt
	JumpSle
)

// JumpOp returns the instruction's operation. It means something for ClassJMP and ClassJMP32 only.
func (i Insn) JumpOp() JumpOp { return JumpOp(i.Op >> 4) }

// SourceReg is the bit of an opcode that SourceIsReg reports.
const SourceReg = 0x08

// SourceIsReg reports whether the second operand of an arithmetic instruction or jump is a register (BPF_X), not the
// immediate (BPF_K). Of ALUEnd it says that the order becomes big-endian (BPF_TO_BE).
func (i Insn) SourceIsReg() bool { return i.Op&SourceReg != 0 }

// Mode is how an instruction that loads or stores finds its operand: the upper three bits of its opcode (BPF_MODE).
type Mode uint8

// The modes. Those between are for socket filters.
const (
	ModeImm    Mode = 0 // a 64-bit immediate
	ModeMem    Mode = 3
	ModeMemSX  Mode = 4 // a load that extends the sign
	ModeAtomic Mode = 6
)

// Mode returns the instruction's mode. It means something for ClassLD, ClassLDX, ClassST and ClassSTX only.
func (i Insn) Mode() Mode { return Mode(i.Op >> 5) }

// memSizes are in bytes, by the two bits of an opcode that say it (BPF_SIZE): W, H, B, DW.
var memSizes = [4]uint8{4, 2, 1, 8}

// MemSize returns how many bytes the instruction loads or stores. It means something for ClassLD, ClassLDX, ClassST and
// ClassSTX only. (Size is that of the instruction itself.)
func (i Insn) MemSize() uint8 { return memSizes[i.Op>>3&3] }
