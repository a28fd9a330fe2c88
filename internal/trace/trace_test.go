package trace_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// sample reads one of the loaders that bpftools made of simkernel's sample.
func sample(t *testing.T, name string, scheme bundle.Scheme) simkernel.Loader {
	t.Helper()
	read := func(ext string) []byte {
		b, err := os.ReadFile(filepath.Join("../simkernel/testdata", name+ext))
		qt.Assert(t, qt.IsNil(err))
		return b
	}
	return simkernel.Loader{
		Scheme: scheme, BigEndian: strings.HasSuffix(name, "-be"), Insns: read(".insns"), Blob: read(".data"), CtxSize: 24 + 7*16 + 2*4,
	}
}

// TestText is the trace of a load, and those of loads that are refused: they end with the refusal and no call before it.
func TestText(t *testing.T) {
	l := sample(t, "map-hash", bundle.MapHash)
	const head = `host  metadata map of 5,904 bytes, exclusive to the loader
host  freeze the metadata map
host  have the metadata map hashed
host  load the loader, 699 instructions, signed
kern  the signature is one of the instructions: ok
check the map's exclusivity is 1, wanted 1: ok
check the map's digest, word 0: ok
check the map's digest, word 1: ok
check the map's digest, word 2: ok
check the map's digest, word 3: ok
   1  BTF_LOAD 2,210 bytes
   2  MAP_CREATE array "first" key=4 value=8 max_entries=1
`
	const tail = `call  CLOSE BTF
end   the loader returns map "first", map "second", map "outer", map "events", map "sample.rodata", map "sample.data", map "sample.bss", program "on_exec", program "probe"
`
	text := trace.Text(simkernel.Run(l, simkernel.Options{}))
	qt.Check(t, qt.Equals(text[:min(len(text), len(head))], head))
	qt.Check(t, qt.IsTrue(strings.HasSuffix(text, tail)), qt.Commentf("%s", text))
	for _, line := range []string{
		`   8  MAP_CREATE ringbuf "events" max_entries=4096 untyped`,
		`   6  MAP_UPDATE map "outer" key 00000000: map "first"`,
		`  10  MAP_UPDATE map "sample.rodata": 4 bytes 01000000`,
		`  11  MAP_FREEZE map "sample.rodata"`,
		`  15  MAP_UPDATE map "sample.bss": 8 bytes 0`,
		`  16  FIND_TYPE typedef btf_trace_sched_process_exec`,
		`  24  FIND_SYMBOL bpf_map_put`,
	} {
		qt.Check(t, qt.StringContains(text, line+"\n"))
	}
	qt.Check(t, qt.Matches(text, `(?s).*\n  17  PROG_LOAD tp_btf "on_exec" attach=sched_process_exec insns=\d+ funcs=1 lines=\d+ relocations=1 `+
		`license="GPL" code=[0-9a-f]{8} maps=events,outer,sample.bss,sample.data,sample.rodata\n.*`))
	qt.Check(t, qt.StringContains(trace.Unnumbered(simkernel.Run(l, simkernel.Options{})), "call  BTF_LOAD 2,210 bytes\n"))

	for scenario, want := range map[simkernel.Scenario]string{
		simkernel.NonExclusive: "check the map's exclusivity is 0, wanted 1: REFUSED\nend   the loader returns -EINVAL\n",
		simkernel.StaleHash:    "check the map's exclusivity is 0, wanted 1: REFUSED\nend   the loader returns -EINVAL\n",
		simkernel.NotHashed:    "check the map's digest, word 0: not computed: REFUSED\nend   the loader returns -EINVAL\n",
		simkernel.TamperedBlob: "check the map's digest, word 0: REFUSED\nend   the loader returns -EINVAL\n",
	} {
		text := trace.Text(simkernel.Run(l, simkernel.Options{Scenario: scenario}))
		qt.Check(t, qt.IsTrue(strings.HasSuffix(text, want)), qt.Commentf("%s", text))
		qt.Check(t, qt.IsFalse(regexp.MustCompile(`(?m)^ *\d+  `).MatchString(text)), qt.Commentf("%s", text))
	}
	text = trace.Text(simkernel.Run(sample(t, "payload", bundle.Payload), simkernel.Options{Scenario: simkernel.NonExclusive}))
	qt.Check(t, qt.IsTrue(strings.HasSuffix(text, "signed with the map's contents: -EPERM\nend   refused: map \"__loader.map\" of a signed program must be exclusive\n")))
}

