package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// kconfig are values for the fixture kconfig.bpf.o.
var kconfig = map[string]string{
	"LINUX_KERNEL_VERSION": "0x70304", "CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m",
	"CONFIG_DEFAULT_HOSTNAME": `"(none)"`,
}

// fixture reads an object of testdata: those of tests/features, compiled.
func fixture(t *testing.T, name string) *Object {
	t.Helper()
	file := filepath.Join("testdata", name+".bpf.o")
	raw, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	o, err := Parse(file, raw, Options{Kconfig: kconfig})
	qt.Assert(t, qt.IsNil(err))
	return o
}

func (o *Object) findMap(t *testing.T, name string) *Map {
	t.Helper()
	for _, m := range o.Maps {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no map %s", name)
	return nil
}

func (o *Object) findProgram(t *testing.T, name string) *Program {
	t.Helper()
	for _, p := range o.Programs {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no program %s", name)
	return nil
}

func TestSections(t *testing.T) {
	o := fixture(t, "sections")
	qt.Check(t, qt.Equals(o.Name, "sections"))
	qt.Check(t, qt.Equals(o.License, "GPL"))
	for _, want := range []struct {
		program string
		kind    SectionKind
		attach  string
	}{
		{"on_socket", SectionKind{Type: uapi.ProgTypeSocketFilter}, ""},
		{"on_uprobe_s", SectionKind{Type: uapi.ProgTypeKprobe, Flags: uapi.ProgFlagSleepable}, ""},
		{"on_kprobe_multi", SectionKind{Type: uapi.ProgTypeKprobe, ExpectedAttachType: uapi.AttachTraceKprobeMulti}, ""},
		{"on_tp_btf", SectionKind{Type: uapi.ProgTypeTracing, ExpectedAttachType: uapi.AttachTraceRawTP, AttachBTF: true}, "sched_process_exec"},
		{"on_lsm_s", SectionKind{Type: uapi.ProgTypeLSM, ExpectedAttachType: uapi.AttachLSMMAC, Flags: uapi.ProgFlagSleepable, AttachBTF: true}, "file_open"},
		{"on_iter", SectionKind{Type: uapi.ProgTypeTracing, ExpectedAttachType: uapi.AttachTraceIter, AttachBTF: true}, "task"},
		{"on_xdp_frags", SectionKind{Type: uapi.ProgTypeXDP, ExpectedAttachType: uapi.AttachXDP, Flags: uapi.ProgFlagXDPHasFrags}, ""},
		{"on_connect4", SectionKind{Type: uapi.ProgTypeCgroupSockAddr, ExpectedAttachType: uapi.AttachCgroupInet4Connect}, ""},
		{"on_syscall", SectionKind{Type: uapi.ProgTypeSyscall, Flags: uapi.ProgFlagSleepable}, ""},
	} {
		p := o.findProgram(t, want.program)
		qt.Check(t, qt.Equals(p.Kind, want.kind), qt.Commentf("%s", want.program))
		qt.Check(t, qt.Equals(p.Attach, want.attach), qt.Commentf("%s", want.program))
		qt.Check(t, qt.IsTrue(p.Autoload))
	}
	qt.Check(t, qt.IsFalse(o.findProgram(t, "not_loaded").Autoload))
}

func TestMapDefinitions(t *testing.T) {
	o := fixture(t, "maps")
	m := o.findMap(t, "hash")
	qt.Check(t, qt.Equals(m.Type, uapi.MapTypeHash))
	qt.Check(t, qt.Equals(m.KeySize, 8))
	qt.Check(t, qt.Equals(m.ValueSize, 24))
	qt.Check(t, qt.Equals(o.BTF.Types[m.KeyType].Name, "key"))
	qt.Check(t, qt.Equals(o.BTF.Types[m.ValueType].Name, "value"))
	qt.Check(t, qt.Equals(o.findMap(t, "events").MaxEntries, 8192))
	qt.Check(t, qt.Equals(o.findMap(t, "perf").MaxEntries, perfEventCPUs))
	qt.Check(t, qt.Equals(o.findMap(t, "bloom").Extra, 3))
	qt.Check(t, qt.Equals(o.findMap(t, "pinned").Pinning, 1))
	qt.Check(t, qt.Equals(o.findMap(t, "lpm").Flags, uapi.MapFlagNoPrealloc))
	qt.Check(t, qt.Equals(o.findMap(t, "sized").ValueSize, 24))
	// The kernel takes no types for these.
	qt.Check(t, qt.Equals(o.findMap(t, "sockmap").ValueType, 0))
}

func TestDataMaps(t *testing.T) {
	o := fixture(t, "data")
	for _, want := range []struct {
		section, kernel string
		flags           uapi.MapFlags
		freeze          bool
	}{
		{".rodata", "data.rodata", uapi.MapFlagReadOnlyProg | uapi.MapFlagMmapable, true},
		{".data", "data.data", uapi.MapFlagMmapable, false},
		{".bss", "data.bss", uapi.MapFlagMmapable, false},
		{".data.custom", ".data.custom", uapi.MapFlagMmapable, false},
		{".rodata.fixed", ".rodata.fixed", uapi.MapFlagReadOnlyProg | uapi.MapFlagMmapable, true},
		{".data.hidden", ".data.hidden", 0, false},
	} {
		m := o.findMap(t, want.section)
		qt.Check(t, qt.Equals(m.KernelName, want.kernel))
		qt.Check(t, qt.Equals(m.Flags, want.flags), qt.Commentf("%s", want.section))
		qt.Check(t, qt.Equals(m.Freeze, want.freeze))
		qt.Check(t, qt.Equals(o.BTF.Types[m.ValueType].Size, m.ValueSize), qt.Commentf("%s", want.section))
	}
	qt.Check(t, qt.Equals(binary.LittleEndian.Uint32(o.findMap(t, ".data.custom").Data), 0x600d))
	qt.Check(t, qt.IsNil(o.findMap(t, ".bss").Data))
	qt.Check(t, qt.StringContains(string(o.findMap(t, ".rodata").Data), "signed and sealed"))
}

func TestFunctionsAreLinkedOnceEach(t *testing.T) {
	o := fixture(t, "functions")
	p := o.findProgram(t, "first")
	// first, and the functions that it reaches: step, twice, add, inner.
	qt.Assert(t, qt.HasLen(p.Funcs, 5))
	starts := map[int]bool{}
	for _, f := range p.Funcs {
		starts[int(f.Offset)] = true
	}
	calls := 0
	for i, in := range p.Insns {
		if in.IsCall() && in.Src == insn.PseudoCall || in.IsLoadImm64() && in.Src == insn.PseudoFunc {
			calls++
			qt.Check(t, qt.IsTrue(starts[i+int(in.Imm)+1]), qt.Commentf("instruction %d refers to the middle of a function", i))
		}
	}
	qt.Check(t, qt.Equals(calls, 5))
	qt.Check(t, qt.StringContains(p.SourceLine(0), "functions.bpf.c:"))
	qt.Check(t, qt.HasLen(o.findProgram(t, "second").Funcs, 3))
}

func TestSlots(t *testing.T) {
	o := fixture(t, "tailcalls")
	m := o.findMap(t, "jumps")
	qt.Assert(t, qt.HasLen(m.Slots, 2))
	qt.Check(t, qt.Equals(m.Slots[0], Slot{Index: 0, Program: o.findProgram(t, "leaf_a")}))
	qt.Check(t, qt.Equals(m.Slots[1], Slot{Index: 2, Program: o.findProgram(t, "leaf_b")}))

	o = fixture(t, "maps_of_maps")
	m = o.findMap(t, "hash")
	qt.Assert(t, qt.HasLen(m.Slots, 1))
	qt.Check(t, qt.Equals(m.Slots[0], Slot{Index: 5, Map: o.findMap(t, "three")}))
	qt.Check(t, qt.Equals(m.Inner.ValueSize, 8))
	qt.Check(t, qt.HasLen(o.findMap(t, "unfilled").Slots, 0))
}

func TestExterns(t *testing.T) {
	o := fixture(t, "ksyms")
	got := map[string]Extern{}
	for _, e := range o.Externs {
		got[e.Name] = Extern{Kind: e.Kind, Weak: e.Weak}
	}
	qt.Check(t, qt.DeepEquals(got, map[string]Extern{
		"bpf_task_from_pid": {Kind: Kfunc}, "bpf_task_release": {Kind: Kfunc}, "no_such_kfunc": {Kind: Kfunc, Weak: true},
		"bpf_prog_active": {Kind: TypedKsym}, "no_such_variable": {Kind: TypedKsym, Weak: true},
		"bpf_map_fops": {Kind: TypelessKsym}, "no_such_address": {Kind: TypelessKsym, Weak: true},
	}))
}

func TestExceptionCallbackIsLinked(t *testing.T) {
	o := fixture(t, "exceptions")
	p := o.findProgram(t, "thrower")
	qt.Assert(t, qt.HasLen(p.Funcs, 2))
	qt.Check(t, qt.Equals(o.BTF.Types[p.Funcs[1].Type].Name, "on_throw"))
}

func TestKconfig(t *testing.T) {
	o := fixture(t, "kconfig")
	m := o.findMap(t, ".kconfig")
	qt.Check(t, qt.IsTrue(m.Freeze))
	want := map[string]any{"LINUX_KERNEL_VERSION": uint32(0x70304), "CONFIG_HZ": uint32(250), "CONFIG_TUN": uint32(2)}
	for _, e := range o.Externs {
		if v, ok := want[e.Name]; ok {
			qt.Check(t, qt.Equals[any](binary.LittleEndian.Uint32(m.Data[e.Offset:]), v), qt.Commentf("%s", e.Name))
		}
		if e.Name == "CONFIG_DEFAULT_HOSTNAME" {
			qt.Check(t, qt.Equals(string(m.Data[e.Offset:e.Offset+7]), "(none)\x00"))
		}
	}
	for _, bad := range []struct{ name, value, says string }{
		{"CONFIG_HZ", "", "declare it: -kconfig CONFIG_HZ=VALUE"},
		{"CONFIG_HZ", "fast", "want y, m, n or a number"},
		{"CONFIG_HZ", "0x100000000", "does not fit 4 bytes"},
		{"CONFIG_BPF_SYSCALL", "m", "m is no value for a bool"},
		{"CONFIG_DEFAULT_HOSTNAME", "bare", "want a string in double quotes"},
		{"CONFIG_DEFAULT_HOSTNAME", `"more than sixteen"`, "does not fit 16 bytes"},
	} {
		values := map[string]string{}
		for k, v := range kconfig {
			values[k] = v
		}
		if values[bad.name] = bad.value; bad.value == "" {
			delete(values, bad.name)
		}
		raw, err := os.ReadFile("testdata/kconfig.bpf.o")
		qt.Assert(t, qt.IsNil(err))
		_, err = Parse("kconfig.bpf.o", raw, Options{Kconfig: values})
		qt.Check(t, qt.ErrorIs(err, ErrObject))
		qt.Check(t, qt.ErrorMatches(err, "kconfig.bpf.o: .*"+bad.name+".*"))
		qt.Check(t, qt.StringContains(err.Error(), bad.says))
	}
}

// An extern may be declared to be of any size: it is refused before there is memory for it.
func TestKconfigOfAnySize(t *testing.T) {
	raw, err := os.ReadFile("testdata/kconfig.bpf.o")
	qt.Assert(t, qt.IsNil(err))
	// In BTF char[16] is {name, kind, unused, element, index, 16}, and the first array.
	array := bytes.Index(raw, []byte{0, 0, 0, 0, 0, 0, 0, byte(btf.Array), 0, 0, 0, 0})
	length := raw[array+5*4:]
	qt.Assert(t, qt.Equals(binary.LittleEndian.Uint32(length), 16))
	for _, n := range []uint32{1<<20 - 1, 1 << 31, 1<<32 - 16, 1<<32 - 1} {
		binary.LittleEndian.PutUint32(length, n)
		_, err = Parse("kconfig.bpf.o", raw, Options{Kconfig: kconfig})
		qt.Assert(t, qt.ErrorIs(err, ErrObject))
		qt.Check(t, qt.ErrorMatches(err, "kconfig.bpf.o: .*extern CONFIG_.*: has .* bytes, and all kernel configuration together may have 1048576.*"))
	}
}

func TestStructOps(t *testing.T) {
	o := fixture(t, "structops")
	m := o.findMap(t, "ops")
	qt.Check(t, qt.Equals(m.StructOps.TypeName, "tcp_congestion_ops"))
	qt.Check(t, qt.Equals(m.Flags, uapi.MapFlagLink))
	qt.Check(t, qt.HasLen(m.StructOps.Programs, 4))
	qt.Check(t, qt.Equals(o.member(t, m, "undo_cwnd"), o.findProgram(t, "ops_undo_cwnd")))
}

// member returns the program that is a member of a struct_ops map.
func (o *Object) member(t *testing.T, m *Map, name string) *Program {
	t.Helper()
	for i, member := range o.BTF.Types[m.StructOps.Type].Members {
		if member.Name == name {
			return m.StructOps.Programs[i]
		}
	}
	t.Fatalf("no member %s", name)
	return nil
}

// A program is loaded if an enabled map names it, whatever its own section says.
func TestStructOpsMapsDecideWhatIsLoaded(t *testing.T) {
	for _, name := range []string{"structops_shared", "eb/structops_shared"} {
		o := fixture(t, name)
		for program, loaded := range map[string]bool{
			"shared_init": true, "shared_ssthresh": true, "shared_cong_avoid": true, "shared_undo_cwnd": true,
			"disabled_release": false, "unused_release": false,
		} {
			qt.Check(t, qt.Equals(o.findProgram(t, program).Autoload, loaded), qt.Commentf("%s", program))
		}
		for table, disabled := range map[string]bool{"first": false, "second": false, "disabled": true} {
			m := o.findMap(t, table)
			qt.Check(t, qt.Equals(m.Disabled, disabled))
			qt.Check(t, qt.HasLen(m.StructOps.Programs, 4))
			qt.Check(t, qt.Equals(o.member(t, m, "ssthresh"), o.findProgram(t, "shared_ssthresh")))
			init := o.findProgram(t, "shared_init")
			qt.Check(t, qt.Equals(o.member(t, m, "init") == init, !disabled))
		}
	}
}

// What cannot be a member of a struct_ops map is an error that says which member, and why.
func TestStructOpsMembersThatCannotBeFilled(t *testing.T) {
	o := fixture(t, "structops_shared")
	table := &o.BTF.Types[o.findMap(t, "first").StructOps.Type]
	offset := func(member string) uint64 {
		i := slices.IndexFunc(table.Members, func(m btf.Member) bool { return m.Name == member })
		return table.Members[i].Offset / 8
	}
	for _, bad := range []struct {
		offset uint64
		symbol string
		says   string
	}{
		{offset("init"), "function", `struct_ops map first: member init: function is not a program: put it into SEC("struct_ops")`},
		{offset("init"), "on_socket", `struct_ops map first: member init: program on_socket is in section ?socket: put it into SEC("struct_ops")`},
		{offset("init"), "inits", `struct_ops map first: member init: inits is not a function of the object`},
		{offset("name"), "shared_init", `struct_ops map first: member name: shared_init is put there, and it is not a pointer to a function`},
		{offset("owner"), "shared_init", `struct_ops map first: member owner: shared_init is put there, and it is not a pointer to a function`},
		{offset("init") + 4, "shared_init", `struct_ops map first: shared_init is put at byte 148, where no member begins`},
		{uint64(table.Size) * 2, "shared_init", `section .struct_ops.link: shared_init is put at byte 384, where no table is`},
	} {
		raw, err := os.ReadFile("testdata/structops_shared.bpf.o")
		qt.Assert(t, qt.IsNil(err))
		patchRelocation(t, raw, ".rel.struct_ops.link", bad.offset, bad.symbol)
		_, err = Parse("bad.bpf.o", raw, Options{})
		qt.Check(t, qt.ErrorIs(err, ErrObject))
		qt.Check(t, qt.StringContains(fmt.Sprint(err), bad.says))
	}
}

// patchRelocation makes the first relocation of a section one for another place and symbol.
func patchRelocation(t *testing.T, raw []byte, section string, offset uint64, symbol string) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(raw))
	qt.Assert(t, qt.IsNil(err))
	symbols, err := f.Symbols()
	qt.Assert(t, qt.IsNil(err))
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == symbol })
	qt.Assert(t, qt.IsTrue(i >= 0), qt.Commentf("%s", symbol))
	entry := raw[f.Section(section).Offset:]
	f.ByteOrder.PutUint64(entry, offset)
	f.ByteOrder.PutUint64(entry[8:], uint64(i+1)<<32|f.ByteOrder.Uint64(entry[8:])&0xffffffff)
}

func TestBothByteOrdersMeanTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/*.o")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Not(qt.HasLen(files, 0)))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bpf.o")
		little, big := fixture(t, name), fixture(t, "eb/"+name)
		qt.Check(t, qt.Equals[any](big.Order, binary.BigEndian))
		qt.Assert(t, qt.Equals(len(little.Maps), len(big.Maps)))
		for i := range little.Maps {
			qt.Check(t, qt.Equals(little.Maps[i].Name, big.Maps[i].Name))
			qt.Check(t, qt.Equals(little.Maps[i].ValueSize, big.Maps[i].ValueSize))
		}
		qt.Assert(t, qt.Equals(len(little.Programs), len(big.Programs)))
		for i := range little.Programs {
			qt.Check(t, qt.Equals(little.Programs[i].Name, big.Programs[i].Name))
			qt.Check(t, qt.Equals(little.Programs[i].Kind, big.Programs[i].Kind))
		}
	}
}

func TestEssentialName(t *testing.T) {
	for name, want := range map[string]string{
		"task_struct": "task_struct", "task_struct___old": "task_struct", "a___b___c": "a___b", "___x": "___x", "x___": "x___",
	} {
		qt.Check(t, qt.Equals(essentialName(name), want))
	}
}

// FuzzParse: no object makes the reader panic, or makes it allocate much more than it is long.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.o")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	more, _ := filepath.Glob("testdata/eb/*.o")
	for _, file := range append(files, more...) {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := Parse("fuzz.bpf.o", raw, Options{Kconfig: kconfig})
		if err == nil && o == nil {
			t.Fatal("neither object nor error")
		}
	})
}
