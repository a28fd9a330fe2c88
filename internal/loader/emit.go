package loader

import (
	"fmt"
	"math"

	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Registers that keep their meaning throughout a loader.
const (
	regCtx  = insn.R6 // the context that the loader was called with
	regBlob = insn.R8 // the blob, at code.base
)

// code is a loader's instructions in the making.
type code struct {
	insns []insn.Insn
	// base is the offset in the blob that regBlob points at. It moves along with what is addressed, since an
	// instruction reaches 32 KiB to either side.
	base int64
	// failures are the jumps to the clean-up that are not resolved yet, and stones the long ones on the way there.
	failures, stones []int
	// reach is how far a conditional jump may go, in instructions; tests make it small.
	reach int
	// unreachable says that the last instruction is a jump, so that only a label makes the next one reached.
	unreachable bool
	err         error // what could not be emitted
}

const maxReach = math.MaxInt16

func (c *code) emit(i ...insn.Insn) { c.insns = append(c.insns, i...) }

// loadBlob points a register at an offset of the blob, from nothing.
func (c *code) loadBlob(reg uint8, off int64) {
	c.emit(insn.Insn{Op: insn.LoadImm64, Dst: reg, Src: insn.PseudoMapIdxValue}, insn.Insn{Imm: int32(off)})
	if reg == regBlob {
		c.base = off
	}
}

// at returns the distance from regBlob to an offset of the blob, for a load or store there, and moves regBlob when it is
// out of reach.
func (c *code) at(off uint32) int16 {
	d := int64(off) - c.base
	if d < math.MinInt16 || d > math.MaxInt16-8 {
		c.moveBlob(int64(off) + math.MaxInt16&^7) // most of what comes next lies behind
		d = int64(off) - c.base
	}
	return int16(d)
}

func (c *code) moveBlob(base int64) {
	if base != c.base {
		c.emit(insn.Insn{Op: insn.AddK, Dst: regBlob, Imm: int32(base - c.base)})
		c.base = base
	}
}

// address sets a register to the address of an offset of the blob.
func (c *code) address(reg uint8, off uint32) {
	c.emit(insn.Insn{Op: insn.MovX, Dst: reg, Src: regBlob})
	if d := int64(off) - c.base; d != 0 {
		c.emit(insn.Insn{Op: insn.AddK, Dst: reg, Imm: int32(d)})
	}
}

// store writes a register to the blob; op is one of insn.StoreW, StoreH, StoreDW.
func (c *code) store(op uint8, off uint32, reg uint8) {
	d := c.at(off)
	c.emit(insn.Insn{Op: op, Dst: regBlob, Src: reg, Off: d})
	c.keepReach()
}

// storeImm writes a constant to the blob; op is one of insn.StoreIB, StoreIH, StoreIW.
func (c *code) storeImm(op uint8, off uint32, v int32) {
	d := c.at(off)
	c.emit(insn.Insn{Op: op, Dst: regBlob, Off: d, Imm: v})
	c.keepReach()
}

// exchange swaps 4 bytes of the blob and a register in one step that no other CPU can come between.
func (c *code) exchange(off uint32, reg uint8) {
	d := c.at(off)
	c.emit(insn.Insn{Op: insn.AtomicW, Dst: regBlob, Src: reg, Off: d, Imm: insn.AtomicXchg})
}

func (c *code) move(reg uint8, v int32) { c.emit(insn.Insn{Op: insn.MovK, Dst: reg, Imm: v}) }

func (c *code) call(helper uapi.Helper) { c.emit(insn.Insn{Op: insn.Call, Imm: int32(helper)}) }

// sys emits a call of bpf(2) with the attribute at an offset of the blob, and of what to do when it fails.
func (c *code) sys(cmd uapi.Cmd, attr uint32, size int) {
	c.callSys(cmd, attr, size)
	c.check()
}

// callSys emits a call of bpf(2), whatever comes of it.
func (c *code) callSys(cmd uapi.Cmd, attr uint32, size int) {
	c.move(insn.R1, int32(cmd))
	c.address(insn.R2, attr)
	c.move(insn.R3, int32(size))
	c.call(uapi.HelperSysBPF)
}

// check goes to the clean-up when R0 is an error.
func (c *code) check() {
	c.failures = append(c.failures, len(c.insns))
	c.emit(insn.Insn{Op: insn.JsltK, Dst: insn.R0})
	c.keepReach()
}

// keepReach puts a stepping stone between jumps and the clean-up before their 16-bit distance runs out: a
// long jump, itself jumped over.
func (c *code) keepReach() {
	const slack = 16 // instructions that may follow before the next call of keepReach
	if len(c.failures) == 0 || len(c.insns)-c.failures[0] < c.reach-slack {
		return
	}
	c.emit(insn.Insn{Op: insn.Ja, Off: 1})
	for _, at := range c.failures {
		c.insns[at].Off = int16(len(c.insns) - at - 1)
	}
	c.failures = nil
	c.stones = append(c.stones, len(c.insns))
	c.emit(insn.Insn{Op: insn.JaLong})
}

// land resolves all jumps to the clean-up: it is here.
func (c *code) land() error {
	for _, at := range c.stones {
		c.insns[at].Imm = int32(len(c.insns) - at - 1)
	}
	for _, at := range c.failures {
		d := len(c.insns) - at - 1
		if d > c.reach {
			return fmt.Errorf("a jump to the clean-up would have %d instructions", d)
		}
		c.insns[at].Off = int16(d)
	}
	return c.err
}

// skipIf emits a conditional jump over what body emits: for a register compared with zero. regBlob is the same
// whichever way is taken.
func (c *code) skipIf(op, reg uint8, body func()) {
	at := len(c.insns)
	c.emit(insn.Insn{Op: op, Dst: reg})
	base := c.base
	body()
	c.moveBlob(base)
	d := len(c.insns) - at - 1
	if d > c.reach {
		c.err = fmt.Errorf("a symbol is used in so many places that a jump would have %d instructions", d)
	}
	c.insns[at].Off = int16(d)
}

// label is a place further on that jumps go to.
type label struct {
	base  int64 // regBlob there
	jumps []int
}

// newLabel returns a label for a place where regBlob is what it is now.
func (c *code) newLabel() *label { return &label{base: c.base} }

// jump emits a jump to a label; op is insn.Ja, or a comparison of a register with a number.
func (c *code) jump(op, reg uint8, imm int32, to *label) {
	base := c.base
	c.moveBlob(to.base)
	to.jumps = append(to.jumps, len(c.insns))
	c.emit(insn.Insn{Op: op, Dst: reg, Imm: imm})
	if c.unreachable = op == insn.Ja; !c.unreachable {
		c.moveBlob(base)
	}
}

// bind makes a label be here.
func (c *code) bind(l *label) {
	if c.unreachable {
		c.base, c.unreachable = l.base, false
	}
	c.moveBlob(l.base)
	for _, at := range l.jumps {
		d := len(c.insns) - at - 1
		if d > c.reach {
			c.err = fmt.Errorf("a jump would have %d instructions", d)
		}
		c.insns[at].Off = int16(d)
	}
}
