package loader

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// FuzzCompile makes an object of the input, a loader of that, and has the loader run in the simulated kernel: what it makes is
// what the object says. A call that fails is told and leaves nothing, and a host that shares the metadata map gets nothing.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"", "\x01", "0123456789abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUTSRQPONMLKJIHGFEDCBA",
		"\x00\x01\x05\x02\x03\x00\x04\x07\x01\x00\x01\x01\x09\x02\x00\x06\x03\x05\x01\x04\x01\x01\x02\x00\x07",
		"\x01\x00\x40\x02\x02\x02\x02\x02\x02\x02\x02\x20\x01\x01\x01\x01\x01\x01\x01\x03\x03\x03\x03\x03\x03",
		"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		for fail := range uint16(40) { // the numbers of calls
			f.Add([]byte(seed), fail)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, fail uint16) {
		o := newDice(data).object()
		b, err := Compile(o, Options{})
		if err != nil { // nothing in the objects made here is beyond a loader
			qt.Assert(t, qt.ErrorIs(err, ErrCompile))
			qt.Assert(t, qt.IsTrue(len(o.Maps) == 0 && len(o.Programs) == 0), qt.Commentf("%v", err))
			return
		}
		_, err = bundle.Encode(b)
		qt.Assert(t, qt.IsNil(err))
		for _, s := range bundle.Schemes {
			l, err := simkernel.FromBundle(b, s)
			qt.Assert(t, qt.IsNil(err))
			res := simkernel.Run(l, simkernel.Options{})
			qt.Assert(t, qt.IsNil(res.Err()))
			qt.Assert(t, qt.Equals(res.Errno, 0), qt.Commentf("%s", res.Why))
			checkMade(t, o, b, res)

			calls := 0
			for _, e := range res.Events {
				calls = max(calls, e.N)
			}
			if calls > 0 {
				res = simkernel.Run(l, simkernel.Options{Config: simkernel.Config{FailCall: 1 + int(fail)%calls, FailErrno: simkernel.EPERM}})
				qt.Assert(t, qt.IsNil(res.Err()))
				qt.Assert(t, qt.IsTrue(res.Injected()))
				want := simkernel.EPERM
				if slices.ContainsFunc(res.Events, func(ev *simkernel.Event) bool { return ev.Injected && forgiven(o, ev) }) {
					want = 0
				}
				qt.Assert(t, qt.Equals(res.Errno, want))
			}
			// Whatever prototypes the functions have that the object declares, and whichever call fails then.
			proto := &simkernel.Prototype{Params: make([]simkernel.ValueKind, fail%3), Result: simkernel.ValueKind(fail / 3 % 4), NoAddress: fail%7 == 6}
			for i := range proto.Params {
				proto.Params[i] = simkernel.ValueKind(1 + (int(fail)/12+i)%3)
			}
			other := simkernel.Config{Prototype: func(name string) *simkernel.Prototype {
				if slices.ContainsFunc(o.Externs, func(e *object.Extern) bool { return e.Name == name }) {
					return proto
				}
				return nil
			}}
			res = simkernel.Run(l, simkernel.Options{Config: other})
			qt.Assert(t, qt.IsNil(res.Err()))
			qt.Assert(t, qt.Equals(res.Errno, 0))
			other.FailCall = 1 + int(fail)
			qt.Assert(t, qt.IsNil(simkernel.Run(l, simkernel.Options{Config: other}).Err()))
			res = simkernel.Run(l, simkernel.Options{Scenario: simkernel.NonExclusive})
			qt.Assert(t, qt.Not(qt.Equals(res.Errno, 0)))
			qt.Assert(t, qt.HasLen(res.Maps, 0))
		}
	})
}

// dice makes choices of the fuzzer's bytes. When they are used up, it always chooses 0.
type dice struct {
	data []byte
	obj  *object.Object
	// ints, structs and functions are types that there are.
	ints, functions []btf.ID
}

func newDice(data []byte) *dice { return &dice{data: data} }

// roll returns a number below n.
func (d *dice) roll(n int) int {
	if len(d.data) == 0 || n <= 1 {
		return 0
	}
	v := int(d.data[0])
	d.data = d.data[1:]
	if n > 256 && len(d.data) > 0 {
		v, d.data = v<<8|int(d.data[0]), d.data[1:]
	}
	return v % n
}

