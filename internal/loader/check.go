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
// Exclusivity comes first. Without it the hash proves nothing: it was taken when the map was frozen against user space,
// and another program that holds the map may have changed the contents since (CVE-2026-80675). No other helper call
// comes before, so a refusal leaves nothing behind.
func attest(blob []byte, order binary.ByteOrder) []insn.Insn {
	const r0, r1, r2, r3 = insn.R0, insn.R1, insn.R2, insn.R3
	sha := sha256.Sum256(blob)

	// Each check that fails jumps to the exit behind the last one.
	const checks = 4
	const perWord = 4 // instructions
	refuse := func(at int) int16 { return int16(checks*perWord - at) }

	insns := []insn.Insn{
		{Op: insn.LoadImm64, Dst: r1, Src: insn.PseudoMapIdx}, {}, // r1 = the metadata map
		{Op: insn.MovK, Dst: r0, Imm: -uapi.EINVAL},
		{Op: insn.LoadW, Dst: r2, Src: r1, Off: uapi.BPFMapExcl},
		{Op: insn.JneK, Dst: r2, Imm: 1, Off: refuse(0)},
	}
	for i := range checks {
		word := order.Uint64(sha[8*i:])
		insns = append(insns,
			insn.Insn{Op: insn.LoadDW, Dst: r2, Src: r1, Off: int16(uapi.BPFMapSHA + 8*i)},
			insn.Insn{Op: insn.LoadImm64, Dst: r3, Imm: int32(word)}, insn.Insn{Imm: int32(word >> 32)},
			insn.Insn{Op: insn.JneX, Dst: r2, Src: r3, Off: refuse((i + 1) * perWord)},
		)
	}
	insns[len(insns)-1] = insn.Insn{Op: insn.JeqX, Dst: r2, Src: r3, Off: 1} // the last one jumps when it holds
	return append(insns, insn.Insn{Op: insn.Exit})
}
