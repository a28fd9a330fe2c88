package audit

import (
	"encoding/binary"
	"os"
	"path/filepath"
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

// compile makes a bundle of the sample.
func compile(t *testing.T) *bundle.Bundle {
	t.Helper()
	name := filepath.Join(testdata, "sample-bpfel.o")
	raw, err := os.ReadFile(name)
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse(name, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	b, err := loader.Compile(obj, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	return b
}

// TestBundle is what is found in a bundle that says something else than its loaders do, or whose loaders do wrong.
func TestBundle(t *testing.T) {
	qt.Check(t, qt.HasLen(Bundle(compile(t)), 0))
	program := func(b *bundle.Bundle, name string) *bundle.Program {
		i := slices.IndexFunc(b.Programs, func(p bundle.Program) bool { return p.Name == name })
		return &b.Programs[i]
	}
	for _, test := range []struct {
		name   string
		change func(b *bundle.Bundle)
		want   ID
		text   string
	}{
		{"a map's size", func(b *bundle.Bundle) { b.Maps[3].MaxEntries++ }, Misdescribed, "map events: entries 4096, and the contract says 4097"},
		{"a map's place", func(b *bundle.Bundle) { b.Maps[0].Ctx, b.Programs[0].Ctx = b.Programs[0].Ctx, b.Maps[0].Ctx }, Misdescribed, "map first: the loader leaves no map at 52 in the context"},
		{"a map less", func(b *bundle.Bundle) { b.Maps = b.Maps[:len(b.Maps)-1] }, Misdescribed, "the loader leaves 9 descriptors in the context, and the contract has 8"},
		{"a program's kind", func(b *bundle.Bundle) { program(b, "probe").Type = 2 }, Misdescribed, "program probe: type syscall, and the contract says kprobe"},
		{"a program's place", func(b *bundle.Bundle) {
			program(b, "probe").Ctx, b.Maps[0].Ctx = b.Maps[0].Ctx, program(b, "probe").Ctx
		}, Misdescribed, "program probe: the loader leaves no program at 24 in the context"},
		{"a target", func(b *bundle.Bundle) { program(b, "on_exec").AttachTo = "sched_switch" }, Misdescribed,
			`program on_exec: target typedef btf_trace_sched_process_exec, and the contract says typedef btf_trace_sched_switch`},
		{"the BTF", func(b *bundle.Bundle) { b.BTF.Size -= 4 }, Misdescribed, ""},
		{"a context that is too short", func(b *bundle.Bundle) { b.CtxSize = 30 }, WrongContract, ""},
		{"a big-endian object", func(b *bundle.Bundle) { b.Object.BigEndian = true }, proof.Malformed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := compile(t)
			test.change(b)
			qt.Assert(t, qt.IsNil(b.Seal()))
			findings := Bundle(b)
			qt.Check(t, qt.IsTrue(Failed(findings)))
			qt.Check(t, qt.IsTrue(slices.ContainsFunc(findings, func(f Finding) bool {
				return f.ID == test.want && (test.text == "" || f.Text == test.text)
			})), qt.Commentf("%v", findings))
		})
	}
}

// TestRawLoader is a bundle of a loader that is not the compiler's: proven, but without a guard.
func TestRawLoader(t *testing.T) {
	blob := make([]byte, bundle.ContractSize+72)
	attr := blob[bundle.ContractSize:]
	le := binary.LittleEndian
	le.PutUint32(attr[uapi.MapCreateType:], uint32(uapi.MapTypeArray))
	le.PutUint32(attr[uapi.MapCreateKeySize:], 4)
	le.PutUint32(attr[uapi.MapCreateValueSize:], 8)
	le.PutUint32(attr[uapi.MapCreateMaxEntries:], 1)
	loader := func(end ...insn.Insn) []byte {
		return insn.Append(nil, le, append([]insn.Insn{
			{Op: insn.MovX, Dst: insn.R6, Src: insn.R1}, {Op: insn.MovK, Dst: insn.R1},
			{Op: insn.LoadImm64, Dst: insn.R2, Src: insn.PseudoMapIdxValue}, {Imm: bundle.ContractSize},
			{Op: insn.MovK, Dst: insn.R3, Imm: 72}, {Op: insn.Call, Imm: int32(uapi.HelperSysBPF)},
		}, end...)...)
	}
	keep := []insn.Insn{{Op: insn.JsltK, Dst: insn.R0, Off: 2}, {Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 24}, zero, exit}
	m := bundle.Map{Name: "m", Ctx: 24}
	m.Type, m.KeySize, m.ValueSize, m.MaxEntries = uint32(uapi.MapTypeArray), 4, 8, 1
	b := &bundle.Bundle{
		Contract: bundle.Contract{Object: bundle.Object{Name: "raw.bpf.o", SHA256: make([]byte, 32)}, CtxSize: 64, Maps: []bundle.Map{m}},
		Blob:     blob, Loaders: []bundle.Loader{{Scheme: bundle.Payload, Insns: loader(keep...)}},
	}
	qt.Assert(t, qt.IsNil(b.Seal()))
	qt.Check(t, qt.DeepEquals(ids(Bundle(b)), []ID{RunsTwice}))

	// It forgets the descriptor.
	b.Loaders[0].Insns = loader(insn.Insn{Op: insn.JsltK, Dst: insn.R0, Off: 1}, zero, exit)
	qt.Check(t, qt.DeepEquals(ids(Bundle(b)), []ID{proof.LostDescriptor}))

	// It fails from the start: no kernel makes such a map.
	le.PutUint32(attr[uapi.MapCreateMaxEntries:], 0)
	b.Maps[0].MaxEntries = 0
	b.Loaders[0].Insns = loader(keep...)
	qt.Assert(t, qt.IsNil(b.Seal()))
	qt.Check(t, qt.DeepEquals(ids(Bundle(b)), []ID{Fails, RunsTwice}))
}

// TestContract is a bundle whose contract somebody changed after it was built.
func TestContract(t *testing.T) {
	b := compile(t)
	b.Maps[0].Name, b.Maps[1].Name = b.Maps[1].Name, b.Maps[0].Name
	qt.Check(t, qt.DeepEquals(ids(Bundle(b)), []ID{WrongContract}))
}

// TestSchemesDiffer is a bundle whose loaders make different things.
func TestSchemesDiffer(t *testing.T) {
	b := compile(t)
	le := binary.LittleEndian
	l := b.Loader(bundle.Payload)
	insns, err := insn.Decode(l.Insns, le)
	qt.Assert(t, qt.IsNil(err))
	// Drop the call that freezes .rodata, and what depends on it.
	at := slices.IndexFunc(insns, func(in insn.Insn) bool { return in == insn.Insn{Op: insn.MovK, Dst: insn.R1, Imm: 22} })
	call := at + slices.IndexFunc(insns[at:], insn.Insn.IsCall)
	insns[call] = zero
	insns[call+1] = zero
	l.Insns = insn.Append(nil, le, insns...)
	findings := Bundle(b)
	qt.Check(t, qt.DeepEquals(ids(findings), []ID{Misdescribed, SchemesDiffer}), qt.Commentf("%v", findings))
}