func (d *dice) coin() bool { return d.roll(2) == 1 }

// bytes returns n bytes, which repeat themselves.
func (d *dice) bytes(n int) []byte {
	first, step := byte(d.roll(256)), byte(d.roll(4))
	b := make([]byte, n)
	for i := range b {
		b[i] = first + step*byte(i)
	}
	return b
}

// name makes one that is like no other, and sometimes longer than the kernel takes.
func (d *dice) name(prefix string, i int) string {
	if d.coin() {
		return fmt.Sprintf("%s_%d", prefix, i)
	}
	return fmt.Sprintf("%d_%s_with_a_name_that_is_cut", i, prefix)
}

func (d *dice) object() *object.Object {
	o := &object.Object{Name: "fuzz", File: "fuzz.bpf.o", Order: binary.LittleEndian, License: "GPL"}
	d.obj = o
	if d.coin() {
		o.Order = binary.BigEndian
	}
	if d.coin() {
		d.types()
	}
	for i := range d.roll(70) {
		d.addMap(i)
	}
	for i := range d.roll(4) {
		o.Externs = append(o.Externs, &object.Extern{
			Name: d.name("symbol", i), Kind: []object.ExternKind{object.Kfunc, object.TypedKsym, object.TypelessKsym}[d.roll(3)], Weak: d.coin(),
		})
		if e := o.Externs[i]; e.Kind == object.Kfunc && len(d.functions) > 0 {
			e.Type = d.functions[i%len(d.functions)]
		}
	}
	for i := range d.roll(40) {
		d.addProgram(i)
	}
	d.fill()
	return o
}

// types gives the object some type information: numbers, and functions.
func (d *dice) types() {
	spec := &btf.Spec{Order: d.obj.Order, Types: make([]btf.Type, 1)}
	add := func(t btf.Type) btf.ID {
		spec.Types = append(spec.Types, t)
		return btf.ID(len(spec.Types) - 1)
	}
	for i := range 1 + d.roll(4) {
		id := add(btf.Type{Kind: btf.Int, Name: d.name("int", i), Size: 4, Extra: 32})
		d.ints = append(d.ints, id)
		proto := add(btf.Type{Kind: btf.FuncProto, Ref: id})
		d.functions = append(d.functions, add(btf.Type{Kind: btf.Func, Name: d.name("function", i), Ref: proto, Extra: btf.Global}))
	}
	d.obj.BTF = spec
}

func (d *dice) addMap(i int) {
	m := &object.Map{Name: d.name("map", i), KeySize: 4, MaxEntries: uint32(1 + d.roll(1000)), NUMANode: 0, Freeze: d.coin()}
	m.KernelName = m.Name[:min(len(m.Name), 15)]
	m.ValueSize = uint32(1 + d.roll(600))
	switch d.roll(6) {
	case 0: // a data section
		m.Type, m.MaxEntries, m.Section, m.Data = uapi.MapTypeArray, 1, ".data", d.bytes(int(m.ValueSize))
		m.Flags = []uapi.MapFlags{0, uapi.MapFlagMmapable, uapi.MapFlagReadOnlyProg}[d.roll(3)]
	case 1:
		m.Type, m.MaxEntries, m.Section, m.Data = uapi.MapTypePerCPUArray, 1, ".percpu", d.bytes(int(m.ValueSize))
	case 2:
		m.Type, m.ValueSize = uapi.MapTypeArrayOfMaps, 4
		m.Inner = &object.Map{Name: m.Name + ".inner", KernelName: "inner", Type: uapi.MapTypeArray, KeySize: 4, ValueSize: uint32(4 * (1 + d.roll(9))), MaxEntries: 1}
	case 3:
		m.Type, m.ValueSize = uapi.MapTypeProgArray, 4
	case 4:
		m.Type, m.KeySize = uapi.MapTypeHash, uint32(1+d.roll(64))
	default:
		m.Type = uapi.MapTypeArray
	}
	if m.Type == uapi.MapTypeArray && len(d.ints) > 0 && d.coin() {
		m.ValueSize, m.Data = 4, nil
		m.KeyType, m.ValueType = d.ints[d.roll(len(d.ints))], d.ints[d.roll(len(d.ints))]
	}
	d.obj.Maps = append(d.obj.Maps, m)
}

