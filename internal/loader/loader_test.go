package loader

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// fixtures are the names of the objects of tests/features, compiled for both byte orders.
func fixtures(tb testing.TB) []string {
	tb.Helper()
	dir := filepath.Join("..", "object", "testdata")
	files, err := filepath.Glob(filepath.Join(dir, "*.o"))
	qt.Assert(tb, qt.IsNil(err))
	more, err := filepath.Glob(filepath.Join(dir, "eb", "*.o"))
	qt.Assert(tb, qt.IsNil(err))
	qt.Assert(tb, qt.IsTrue(len(files) > 10 && len(more) == len(files)))
	return append(files, more...)
}

// kconfig are values for the fixtures that ask for some.
var kconfig = map[string]string{
	"LINUX_KERNEL_VERSION": "0x70304", "CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m",
	"CONFIG_DEFAULT_HOSTNAME": `"(none)"`,
}

func parse(tb testing.TB, file string) *object.Object {
	tb.Helper()
	raw, err := os.ReadFile(file)
	qt.Assert(tb, qt.IsNil(err))
	o, err := object.Parse(file, raw, object.Options{Kconfig: kconfig})
	qt.Assert(tb, qt.IsNil(err))
	return o
}

func compile(tb testing.TB, o *object.Object) *bundle.Bundle {
	tb.Helper()
	b, err := Compile(o, Options{})
	qt.Assert(tb, qt.IsNil(err))
	return b
}

// eachFixture runs a test for every fixture and scheme.
func eachFixture(t *testing.T, test func(t *testing.T, o *object.Object, b *bundle.Bundle, l simkernel.Loader)) {
	for _, file := range fixtures(t) {
		for _, s := range bundle.Schemes {
			name := strings.TrimPrefix(file, filepath.Join("..", "object", "testdata")+"/")
			t.Run(fmt.Sprintf("%s/%v", name, s), func(t *testing.T) {
				o := parse(t, file)
				b := compile(t, o)
				l, err := simkernel.FromBundle(b, s)
				qt.Assert(t, qt.IsNil(err))
				test(t, o, b, l)
			})
		}
	}
}

// A loader run in the simulated kernel makes what the object says.
func TestLoaderMakesWhatTheObjectSays(t *testing.T) {
	eachFixture(t, func(t *testing.T, o *object.Object, b *bundle.Bundle, l simkernel.Loader) {
		res := simkernel.Run(l, simkernel.Options{})
		qt.Assert(t, qt.IsNil(res.Err()))
		qt.Assert(t, qt.Equals(res.Errno, 0), qt.Commentf("%s", res.Why))
		checkMade(t, o, b, res)
	})
}

// checkMade checks that what a loader has left in its context is what the object says.
func checkMade(t *testing.T, o *object.Object, b *bundle.Bundle, res *simkernel.Result) {
	t.Helper()
	for _, m := range b.Maps {
		got, ok := res.Descriptors[int(m.Ctx)].(*simkernel.Map)
		qt.Assert(t, qt.IsTrue(ok), qt.Commentf("map %s", m.Name))
		i := slices.IndexFunc(o.Maps, func(om *object.Map) bool { return om.Name == m.Name })
		checkMap(t, o, o.Maps[i], got)
	}
	loaded := 0
	for _, p := range o.Programs {
		if p.Autoload {
			loaded++
		}
	}
	qt.Assert(t, qt.Equals(len(b.Programs), loaded))
	for _, p := range b.Programs {
		got, ok := res.Descriptors[int(p.Ctx)].(*simkernel.Prog)
		qt.Assert(t, qt.IsTrue(ok), qt.Commentf("program %s", p.Name))
		i := slices.IndexFunc(o.Programs, func(op *object.Program) bool { return op.Name == p.Name })
		checkProgram(t, o, o.Programs[i], got)
	}
	qt.Check(t, qt.Equals(len(res.Descriptors), len(b.Maps)+len(b.Programs)))
}

