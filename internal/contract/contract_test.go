package contract

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// compile compiles an object of internal/object/testdata.
func compile(t *testing.T, name string, change func(*object.Object)) *bundle.Bundle {
	t.Helper()
	file := filepath.Join("..", "object", "testdata", name+".bpf.o")
	raw, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	o, err := object.Parse(file, raw, object.Options{Kconfig: map[string]string{"CONFIG_HZ": "250"}})
	qt.Assert(t, qt.IsNil(err))
	if change != nil {
		change(o)
	}
	b, err := loader.Compile(o, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	return b
}

func summarize(t *testing.T, b *bundle.Bundle) *Summary {
	t.Helper()
	s, err := Summarize(b)
	qt.Assert(t, qt.IsNil(err))
	return s
}

// What an approver reads of objects that have one of everything.
func TestLines(t *testing.T) {
	for name, want := range map[string]string{
		"core": `
note      program on_exec calls bpf_probe_read_kernel, which reads any memory of the kernel
map       .bss: array, key 4, value 20, entries 1, flags mmapable
program   on_exec: tp_btf, section tp_btf/sched_process_exec, 47 instructions
          attaches to sched_process_exec and nothing else
          calls helpers: ! bpf_probe_read_kernel
          uses maps: .bss
`,
		"ksyms": `
map       .bss: array, key 4, value 20, entries 1, flags mmapable
program   look: syscall, section syscall, 37 instructions, flags sleepable
          runs when a process asks for it
          calls helpers: bpf_this_cpu_ptr
          calls kernel functions: bpf_task_from_pid, bpf_task_release, no_such_kfunc (if the kernel has it)
          refers to kernel variables: bpf_map_fops, bpf_prog_active, no_such_address (if the kernel has it), no_such_variable (if the kernel has it)
          uses maps: .bss
`,
		"arena": `
map       arena: arena, key 0, value 0, entries 100, flags mmapable, address 0x100000000000
          starts with 8 bytes of signed data at offset 405504, which the runtime writes
program   touch: syscall, section syscall, 7 instructions, flags sleepable
          runs when a process asks for it
          uses maps: arena
`,
		"tailcalls": `
map       jumps: prog_array, key 4, value 4, entries 4
          entry 0: program leaf_a
          entry 2: program leaf_b
program   leaf_a: sched_cls, section tc, 2 instructions
          attaches where the host chooses
program   leaf_b: sched_cls, section tc, 2 instructions
          attaches where the host chooses
program   root: sched_cls, section tc, 6 instructions
          attaches where the host chooses
          calls helpers: bpf_tail_call
          uses maps: jumps
`,
		"maps_of_maps": `
map       one: array, key 4, value 8, entries 1
map       three: array, key 4, value 8, entries 1
map       array: array_of_maps, key 4, value 4, entries 8
          its inner maps: array, key 4, value 8, entries 1
          entry 1: map one
          entry 3: map three
map       hash: hash_of_maps, key 4, value 4, entries 8
          its inner maps: array, key 4, value 8, entries 1
          entry 5: map three
map       unfilled: array_of_maps, key 4, value 4, entries 2
          its inner maps: array, key 4, value 8, entries 1
program   look: syscall, section syscall, 19 instructions, flags sleepable
          runs when a process asks for it
          calls helpers: bpf_map_lookup_elem
          uses maps: array
`,
		"structops": `
map       ops: struct_ops, key 4, value 256, entries 1, flags link
          implements tcp_congestion_ops: cong_avoid = ops_cong_avoid, ssthresh = ops_ssthresh, undo_cwnd = ops_undo_cwnd, init = ops_init
program   ops_init: struct_ops, section struct_ops, 1 instruction
          runs as a member of tcp_congestion_ops
program   ops_ssthresh: struct_ops, section struct_ops, 2 instructions
          runs as a member of tcp_congestion_ops
program   ops_cong_avoid: struct_ops, section struct_ops, 1 instruction
          runs as a member of tcp_congestion_ops
program   ops_undo_cwnd: struct_ops, section struct_ops, 2 instructions
          runs as a member of tcp_congestion_ops
`,
	} {
		t.Run(name, func(t *testing.T) {
			qt.Check(t, qt.Equals(strings.Join(summarize(t, compile(t, name, nil)).Lines(), "\n"), strings.Trim(want, "\n")))
		})
	}
	maps := strings.Join(summarize(t, compile(t, "maps", nil)).Lines(), "\n")
	for _, want := range []string{
		"map       pinned: array, key 4, value 8, entries 1\n          pinned by its name: other processes can open it\n",
		"map       sized: hash, key 8, value 24, entries 16, flags no_prealloc,numa_node, NUMA node 0\n",
		"map       bloom: bloom_filter, key 0, value 8, entries 100, extra 0x3\n",
	} {
		qt.Check(t, qt.StringContains(maps, want))
	}
	data := strings.Join(summarize(t, compile(t, "data", nil)).Lines(), "\n")
	qt.Check(t, qt.StringContains(data, "          starts with 22 bytes of signed data; frozen: user space cannot change it\n"))
	sections := strings.Join(summarize(t, compile(t, "sections", nil)).Lines(), "\n")
	qt.Check(t, qt.StringContains(sections, "section kprobe/do_nanosleep, 2 instructions\n          attaches to do_nanosleep, unless the host chooses something else\n"))
}

// A struct_ops map without BPF_F_LINK is created and left empty.
func TestStructOpsWithoutLink(t *testing.T) {
	b := compile(t, "structops", func(o *object.Object) { o.Maps[0].Flags = 0 })
	qt.Check(t, qt.StringContains(strings.Join(summarize(t, b).Lines(), "\n"),
		"\n          implements tcp_congestion_ops, and is left empty: filling it would attach it\n"))
}

// What an approver looks for first comes first, and is marked wherever it is named.
func TestSensitiveCalls(t *testing.T) {
	b := compile(t, "core", func(o *object.Object) {
		p := o.Programs[0]
		call := func(h uapi.Helper) insn.Insn { return insn.Insn{Op: insn.Call, Imm: int32(h)} }
		p.Insns = append([]insn.Insn{call(uapi.HelperSendSignal), call(uapi.HelperProbeWriteUser), call(uapi.HelperProbeWriteUser), call(9999)},
			p.Insns...)
		p.Refs, p.Relos, p.Lines, p.Funcs = nil, nil, nil, p.Funcs[:1]
	})
	s := summarize(t, b)
	text := s.Lines()
	qt.Check(t, qt.DeepEquals(text[:4], []string{
		"WARNING   program on_exec calls bpf_probe_write_user, which writes to the memory of processes",
		"WARNING   program on_exec calls bpf_send_signal, which sends signals to processes",
		"note      program on_exec calls bpf_probe_read_kernel, which reads any memory of the kernel",
		"map       .bss: array, key 4, value 20, entries 1, flags mmapable",
	}))
	qt.Check(t, qt.IsTrue(slices.Contains(text, "          calls helpers: !! bpf_probe_write_user, !! bpf_send_signal, ! bpf_probe_read_kernel, helper 9999")))
	qt.Check(t, qt.Equals(s.Programs[0].Helpers[0].Count, 2))
	out, err := json.Marshal(s)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(string(out),
		`"helpers":[{"name":"bpf_probe_write_user","count":2,"sensitivity":"acts","effect":"writes to the memory of processes"}`))
}

