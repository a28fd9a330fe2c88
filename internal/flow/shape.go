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
	class := in.Op & 7
	switch {
	case in.Op == insn.Exit:
		return list
	case in.Op == insn.Ja:
		return append(list, next+int(in.Off))
	case in.Op == insn.JaLong:
		return append(list, next+int(in.Imm))
	case in.Op != insn.Call && (class == 5 || class == 6):
		list = append(list, next+int(in.Off))
	}
	return append(list, next)
}

// known says whether an instruction is one that loaders are made of: no subprograms, atomic operations, or loads of other
// things than the metadata map.
func known(in insn.Insn) bool {
	const opCall, opExit = 8, 9
	op, mode := in.Op>>4, in.Op>>5
	switch in.Op & 7 {
	case 0:
		return in.IsLoadImm64() && (in.Src == 0 || in.Src == insn.PseudoMapIdx || in.Src == insn.PseudoMapIdxValue)
	case 1:
		return mode == 3 || mode == 4 && SizeOf(in) != 8
	case 2, 3:
		return mode == 3
	case 4, 7:
		return op <= opEnd && in.Dst < insn.R10
	case 5, 6:
		switch op {
		case opCall:
			return in.Op == insn.Call && in.Src == insn.CallHelper
		case opExit:
			return in.Op == insn.Exit
		}
		return op <= opJsle
	}
	return false
}

// Reads returns the registers that an instruction other than a call needs.
func Reads(in insn.Insn) []uint8 {
	switch in.Op & 7 {
	case 1:
		return []uint8{in.Src}
	case 2:
		return []uint8{in.Dst}
	case 3:
		return []uint8{in.Dst, in.Src}
	case 4, 7:
		op := in.Op >> 4
		switch {
		case op == opNeg || op == opEnd:
			return []uint8{in.Dst}
		case op == opMov && in.Op&8 != 0:
			return []uint8{in.Src}
		case op == opMov:
			return nil
		}
	case 5, 6:
		switch in.Op {
		case insn.Exit:
			return []uint8{insn.R0}
		case insn.Ja, insn.JaLong, insn.Call:
			return nil
		}
	default:
		return nil
	}
	if in.Op&8 != 0 {
		return []uint8{in.Dst, in.Src}
	}
	return []uint8{in.Dst}
}
