package loader

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// many makes an object of n maps and n programs, each of which uses one map and calls one kernel function of its own.
func many(n int) *object.Object {
	o := &object.Object{Name: "many", File: "many.bpf.o", Order: binary.LittleEndian, License: "GPL"}
	for i := range n {
		m := &object.Map{
			Name: fmt.Sprintf("map%d", i), KernelName: fmt.Sprintf("map%d", i),
			Type: uapi.MapTypeArray, KeySize: 4, ValueSize: 64, MaxEntries: 1, Data: []byte{1: byte(i), 63: 1},
		}
		e := &object.Extern{Name: fmt.Sprintf("kfunc%d", i), Kind: object.Kfunc}
		o.Maps = append(o.Maps, m)
		o.Programs = append(o.Programs, &object.Program{
			Name: fmt.Sprintf("prog%d", i), Section: "syscall", Autoload: true,
			Kind: object.SectionKind{Type: uapi.ProgTypeSyscall, Flags: uapi.ProgFlagSleepable},
			Insns: []insn.Insn{
				{Op: insn.LoadImm64, Dst: insn.R1}, {},
				{Op: insn.Call, Src: insn.PseudoCall},
				{Op: insn.MovK, Dst: insn.R0},
				{Op: insn.Exit},
			},
			Refs: []object.Ref{{Insn: 0, Map: m}, {Insn: 2, Extern: e}},
		})
	}
	return o
}

// There is no limit of 64 maps, 32 programs and 256 kernel functions, and the cost grows in a line.
func TestManyMapsAndPrograms(t *testing.T) {
	perItem := func(n int) int {
		b := compile(t, many(n))
		l, err := simkernel.FromBundle(b, bundle.MapHash)
		qt.Assert(t, qt.IsNil(err))
		res := simkernel.Run(l, simkernel.Options{})
		qt.Assert(t, qt.IsNil(res.Err()))
		qt.Assert(t, qt.Equals(res.Errno, 0), qt.Commentf("%s", res.Why))
		qt.Assert(t, qt.HasLen(res.Maps, n))
		qt.Assert(t, qt.HasLen(res.Progs, n))
		last := res.Progs[n-1]
		qt.Check(t, qt.Equals(last.Refs[0].Map.Name, fmt.Sprintf("map%d", n-1)))
		qt.Check(t, qt.Equals(last.Refs[2].Symbol.Name, fmt.Sprintf("kfunc%d", n-1)))
		return len(l.Insns) / insn.Size / n
	}
	few, lots := perItem(100), perItem(2000)
	qt.Check(t, qt.IsTrue(lots <= few+few/4), qt.Commentf("%d instructions each for 100, %d for 2,000", few, lots))
}

// A failure at the very end of a long loader reaches the clean-up over stepping stones.
func TestLongJumps(t *testing.T) {
	l, err := simkernel.FromBundle(compile(t, many(2000)), bundle.Payload)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(len(l.Insns)/insn.Size > 2*maxReach))
	for _, n := range []int{1, 2000, 5000, 7999, 8000} {
		res := simkernel.Run(l, simkernel.Options{Config: simkernel.Config{FailCall: n, FailErrno: simkernel.EMFILE}})
		qt.Assert(t, qt.IsNil(res.Err()), qt.Commentf("call %d", n))
		qt.Check(t, qt.Equals(res.Errno, simkernel.EMFILE), qt.Commentf("call %d", n))
	}
}

// A number in a program's instructions would be a descriptor of the host's.
func TestNumbersOfTheHost(t *testing.T) {
	for _, in := range []insn.Insn{
		{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapFD, Imm: 5},
		{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapValue, Imm: 5},
		{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx, Imm: 1},
		{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdxValue},
		{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoBTFID, Imm: 9},
		{Op: insn.Call, Src: insn.PseudoKfunc, Imm: 7},
	} {
		o := many(1)
		p := o.Programs[0]
		p.Insns = append([]insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Imm: 5}, {}, in, {}}, p.Insns...)
		for i := range p.Refs {
			p.Refs[i].Insn += 4
		}
		_, err := Compile(o, Options{})
		qt.Assert(t, qt.ErrorIs(err, ErrCompile))
		qt.Check(t, qt.ErrorMatches(err, `.*program prog0 .*instruction 2 \(.*\) names something by its number, which the host would choose: it has no relocation`))
	}
}

