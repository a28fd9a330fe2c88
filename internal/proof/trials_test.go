package proof_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// follow proves a payload loader, little-endian, whose instructions and blob were changed.
func follow(t *testing.T, b *bundle.Bundle, change func(insns []insn.Insn, blob []byte)) *proof.Result {
	t.Helper()
	le := binary.LittleEndian
	insns, err := insn.Decode(b.Loader(bundle.Payload).Insns, le)
	qt.Assert(t, qt.IsNil(err))
	blob := slices.Clone(b.Blob)
	change(insns, blob)
	return proof.Loader(bundle.Payload, le, insn.Append(nil, le, insns...), blob)
}

func has(res *proof.Result, id proof.ID) bool {
	return slices.ContainsFunc(res.Findings, func(f proof.Finding) bool { return f.ID == id })
}

// callsOf are the calls of a helper, by instruction.
func callsOf(insns []insn.Insn, helper uapi.Helper) (list []int) {
	for i, in := range insns {
		if in.IsCall() && uapi.Helper(in.Imm) == helper {
			list = append(list, i)
		}
	}
	return list
}

// A program that a loader loads to see whether the verifier accepts it may be refused. It makes nothing, and has to be closed.
func TestTrials(t *testing.T) {
	b := compile(t, "../object/testdata/weak.bpf.o")
	attr := bytes.Index(b.Blob, []byte("trial\x00")) - uapi.ProgLoadName
	qt.Assert(t, qt.IsTrue(attr > 0))
	res := follow(t, b, func([]insn.Insn, []byte) {})
	qt.Assert(t, qt.HasLen(res.Findings, 0))
	qt.Check(t, qt.HasLen(res.Made.Programs, 2))
	qt.Check(t, qt.IsTrue(len(res.Made.Trials) > 50))

	// Another program than one for before or after a function is needed: nobody ignores that it does not load.
	for field, number := range map[int]uint32{
		uapi.ProgLoadType: uint32(uapi.ProgTypeSyscall), uapi.ProgLoadIfIndex: 1,
	} {
		res = follow(t, b, func(_ []insn.Insn, blob []byte) { binary.LittleEndian.PutUint32(blob[attr+field:], number) })
		qt.Check(t, qt.IsTrue(has(res, proof.IgnoredFailure)), qt.Commentf("%d: %v", field, res.Findings))
	}
	// Closing one is forgotten.
	res = follow(t, b, func(insns []insn.Insn, _ []byte) {
		insns[callsOf(insns, uapi.HelperSysClose)[0]] = mov(insn.R0, 0)
	})
	qt.Check(t, qt.IsTrue(has(res, proof.LostDescriptor)), qt.Commentf("%v", res.Findings))
}

// A program that looks like a trial, and is left in the context, has to be loaded.
func TestTrialThatIsKept(t *testing.T) {
	o := &object.Object{File: "fentry.bpf.o", Order: binary.LittleEndian, License: "GPL", Programs: []*object.Program{{
		Name: "before", Section: "fentry/do_unlinkat", Attach: "do_unlinkat", Autoload: true,
		Kind:  object.SectionKind{Type: uapi.ProgTypeTracing, ExpectedAttachType: uapi.AttachTraceFentry, AttachBTF: true},
		Insns: []insn.Insn{{Op: insn.MovK}, {Op: insn.Exit}},
	}}}
	b, err := loader.Compile(o, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	res := follow(t, b, func([]insn.Insn, []byte) {})
	qt.Assert(t, qt.HasLen(res.Findings, 0))
	qt.Check(t, qt.HasLen(res.Made.Programs, 1))
	qt.Check(t, qt.HasLen(res.Made.Trials, 0))
	// The loader goes on when the program does not load.
	res = follow(t, b, func(insns []insn.Insn, _ []byte) {
		calls := callsOf(insns, uapi.HelperSysBPF)
		check := &insns[calls[len(calls)-1]+1]
		qt.Assert(t, qt.Equals(check.Op, insn.JsltK))
		check.Off = 2 // over what stores the descriptor
	})
	qt.Check(t, qt.IsTrue(has(res, proof.LostDescriptor)), qt.Commentf("%v", res.Findings))
	qt.Check(t, qt.IsFalse(res.Proven()))
}