// An address whose second slot looks like a call is not a call.
func TestSecondSlots(t *testing.T) {
	call := insn.Insn{Op: insn.Call, Imm: int32(uapi.HelperProbeWriteUser)}
	r := readReferences([]insn.Insn{{Op: insn.LoadImm64, Dst: 1}, call, call, {Op: insn.Exit}}, nil, nil)
	qt.Check(t, qt.Equals(r.helpers["bpf_probe_write_user"].Count, 1))
	r = readReferences([]insn.Insn{{Op: insn.LoadImm64, Src: insn.PseudoMapIdx, Imm: 1}, {}, {Op: insn.LoadImm64, Src: insn.PseudoMapIdx, Imm: -1}}, nil, make([]bundle.Map, 1))
	qt.Check(t, qt.HasLen(r.maps, 0))
}

// A kernel function that the contract does not name is one that an approver must see.
func TestUnnamedFunction(t *testing.T) {
	insns := []insn.Insn{{Op: insn.Call, Src: insn.PseudoKfunc, Imm: 77}, {Op: insn.Call, Src: insn.PseudoKfunc}, {Op: insn.Exit}}
	r := readReferences(insns, []bundle.Extern{{Insn: 1, Name: "crash_kexec", Kind: bundle.ExternFunction}}, nil)
	qt.Check(t, qt.DeepEquals(sorted(r.functions), []Call{
		{Name: "BTF id 77", Count: 1, Sensitivity: Acts, Effect: "is a function that the contract does not name"},
		{Name: "crash_kexec", Count: 1, Sensitivity: Acts, Effect: "stops the kernel"},
	}))
}

// A contract that is not the one in the blob is not put into words.
func TestChangedContract(t *testing.T) {
	b := compile(t, "maps_of_maps", nil)
	b.Maps[0].Name, b.Maps[1].Name = b.Maps[1].Name, b.Maps[0].Name
	_, err := Summarize(b)
	qt.Check(t, qt.ErrorIs(err, bundle.ErrContract))
}