func checkMap(t *testing.T, o *object.Object, want *object.Map, got *simkernel.Map) {
	t.Helper()
	c := qt.Commentf("map %s", want.Name)
	qt.Check(t, qt.Equals(got.Name, want.KernelName), c)
	qt.Check(t, qt.Equals(uapi.MapType(got.Type), want.Type), c)
	qt.Check(t, qt.Equals(got.KeySize, want.KeySize), c)
	qt.Check(t, qt.Equals(got.ValueSize, valueSize(o, want)), c)
	qt.Check(t, qt.Equals(got.MaxEntries, want.MaxEntries), c)
	qt.Check(t, qt.Equals(uapi.MapFlags(got.Flags), want.Flags), c)
	qt.Check(t, qt.Equals(got.Extra, extra(want)), c)
	qt.Check(t, qt.Equals(got.Frozen, want.Freeze), c)
	if want.ValueType != 0 && want.StructOps == nil {
		qt.Check(t, qt.IsTrue(got.BTF != nil && got.ValueType != 0), c)
	}
	switch {
	case len(want.Slots) > 0:
		qt.Assert(t, qt.HasLen(got.Updates, len(want.Slots)), c)
		for i, s := range want.Slots {
			u := got.Updates[i]
			qt.Check(t, qt.Equals(o.Order.Uint32(u.Key), s.Index), c)
			if s.Map != nil {
				qt.Check(t, qt.Equals(u.Map.Name, s.Map.KernelName), c)
			} else {
				qt.Check(t, qt.Equals(u.Prog.Name, cut(s.Program.Name)), c)
			}
		}
	case len(bytes.Trim(want.Data, "\x00")) > 0 && want.Type != uapi.MapTypeArena:
		qt.Assert(t, qt.HasLen(got.Updates, 1), c)
		qt.Check(t, qt.DeepEquals(got.Updates[0].Value, want.Data), c)
		qt.Check(t, qt.DeepEquals(got.Updates[0].Key, make([]byte, 4)), c)
	case want.StructOps != nil:
		qt.Assert(t, qt.HasLen(got.Updates, 1), c)
		qt.Check(t, qt.Equals(len(got.Updates[0].Progs), len(want.StructOps.Programs)), c)
	default:
		qt.Check(t, qt.HasLen(got.Updates, 0), c)
	}
	if want.Inner != nil {
		qt.Check(t, qt.Equals(got.Inner.ValueSize, want.Inner.ValueSize), c)
	}
}

// valueSize is the size of a map's value as the kernel is told: that of a struct_ops map is the loader's to find out.
func valueSize(o *object.Object, m *object.Map) uint32 {
	if m.StructOps == nil {
		return m.ValueSize
	}
	table := o.BTF.Types[m.StructOps.Type].Size
	return structOpsHeader + (table+cacheLine-1)/cacheLine*cacheLine
}

// extra is a map's map_extra as the kernel is told: an arena needs an address, which the object may leave open.
func extra(m *object.Map) uint64 {
	if m.Type == uapi.MapTypeArena && m.Extra == 0 {
		return arenaAddress
	}
	return m.Extra
}

// cut is a name as the kernel is told.
func cut(name string) string { return name[:min(15, len(name))] }

func checkProgram(t *testing.T, o *object.Object, want *object.Program, got *simkernel.Prog) {
	t.Helper()
	c := qt.Commentf("program %s", want.Name)
	qt.Check(t, qt.Equals(got.Name, cut(want.Name)), c)
	qt.Check(t, qt.Equals(uapi.ProgType(got.Type), want.Kind.Type), c)
	qt.Check(t, qt.Equals(uapi.ProgFlags(got.Flags), want.Kind.Flags), c)
	qt.Check(t, qt.Equals(got.License, o.License), c)
	qt.Check(t, qt.Equals(len(got.Insns), len(want.Insns)*insn.Size), c)
	qt.Check(t, qt.Equals(int(got.FuncInfo.Count), len(want.Funcs)), c)
	qt.Check(t, qt.Equals(int(got.LineInfo.Count), len(want.Lines)), c)
	qt.Check(t, qt.Equals(int(got.Relocation.Count), len(want.Relos)), c)
	if want.Kind.AttachBTF {
		qt.Assert(t, qt.IsNotNil(got.Attach), c)
		qt.Check(t, qt.Equals(got.Attach.Name, want.Kind.ExpectedAttachType.TargetPrefix()+want.Attach), c)
	}
	for _, ref := range want.Refs {
		r, ok := got.Refs[ref.Insn]
		qt.Assert(t, qt.IsTrue(ok), c)
		switch {
		case ref.Map != nil:
			qt.Check(t, qt.Equals(r.Map.Name, ref.Map.KernelName), c)
			qt.Check(t, qt.Equals(r.Value, ref.Value), c)
			qt.Check(t, qt.Equals(r.Offset, uint32(ref.Offset)), c)
		default:
			qt.Check(t, qt.Equals(r.Symbol.Name, ref.Extern.Name), c)
		}
	}
}

