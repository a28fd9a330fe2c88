package loader

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// maxAttest is more than the number of instructions that a loader begins with, before those that all schemes share.
const maxAttest = 32

// attest returns the beginning of a loader that checks its map itself: it refuses to run, with -EINVAL, unless the metadata map is
// exclusive and its contents are what the signer saw.
//
// Without exclusivity the hash proves nothing: it was taken when the map was frozen against user space, and another program that
// holds the map may have changed the contents since (CVE-2026-80675). No helper call comes before, so a refusal leaves nothing behind.
//
// There is one jump. All differences are put together first, because the kernel's verifier follows both ways of every jump.
func attest(blob []byte, order binary.ByteOrder) []insn.Insn {
	const r0, r1, r2, r3, r4 = insn.R0, insn.R1, insn.R2, insn.R3, insn.R4
	sha := sha256.Sum256(blob)
	insns := []insn.Insn{
		{Op: insn.LoadImm64, Dst: r1, Src: insn.PseudoMapIdx}, {}, // r1 = the metadata map
		{Op: insn.MovK, Dst: r0, Imm: -uapi.EINVAL},
		{Op: insn.LoadW, Dst: r2, Src: r1, Off: uapi.BPFMapExcl},
		{Op: insn.XorK, Dst: r2, Imm: 1},
	}
	for i := 0; i < len(sha); i += 8 {
		word := order.Uint64(sha[i:])
		insns = append(insns,
			insn.Insn{Op: insn.LoadDW, Dst: r3, Src: r1, Off: int16(uapi.BPFMapSHA + i)},
			insn.Insn{Op: insn.LoadImm64, Dst: r4, Imm: int32(word)}, insn.Insn{Imm: int32(word >> 32)},
			insn.Insn{Op: insn.XorX, Dst: r3, Src: r4},
			insn.Insn{Op: insn.OrX, Dst: r2, Src: r3},
		)
	}
	return append(insns, insn.Insn{Op: insn.JeqK, Dst: r2, Off: 1}, insn.Insn{Op: insn.Exit})
}

// guardSize is the size of the run-once guard, in bytes.
const guardSize = 4

// runOnce emits the run-once guard: a number in the blob that is zero until a run exchanges it for another. Any other run with the same
// map returns -EALREADY. It would find the first one's descriptors in the slots: numbers that may stand for something else by then, or
// in the process that it runs in.
func (c *compiler) runOnce() {
	const r0, r1 = insn.R0, insn.R1
	c.code.move(r1, 1)
	c.code.exchange(c.guard, r1)
	c.code.emit(insn.Insn{Op: insn.JeqK, Dst: r1, Off: 2})
	c.code.move(r0, -uapi.EALREADY)
	c.code.emit(insn.Insn{Op: insn.Exit})
}