// The kernel takes what is in a function's place in a table for a descriptor. Other members may have any value.
func TestNumbersInStructOps(t *testing.T) {
	set := func(member string) *object.Object {
		o := parse(t, filepath.Join("..", "object", "testdata", "structops.bpf.o"))
		i := slices.IndexFunc(o.Maps, func(m *object.Map) bool { return m.StructOps != nil && !m.Disabled })
		ops := o.Maps[i].StructOps
		for j, m := range o.BTF.Types[ops.Type].Members {
			if m.Name == member && ops.Programs[j] == nil {
				ops.Value[m.Offset/8] = 1
			}
		}
		return o
	}
	_, err := Compile(set("get_info"), Options{})
	qt.Assert(t, qt.ErrorIs(err, ErrCompile))
	qt.Check(t, qt.ErrorMatches(err, ".*member get_info: is a pointer that is not zero and has no relocation.*"))

	l, err := simkernel.FromBundle(compile(t, set("key")), bundle.Payload)
	qt.Assert(t, qt.IsNil(err))
	res := simkernel.Run(l, simkernel.Options{})
	qt.Assert(t, qt.IsNil(res.Err()))
	qt.Check(t, qt.Equals(res.Errno, 0))
}

func TestLimitsAreSaid(t *testing.T) {
	_, err := Compile(many(maxDescriptors/2+1), Options{})
	qt.Check(t, qt.ErrorIs(err, ErrCompile))
	qt.Check(t, qt.ErrorMatches(err, "many.bpf.o: .*split the object"))

	o := many(uapi.MaxUsedMaps + 1)
	p := o.Programs[0]
	for _, m := range o.Maps {
		p.Refs = append(p.Refs, object.Ref{Insn: 0, Map: m})
	}
	_, err = Compile(o, Options{})
	qt.Check(t, qt.ErrorMatches(err, ".*program prog0 .*uses 65 maps, and the kernel allows a program 64"))

	o = many(1)
	o.Programs[0].Kind, o.Programs[0].Section = object.SectionKind{Type: uapi.ProgTypeTracing, AttachBTF: true}, "fentry"
	_, err = Compile(o, Options{})
	qt.Check(t, qt.ErrorMatches(err, `.*write SEC\("fentry/TARGET"\)`))

	o = many(1)
	o.Programs[0].Kind.Type = uapi.ProgTypeExt
	_, err = Compile(o, Options{})
	qt.Check(t, qt.ErrorIs(err, object.ErrUnsupported))

	// Too much for a signature that covers the blob: the bundle says so.
	o = many(1)
	o.Maps[0].Data = make([]byte, bundle.MaxPayload)
	o.Maps[0].Data[0], o.Maps[0].ValueSize = 1, bundle.MaxPayload
	_, err = Compile(o, Options{})
	qt.Check(t, qt.ErrorMatches(err, ".*generate the bundle without scheme payload"))
	b, err := Compile(o, Options{Schemes: []bundle.Scheme{bundle.MapHash}})
	qt.Assert(t, qt.IsNil(err))
	_, err = bundle.Encode(b)
	qt.Check(t, qt.IsNil(err))
}

// A blob that instructions cannot address is an error, before there is memory for it.
func TestBlobLimit(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 20} {
		o := many(4)
		for _, m := range o.Maps {
			m.Data, m.ValueSize = make([]byte, size), uint32(size)
			m.Data[0] = 1
		}
		c := newCompiler(o, Options{})
		c.blob.limit = 1 << 12
		_, err := c.compile()
		qt.Check(t, qt.ErrorMatches(err, "its data are [0-9]+ bytes, and a map's value holds 4096: split the object"))
		qt.Check(t, qt.IsTrue(len(c.blob.data) < 1<<12+8))
	}
}

// A call of a kernel function has 16 bits for the slot of the function's module.
func TestMoreKernelFunctionsThanSlots(t *testing.T) {
	const n = 1<<15 - 1
	o := many(1)
	p := o.Programs[0]
	p.Insns, p.Refs = nil, nil
	for i := range n {
		p.Insns = append(p.Insns, insn.Insn{Op: insn.Call, Src: insn.PseudoCall})
		p.Refs = append(p.Refs, object.Ref{Insn: i, Extern: &object.Extern{Name: fmt.Sprintf("kfunc%d", i), Kind: object.Kfunc}})
	}
	_, err := Compile(o, Options{})
	qt.Check(t, qt.ErrorMatches(err, ".*32768 maps and kernel symbols, and a program's call can tell 32767 apart: split the object"))
	p.Insns, p.Refs = p.Insns[1:], p.Refs[1:]
	for i := range p.Refs {
		p.Refs[i].Insn--
	}
	_, err = Compile(o, Options{})
	qt.Check(t, qt.IsNil(err))
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("maps+programs=%d", n), func(b *testing.B) {
			for b.Loop() {
				compile(b, many(n))
			}
		})
	}
}