func TestFaultsInText(t *testing.T) {
	l := sample(t, "payload", bundle.Payload)
	text := trace.Text(simkernel.Run(l, simkernel.Options{Config: simkernel.Config{FailCall: 2, FailErrno: simkernel.EPERM}}))
	qt.Check(t, qt.IsTrue(strings.HasSuffix(text, "max_entries=1: made to fail: -EPERM\ncall  CLOSE BTF\nend   the loader returns -EPERM\n")), qt.Commentf("%s", text))
	text = trace.Text(simkernel.Run(l, simkernel.Options{Config: simkernel.Config{FailCall: 9}})) // libbpf's flaw, behind the inner map
	qt.Check(t, qt.Matches(text, `(?s).*\nfault instruction \d+ \(call bpf_sys_close\): closes descriptor \d+, which is not open\n`))
}

// Calls that the kernel refuses before it has looked at all of their attributes have words, too.
func TestTextOfRefusedCalls(t *testing.T) {
	order := binary.LittleEndian
	for cmd := range int32(40) {
		for _, size := range []int32{0, 4, 8, 32, 72, 144, 168} {
			for _, fill := range []byte{0, 1, 3, 4, 0xff} {
				insns := insn.Append(nil, order,
					insn.Insn{Op: insn.MovK, Dst: insn.R1, Imm: cmd},
					insn.Insn{Op: insn.LoadImm64, Dst: insn.R2, Src: insn.PseudoMapIdxValue}, insn.Insn{},
					insn.Insn{Op: insn.MovK, Dst: insn.R3, Imm: size},
					insn.Insn{Op: insn.Call, Imm: int32(uapi.HelperSysBPF)},
					insn.Insn{Op: insn.MovK, Dst: insn.R0}, insn.Insn{Op: insn.Exit})
				res := simkernel.Run(simkernel.Loader{Insns: insns, Blob: bytes.Repeat([]byte{fill}, 256), CtxSize: 64}, simkernel.Options{})
				text := trace.Text(res)
				qt.Assert(t, qt.IsTrue(text != ""))
				trace.ContentOf(res)
			}
		}
	}
}

// What a symbol is called is the loader's choice: it forges no line.
func TestNamesOfSymbols(t *testing.T) {
	ev := &simkernel.Event{Kind: simkernel.EventFindBTF, N: 1, Symbol: &simkernel.Symbol{Name: "x\nend   the loader returns nothing\x1b[2J", Kind: 12}}
	qt.Check(t, qt.Equals(trace.Line(ev), `FIND_TYPE func "x\nend   the loader returns nothing\x1b[2J"`))
	ev = &simkernel.Event{Kind: simkernel.EventKallsyms, N: 1, Symbol: &simkernel.Symbol{Name: "a\u202eb"}}
	qt.Check(t, qt.Equals(trace.Line(ev), `FIND_SYMBOL "a\u202eb"`))
}

// TestContent is that two loaders of the same object do the same, whatever their scheme and byte order, and that differences
// are seen.
func TestContent(t *testing.T) {
	run := func(l simkernel.Loader) trace.Content { return trace.ContentOf(simkernel.Run(l, simkernel.Options{})) }
	base := run(sample(t, "map-hash", bundle.MapHash))
	qt.Check(t, qt.HasLen(base, 9))
	qt.Check(t, qt.HasLen(trace.Diff(base, run(sample(t, "payload", bundle.Payload))), 0))
	qt.Check(t, qt.HasLen(trace.Diff(base, run(sample(t, "unsigned", 0))), 0))

	be := run(sample(t, "map-hash-be", bundle.MapHash))
	diff := trace.Diff(base, be) // keys, values and 16-byte stores are turned round, types and calls are not
	for _, line := range diff {
		qt.Check(t, qt.IsFalse(strings.Contains(line, "type")), qt.Commentf("%s", line))
	}
	text := base["program on_exec"]
	for _, want := range []string{
		`tracing "on_exec" attach_type=trace_raw_tp flags=none ifindex=0 license="GPL"`,
		"attach to typedef btf_trace_sched_process_exec",
		" = map outer\n", "map sample.rodata value +0", "func at 0: func on_exec linkage 1: {returns int int size 4 ",
		`./sample.bpf.c:`, `relocation at`, `of {struct task_struct size 8; pid at 0 int int size 4 `,
	} {
		qt.Check(t, qt.StringContains(text, want))
	}
	for _, want := range []string{"call func bpf_task_release", " = symbol"} {
		if want == " = symbol" {
			want = " = void bpf_map_put"
		}
		qt.Check(t, qt.StringContains(base["program probe"], want))
	}
	qt.Check(t, qt.StringContains(base["map outer"], "inner array \"outer.inner\" key=4"))
	qt.Check(t, qt.StringContains(base["map outer"], "update key 01000000 flags none value map second"))

	// Every kind of change is a difference.
	tampered := sample(t, "unsigned", 0)
	at := strings.Index(string(tampered.Blob), "events\x00\x00\x00")
	copy(tampered.Blob[at:], "EVENTS")
	diff = trace.Diff(base, run(tampered))
	qt.Check(t, qt.SliceContains(diff, "map EVENTS:"))
	qt.Check(t, qt.SliceContains(diff, "map events:"))
	qt.Check(t, qt.SliceContains(diff, "program on_exec:"))
}