func (d *dice) addProgram(i int) {
	kinds := []struct {
		section string
		kind    object.SectionKind
		attach  string
	}{
		{"socket", object.SectionKind{Type: uapi.ProgTypeSocketFilter}, ""},
		{"xdp.frags", object.SectionKind{Type: uapi.ProgTypeXDP, ExpectedAttachType: uapi.AttachXDP, Flags: uapi.ProgFlagXDPHasFrags}, ""},
		{"syscall", object.SectionKind{Type: uapi.ProgTypeSyscall, Flags: uapi.ProgFlagSleepable}, ""},
		{"fentry/", object.SectionKind{Type: uapi.ProgTypeTracing, ExpectedAttachType: uapi.AttachTraceFentry, AttachBTF: true}, "do_something"},
		{"tp_btf/", object.SectionKind{Type: uapi.ProgTypeTracing, ExpectedAttachType: uapi.AttachTraceRawTP, AttachBTF: true}, "something"},
	}
	k := kinds[d.roll(len(kinds))]
	p := &object.Program{Name: d.name("program", i), Section: k.section + k.attach, Kind: k.kind, Attach: k.attach, Autoload: d.roll(8) != 7}
	emit := func(in ...insn.Insn) int {
		p.Insns = append(p.Insns, in...)
		return len(p.Insns) - len(in)
	}
	if len(d.functions) > 0 && d.coin() {
		p.Funcs = []btf.FuncInfo{{Offset: 0, Type: d.functions[d.roll(len(d.functions))]}}
		if d.coin() {
			p.Lines = []btf.LineInfo{{Offset: 0, File: "fuzz.bpf.c", Text: d.name("line", i), LineCol: 1 << 10}}
		}
		if d.coin() {
			p.Relos = []btf.CORERelocation{{Offset: 0, Type: d.ints[d.roll(len(d.ints))], Access: "0", Kind: 8}}
		}
	}
	emit(insn.Insn{Op: insn.MovK, Dst: insn.R0, Imm: int32(d.roll(1 << 16))})
	for range d.roll(8) {
		load := []insn.Insn{{Op: insn.LoadImm64, Dst: uint8(1 + d.roll(5))}, {}}
		switch {
		case len(d.obj.Maps) > 0 && d.coin():
			m := d.obj.Maps[d.roll(len(d.obj.Maps))]
			ref := object.Ref{Insn: emit(load...), Map: m}
			if m.Section != "" && d.coin() {
				ref.Value, ref.Offset = true, int32(d.roll(int(m.ValueSize)))
			}
			p.Refs = append(p.Refs, ref)
		case len(d.obj.Externs) > 0 && d.coin():
			e := d.obj.Externs[d.roll(len(d.obj.Externs))]
			if e.Kind == object.Kfunc && d.coin() {
				load = []insn.Insn{{Op: insn.Call, Src: insn.PseudoKfunc, Imm: -1}}
			}
			p.Refs = append(p.Refs, object.Ref{Insn: emit(load...), Extern: e})
		default:
			emit(insn.Insn{Op: insn.MovK, Dst: insn.R0, Imm: int32(d.roll(256))})
		}
	}
	emit(insn.Insn{Op: insn.Exit})
	d.obj.Programs = append(d.obj.Programs, p)
}

// fill gives maps of maps and of programs their contents.
func (d *dice) fill() {
	for _, m := range d.obj.Maps {
		for index := range min(d.roll(5), int(m.MaxEntries)) {
			switch s := (object.Slot{Index: uint32(index)}); m.Type {
			case uapi.MapTypeArrayOfMaps:
				for _, other := range d.obj.Maps { // one that has the template's form
					if other.Type == uapi.MapTypeArray && other.ValueSize == m.Inner.ValueSize && other.MaxEntries == 1 {
						s.Map = other
						m.Slots = append(m.Slots, s)
						break
					}
				}
			case uapi.MapTypeProgArray:
				if n := len(d.obj.Programs); n > 0 {
					if s.Program = d.obj.Programs[d.roll(n)]; s.Program.Autoload {
						m.Slots = append(m.Slots, s)
					}
				}
			}
		}
	}
}