// A map-hash loader refuses whatever a host does to its metadata map, before it calls anything.
func TestChecksComeFirst(t *testing.T) {
	eachFixture(t, func(t *testing.T, _ *object.Object, _ *bundle.Bundle, l simkernel.Loader) {
		for _, s := range simkernel.Scenarios {
			if s == simkernel.Honest || s == simkernel.NotHashed && l.Scheme == bundle.Payload { // that kernel hashes itself
				continue
			}
			res := simkernel.Run(l, simkernel.Options{Scenario: s})
			qt.Check(t, qt.IsNil(res.Err()), qt.Commentf("%s", s))
			qt.Check(t, qt.Not(qt.Equals(res.Errno, 0)), qt.Commentf("%s", s))
			qt.Check(t, qt.HasLen(res.Maps, 0), qt.Commentf("%s", s))
			if res.Stage == simkernel.StageRun {
				qt.Check(t, qt.Equals(res.Errno, simkernel.EINVAL), qt.Commentf("%s", s))
			}
			for _, e := range res.Events {
				qt.Check(t, qt.IsTrue(e.Kind == simkernel.EventHost || e.Kind == simkernel.EventCheck), qt.Commentf("%s: %+v", s, e))
			}
		}
	})
}

// Whichever call fails, the loader returns its error and leaves nothing open.
func TestEveryFailureIsCleanedUp(t *testing.T) {
	eachFixture(t, func(t *testing.T, o *object.Object, b *bundle.Bundle, l simkernel.Loader) {
		calls := 0
		for _, e := range simkernel.Run(l, simkernel.Options{}).Events {
			calls = max(calls, e.N)
		}
		qt.Assert(t, qt.IsTrue(calls >= len(b.Maps)+len(b.Programs)))
		for n := 1; n <= calls; n++ {
			res := simkernel.Run(l, simkernel.Options{Config: simkernel.Config{FailCall: n, FailErrno: simkernel.EPERM}})
			qt.Assert(t, qt.IsNil(res.Err()), qt.Commentf("call %d of %d", n, calls))
			want := simkernel.EPERM
			if slices.ContainsFunc(res.Events, func(ev *simkernel.Event) bool { return ev.Injected && forgiven(o, ev) }) {
				want = 0
			}
			qt.Check(t, qt.Equals(res.Errno, want), qt.Commentf("call %d of %d", n, calls))
		}
	})
}

// missingWeak says of a call whether it was made to fail and looked up a symbol that may be missing: that need not be told.
func missingWeak(o *object.Object) func(*simkernel.Event) bool {
	return func(ev *simkernel.Event) bool {
		return ev.Injected && ev.Symbol != nil &&
			slices.ContainsFunc(o.Externs, func(e *object.Extern) bool { return e.Weak && e.Name == ev.Symbol.Name })
	}
}

// A frozen map takes no update: one that is filled with maps or programs is frozen after that.
func TestFreezeComesLast(t *testing.T) {
	o := many(2)
	array := func(name string, typ uapi.MapType, s object.Slot) *object.Map {
		return &object.Map{Name: name, KernelName: name, Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1, Freeze: true, Slots: []object.Slot{s}}
	}
	programs := array("programs", uapi.MapTypeProgArray, object.Slot{Program: o.Programs[1]})
	maps := array("maps", uapi.MapTypeArrayOfMaps, object.Slot{Map: o.Maps[0]})
	maps.Inner = &object.Map{Name: "inner", KernelName: "inner", Type: uapi.MapTypeArray, KeySize: 4, ValueSize: 64, MaxEntries: 1}
	o.Maps[0].Freeze = true
	o.Maps = append(o.Maps, programs, maps)
	b := compile(t, o)
	for _, s := range bundle.Schemes {
		l, err := simkernel.FromBundle(b, s)
		qt.Assert(t, qt.IsNil(err))
		res := simkernel.Run(l, simkernel.Options{})
		qt.Assert(t, qt.IsNil(res.Err()))
		qt.Assert(t, qt.Equals(res.Errno, 0), qt.Commentf("%s", res.Why))
		checkMade(t, o, b, res)
	}
}

