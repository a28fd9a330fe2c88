package flow

import (
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// Problem is why instructions are no program.
type Problem struct {
	PC   int
	Text string
}

// Check looks at instructions one by one: are they a loader's at all? Flow follows only those of which it says nothing.
func Check(insns []insn.Insn) (problems []Problem) {
	bad := func(pc int, format string, args ...any) {
		problems = append(problems, Problem{pc, fmt.Sprintf(format, args...)})
	}
	n := len(insns)
	if n == 0 {
		bad(-1, "there are no instructions")
		return problems
	}
	second := make([]bool, n)
	for i := 0; i < n; i++ {
		if !insns[i].IsLoadImm64() {
			continue
		}
		if i+1 == n || insns[i+1].Op != 0 {
			bad(i, "half a 64-bit load")
			return problems
		}
		i++
		second[i] = true
	}
	seen := make([]bool, n)
	seen[0] = true
	work := []int{0}
	var targets [2]int
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		in := insns[i]
		if !known(in) {
			bad(i, "%v is no instruction of a loader", in)
			continue
		}
		for _, to := range Successors(in, i, targets[:0]) {
			switch {
			case to < 0 || to >= n || second[to]:
				bad(i, "%v goes to %d, where no instruction begins", in, to)
			case !seen[to]:
				seen[to] = true
				work = append(work, to)
			}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	for i := range seen {
		if !seen[i] && !second[i] {
			bad(i, "%v is never reached", insns[i])
			break
		}
	}
	return problems
}

// Successors appends to list where a program may go from an instruction: the target of a jump first.
func Successors(in insn.Insn, pc int, list []int) []int {
	next := pc + 1
	if in.IsLoadImm64() {
		next++
	}
	switch {
	case in.Op == insn.Exit:
		return list
	case in.Op == insn.Ja:
		return append(list, next+int(in.Off))
	case in.Op == insn.JaLong:
		return append(list, next+int(in.Imm))
	case in.Op != insn.Call && in.Class().IsJump():
		list = append(list, next+int(in.Off))
	}
	return append(list, next)
}

// known says whether an instruction is one that loaders are made of: no subprograms, atomic operations, or loads of other
// things than the metadata map.
func known(in insn.Insn) bool {
	if in.Dst > insn.R10 || in.Src > insn.R10 {
		return false
	}
	switch in.Class() {
	case insn.ClassLD:
		return in.Dst < insn.R10 && in.IsLoadImm64() && (in.Src == insn.PseudoNone || in.Src == insn.PseudoMapIdx || in.Src == insn.PseudoMapIdxValue)
	case insn.ClassLDX:
		return in.Dst < insn.R10 && (in.Mode() == insn.ModeMem || in.Mode() == insn.ModeMemSX && in.MemSize() != 8)
	case insn.ClassSTX:
		if in.Mode() == insn.ModeAtomic {
			return in.Imm == insn.AtomicXchg && in.MemSize() >= 4 && in.Src < insn.R10
		}
		fallthrough
	case insn.ClassST:
		return in.Mode() == insn.ModeMem
	case insn.ClassALU, insn.ClassALU64:
		return in.ALUOp() <= insn.ALUEnd && in.Dst < insn.R10
	case insn.ClassJMP, insn.ClassJMP32:
		switch in.JumpOp() {
		case insn.JumpCall:
			return in.Op == insn.Call && in.Src == insn.CallHelper
		case insn.JumpExit:
			return in.Op == insn.Exit
		}
		return in.JumpOp() <= insn.JumpSle
	}
	return false
}

// Reads returns the registers that an instruction other than a call needs.
func Reads(in insn.Insn) []uint8 {
	switch in.Class() {
	case insn.ClassLDX:
		return []uint8{in.Src}
	case insn.ClassST:
		return []uint8{in.Dst}
	case insn.ClassSTX:
		return []uint8{in.Dst, in.Src}
	case insn.ClassALU, insn.ClassALU64:
		op := in.ALUOp()
		switch {
		case op == insn.ALUNeg || op == insn.ALUEnd:
			return []uint8{in.Dst}
		case op == insn.ALUMov && in.SourceIsReg():
			return []uint8{in.Src}
		case op == insn.ALUMov:
			return nil
		}
	case insn.ClassJMP, insn.ClassJMP32:
		switch in.Op {
		case insn.Exit:
			return []uint8{insn.R0}
		case insn.Ja, insn.JaLong, insn.Call:
			return nil
		}
	default:
		return nil
	}
	if in.SourceIsReg() {
		return []uint8{in.Dst, in.Src}
	}
	return []uint8{in.Dst}
}
