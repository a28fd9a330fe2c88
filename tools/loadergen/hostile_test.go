package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/golden"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/report"
)

// register is what a register holds: a number, or an address in the blob behind the contract's digest.
type register struct {
	value  int32
	inBlob bool
}

// calling returns a bundle whose only loader calls a helper, and succeeds whatever the kernel says.
func calling(t *testing.T, helper uapi.Helper, contents []byte, args ...register) *bundle.Bundle {
	t.Helper()
	var insns []insn.Insn
	for i, a := range args {
		dst := uint8(insn.R1 + i)
		if a.inBlob {
			insns = append(insns, insn.Insn{Op: insn.LoadImm64, Dst: dst, Src: insn.PseudoMapIdxValue}, insn.Insn{Imm: bundle.ContractSize + a.value})
			continue
		}
		insns = append(insns, insn.Insn{Op: insn.MovK, Dst: dst, Imm: a.value})
	}
	insns = append(insns, insn.Insn{Op: insn.Call, Imm: int32(helper)}, insn.Insn{Op: insn.MovK, Dst: insn.R0}, insn.Insn{Op: insn.Exit})
	b := &bundle.Bundle{
		Contract: bundle.Contract{Object: bundle.Object{Name: "hostile.bpf.o", SHA256: make([]byte, 32)}, CtxSize: bundle.CtxHeaderSize},
		Blob:     append(make([]byte, bundle.ContractSize), contents...),
		Loaders:  []bundle.Loader{{Scheme: bundle.Payload, Insns: insn.Append(nil, binary.LittleEndian, insns...)}},
	}
	qt.Assert(t, qt.IsNil(b.Seal()))
	return b
}

// shown runs all that shows what a bundle does, and returns the texts.
func shown(t *testing.T, b *bundle.Bundle, page bool) string {
	t.Helper()
	l, err := simkernel.FromBundle(b, bundle.Payload)
	qt.Assert(t, qt.IsNil(err))
	res := simkernel.Run(l, simkernel.Options{})
	text := trace.Text(res)
	trace.ContentOf(res)
	if listing, err := golden.Text(b); err == nil {
		text += listing
	}
	if page {
		var out strings.Builder
		qt.Assert(t, qt.IsNil(report.HTML(&out, b, report.Options{})))
		text += out.String()
	}
	return text
}

// A call that the kernel refuses is shown without what it would have made.
func TestCallsThatFail(t *testing.T) {
	for cmd := int32(0); cmd < 45; cmd++ {
		for _, fill := range []byte{0, 'A', 0xff} {
			contents := bytes.Repeat([]byte{fill}, 200)
			for _, size := range []int32{0, 1, 72, 160, 4096} {
				for _, at := range []register{{inBlob: true}, {inBlob: true, value: 199}, {}} {
					shown(t, calling(t, uapi.HelperSysBPF, contents, register{value: cmd}, at, register{value: size}), size == 72)
				}
			}
		}
	}
}

// What a loader names is shown in one line, and drives no terminal.
func TestHostileNames(t *testing.T) {
	const name = "a\nend   the loader returns\x1b[2J\u009b\u202e\xff"
	contents := append([]byte(name), 0)
	size, flags := register{value: int32(len(contents))}, register{}
	for _, b := range []*bundle.Bundle{
		calling(t, uapi.HelperKallsymsLookupName, append(contents, make([]byte, 8)...), register{inBlob: true}, size, flags, register{inBlob: true, value: size.value}),
		calling(t, uapi.HelperBTFFindByNameKind, contents, register{inBlob: true}, size, register{value: 12}, flags),
		calling(t, uapi.HelperTracePrintk, contents, register{inBlob: true}, size),
	} {
		text := shown(t, b, true)
		qt.Check(t, qt.Equals(printable.Lines(text), text))
		qt.Check(t, qt.StringContains(text, `a\nend   the loader returns\x1b[2J\u009b\u202e\xff`))
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "end ") {
				qt.Check(t, qt.Equals(line, "end   the loader returns nothing\n"))
			}
		}
	}
}

// The page has no character that would need an escape: those in it come from the bundle.
func TestPageIsPrintable(t *testing.T) {
	var out strings.Builder
	qt.Assert(t, qt.IsNil(report.HTML(&out, calling(t, uapi.HelperSysBPF, nil, register{}, register{}, register{}), report.Options{})))
	for _, escape := range []string{`\u`, `\x`, `\U`} {
		qt.Check(t, qt.IsFalse(strings.Contains(out.String(), escape)))
	}
}