// What the kernel has in a module is found there, and the module's BTF is closed again.
func TestModules(t *testing.T) {
	eachFixture(t, func(t *testing.T, _ *object.Object, _ *bundle.Bundle, l simkernel.Loader) {
		res := simkernel.Run(l, simkernel.Options{Config: simkernel.Config{
			Lookup: func(string, uint32) (string, bool) { return "a_module", true },
		}})
		qt.Assert(t, qt.IsNil(res.Err()))
		qt.Check(t, qt.Equals(res.Errno, 0), qt.Commentf("%s", res.Why))
	})
}

func TestWeakSymbolsMayBeMissing(t *testing.T) {
	o := parse(t, filepath.Join("..", "object", "testdata", "ksyms.bpf.o"))
	l, err := simkernel.FromBundle(compile(t, o), bundle.Payload)
	qt.Assert(t, qt.IsNil(err))
	lookup := func(missing string) *simkernel.Result {
		return simkernel.Run(l, simkernel.Options{Config: simkernel.Config{
			Lookup: func(name string, _ uint32) (string, bool) { return "", !strings.HasPrefix(name, missing) },
		}})
	}
	res := lookup("no_such")
	qt.Assert(t, qt.IsNil(res.Err()))
	qt.Assert(t, qt.Equals(res.Errno, 0))
	for _, in := range decode(t, o, res.Progs[0].Insns) {
		qt.Check(t, qt.IsFalse(in.IsLoadImm64() && in.Src == insn.PseudoBTFID && in.Imm == 0))
	}
	res = lookup("bpf_task_release")
	qt.Check(t, qt.IsNil(res.Err()))
	qt.Check(t, qt.Equals(res.Errno, simkernel.ENOENT))
}

func decode(t *testing.T, o *object.Object, raw []byte) []insn.Insn {
	t.Helper()
	insns, err := insn.Decode(raw, o.Order)
	qt.Assert(t, qt.IsNil(err))
	return insns
}

func TestCompileIsAFunctionOfItsInput(t *testing.T) {
	for _, file := range fixtures(t) {
		first, err := bundle.Encode(compile(t, parse(t, file)))
		qt.Assert(t, qt.IsNil(err))
		for range 5 {
			again, err := bundle.Encode(compile(t, parse(t, file)))
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.IsTrue(bytes.Equal(first, again)), qt.Commentf("%s", file))
		}
		b, err := bundle.Decode(first)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.HasLen(b.Loaders, 2))
	}
}

// Compile leaves the object as it is: a caller may compile it again with other options, or look at it.
func TestCompileDoesNotModifyTheObject(t *testing.T) {
	for _, file := range fixtures(t) {
		o := parse(t, file)
		compile(t, o)
		qt.Check(t, qt.IsTrue(reflect.DeepEqual(o, parse(t, file))), qt.Commentf("%s", file))
	}
}

// The two loaders of a bundle differ by the check alone.
func TestSchemesDifferByTheCheckAlone(t *testing.T) {
	for _, file := range fixtures(t) {
		b := compile(t, parse(t, file))
		a, p := b.Loader(bundle.MapHash).Insns, b.Loader(bundle.Payload).Insns
		check := len(a) - len(p)
		qt.Check(t, qt.Equals(check, 27*insn.Size))
		qt.Check(t, qt.IsTrue(bytes.Equal(a[:insn.Size], p[:insn.Size])))
		qt.Check(t, qt.IsTrue(bytes.Equal(a[insn.Size+check:], p[insn.Size:])))
	}
}
