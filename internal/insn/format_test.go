package insn

import (
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

func TestString(t *testing.T) {
	for _, test := range []struct {
		in   Insn
		want string
	}{
		{Insn{LoadImm64, R1, 0, 0, -1}, "r1 = 0xffffffff ll"},
		{Insn{LoadImm64, R1, PseudoMapIdx, 0, 0}, "r1 = map[0] ll"},
		{Insn{LoadImm64, R1, PseudoMapIdxValue, 0, 2}, "r1 = map[2].value ll"},
		{Insn{LoadImm64, R1, PseudoMapFD, 0, 5}, "r1 = map fd 5 ll"},
		{Insn{LoadImm64, R1, PseudoMapValue, 0, 5}, "r1 = map fd 5.value ll"},
		{Insn{LoadImm64, R1, PseudoBTFID, 0, 9}, "r1 = btf id 9 ll"},
		{Insn{LoadImm64, R1, PseudoFunc, 0, -3}, "r1 = func -3 ll"},
		{Insn{LoadW, R2, R1, 32, 0}, "r2 = *(u32 *)(r1 +32)"},
		{Insn{0x91, R2, R1, -1, 0}, "r2 = (signed) *(u8 *)(r1 -1)"},
		{Insn{StoreDW, R10, R7, -8, 0}, "*(u64 *)(r10 -8) = r7"},
		{Insn{StoreIH, R8, 0, 2, 7}, "*(u16 *)(r8 +2) = 7"},
		{Insn{0xdb, R1, R2, 0, 0}, "atomic(0x0) *(u64 *)(r1 +0), r2"},
		{Insn{MovX, R6, R1, 0, 0}, "r6 = r1"},
		{Insn{MovX, R6, R1, 8, 0}, "r6 = (s8) r1"},
		{Insn{0xb4, R6, 0, 0, -5}, "w6 = -5"},
		{Insn{RshK, R7, 0, 0, 32}, "r7 >>= 32"},
		{Insn{0x3f, R7, R1, 1, 0}, "r7 s/= r1"},
		{Insn{0x87, R7, 0, 0, 0}, "r7 = -r7"},
		{Insn{0xdc, R7, 0, 0, 16}, "r7 = be16 r7"},
		{Insn{0xd7, R7, 0, 0, 64}, "r7 = bswap64 r7"},
		{Insn{Ja, 0, 0, -4, 0}, "goto -4"},
		{Insn{JaLong, 0, 0, 0, 40000}, "gotol +40000"},
		{Insn{JneX, R2, R3, 5, 0}, "if r2 != r3 goto +5"},
		{Insn{JeqK32, R2, 0, 5, 1}, "if w2 == 1 goto +5"},
		{Insn{Call, 0, 0, 0, int32(uapi.HelperSysBPF)}, "call bpf_sys_bpf"},
		{Insn{Call, 0, 0, 0, 57}, "call bpf_getsockopt"},
		{Insn{Call, 0, PseudoCall, 0, 7}, "call +7"},
		{Insn{Call, 0, PseudoKfunc, 0, 7}, "call kfunc 7"},
		{Insn{Exit, 0, 0, 0, 0}, "exit"},
		{Insn{0xff, 1, 2, 3, 4}, "op 0xff dst 1 src 2 off 3 imm 4"},
	} {
		qt.Check(t, qt.Equals(test.in.String(), test.want))
	}
	for op := range 256 { // every opcode has some text
		qt.Check(t, qt.Not(qt.Equals(Insn{Op: uint8(op)}.String(), "")))
	}
}