func prog(typ uapi.ProgType, attach uapi.AttachType) simkernel.Prog {
	return simkernel.Prog{Type: uint32(typ), ExpectedAttachType: uint32(attach)}
}

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		p    simkernel.Prog
		want string
	}{
		{prog(uapi.ProgTypeTracing, uapi.AttachTraceRawTP), "tp_btf"},
		{prog(uapi.ProgTypeTracing, uapi.AttachTraceIter), "iter"},
		{prog(uapi.ProgTypeLSM, uapi.AttachLSMMAC), "lsm"},
		{prog(uapi.ProgTypeXDP, uapi.AttachXDP), "xdp"},
		{prog(uapi.ProgTypeKprobe, 0), "kprobe"},
		{prog(uapi.ProgTypeSchedCls, uapi.AttachTCXIngress), "sched_cls/tcx_ingress"},
		{prog(uapi.ProgTypeStructOps, 17), "struct_ops"}, // the member, not a flow dissector
		{prog(999, 0), "unknown(999)"},
		{prog(uapi.ProgTypeXDP, 999), "xdp/unknown(999)"},
	} {
		qt.Check(t, qt.Equals(trace.ProgKind(&test.p), test.want))
	}
	other := &simkernel.Prog{Name: "other"}
	qt.Check(t, qt.Equals(trace.Target(&simkernel.Prog{AttachProg: other}), `program "other"`))
	qt.Check(t, qt.Equals(trace.Target(&simkernel.Prog{}), ""))
	qt.Check(t, qt.Equals(trace.Attributes(&simkernel.Map{KeySize: 4, Flags: uint32(uapi.MapFlagMmapable) | 1<<31, Extra: 7}), "key=4 flags=mmapable,0x80000000 extra=7 untyped"))
}

// What a program attaches to is named as in its source. The kernel's prefix is taken off where the kernel puts one, and nowhere
// else.
func TestTarget(t *testing.T) {
	for _, test := range []struct {
		p      simkernel.Prog
		symbol string
		want   string
	}{
		{prog(uapi.ProgTypeLSM, uapi.AttachLSMMAC), "bpf_lsm_file_open", "file_open@m"},
		{prog(uapi.ProgTypeTracing, uapi.AttachTraceRawTP), "btf_trace_sched_switch", "sched_switch@m"},
		{prog(uapi.ProgTypeTracing, uapi.AttachTraceIter), "bpf_iter_task", "task@m"},
		{prog(uapi.ProgTypeTracing, uapi.AttachTraceFentry), "bpf_lsm_file_open", "bpf_lsm_file_open@m"},
		{prog(uapi.ProgTypeTracing, uapi.AttachTraceFexit), "bpf_iter_run_prog", "bpf_iter_run_prog@m"},
		{prog(uapi.ProgTypeStructOps, uapi.AttachTraceIter), "bpf_iter_ops", "bpf_iter_ops@m"},
	} {
		test.p.Attach = &simkernel.Symbol{Name: test.symbol, Module: "m"}
		qt.Check(t, qt.Equals(trace.Target(&test.p), test.want))
	}
}
