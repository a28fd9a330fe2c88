package simkernel_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// outcome is a result in short: "load EPERM".
func outcome(res *simkernel.Result) string {
	if res.Err() != nil {
		return fmt.Sprint("fault: ", res.Err())
	}
	if res.Errno == 0 {
		return res.Stage.String() + " ok"
	}
	return fmt.Sprint(res.Stage, " ", res.Errno)
}

// calls counts what a loader asked the kernel for.
func calls(res *simkernel.Result) (n int) {
	for _, ev := range res.Events {
		if ev.N != 0 {
			n++
		}
	}
	return n
}

func TestScenarios(t *testing.T) {
	for _, test := range []struct {
		loader string
		want   map[simkernel.Scenario]string
	}{
		{"map-hash", map[simkernel.Scenario]string{
			simkernel.Honest: "run ok", simkernel.NonExclusive: "run EINVAL", simkernel.StaleHash: "run EINVAL",
			simkernel.NotHashed: "run EINVAL", simkernel.NotFrozen: "run EINVAL", simkernel.TamperedBlob: "run EINVAL",
			simkernel.TamperedInsns: "load EKEYREJECTED", simkernel.WrongProgram: "load EACCES",
		}},
		{"payload", map[simkernel.Scenario]string{
			simkernel.Honest: "run ok", simkernel.NonExclusive: "load EPERM", simkernel.StaleHash: "load EPERM",
			simkernel.NotHashed: "run ok", simkernel.NotFrozen: "load EPERM", simkernel.TamperedBlob: "load EKEYREJECTED",
			simkernel.TamperedInsns: "load EKEYREJECTED", simkernel.WrongProgram: "load EACCES",
		}},
		// Before CVE-2026-80675 was known, a loader ran on contents that nobody had signed.
		{"cve", map[simkernel.Scenario]string{
			simkernel.Honest: "run ok", simkernel.NonExclusive: "run ok", simkernel.StaleHash: "run ok",
			simkernel.NotHashed: "run EINVAL", simkernel.NotFrozen: "run EINVAL", simkernel.TamperedBlob: "run EINVAL",
			simkernel.TamperedInsns: "load EKEYREJECTED", simkernel.WrongProgram: "load EACCES",
		}},
	} {
		for _, order := range []string{"", "-be"} {
			if order != "" && test.loader == "cve" {
				continue
			}
			for _, scenario := range simkernel.Scenarios {
				t.Run(fmt.Sprintf("%s%s/%s", test.loader, order, scenario), func(t *testing.T) {
					res := simkernel.Run(sample(t, test.loader+order), simkernel.Options{Scenario: scenario})
					qt.Check(t, qt.Equals(outcome(res), test.want[scenario]))
					if res.Errno != 0 { // a refused loader has done nothing
						qt.Check(t, qt.Equals(calls(res), 0))
						qt.Check(t, qt.HasLen(res.Maps, 0))
						return
					}
					qt.Check(t, qt.Equals(calls(res), 25))
					qt.Check(t, qt.HasLen(res.Descriptors, 9))
				})
			}
		}
	}
}

// TestForeignKernels runs each loader on the kernels that it was not made for.
func TestForeignKernels(t *testing.T) {
	for _, test := range []struct {
		loader string
		attest simkernel.Attestation
		want   string
	}{
		{"map-hash", simkernel.AttestPayload, "load EACCES"}, // bound by a sparse fd_array, and no excl to read
		{"map-hash", simkernel.AttestNone, "load EACCES"},
		{"payload", simkernel.AttestMapHash, "load EKEYREJECTED"},
		{"payload", simkernel.AttestNone, "load EKEYREJECTED"},
		{"cve", simkernel.AttestNone, "run ok"},
		{"unsigned", simkernel.AttestPayload, "run ok"},
		{"unsigned", simkernel.AttestNone, "run ok"},
	} {
		t.Run(fmt.Sprint(test.loader, test.attest), func(t *testing.T) {
			res := simkernel.Run(sample(t, test.loader), simkernel.Options{
				Config: simkernel.Config{Attest: test.attest}, ForeignKernel: true,
			})
			qt.Check(t, qt.Equals(outcome(res), test.want))
		})
	}
}

// TestContext checks what of the context a loader obeys: an unsigned one what the host asks for, a signed one nothing.
func TestContext(t *testing.T) {
	const rodata = 24 + 4*16 // the fifth map
	const userAddr = 0x7000_0000
	opts := simkernel.Options{
		Config: simkernel.Config{User: map[uint64][]byte{userAddr: {42, 0, 0, 0}}},
		Ctx: func(ctx []byte) {
			binary.LittleEndian.PutUint32(ctx[24+3*16+4:], 8192) // max_entries of the fourth map
			binary.LittleEndian.PutUint64(ctx[rodata+8:], userAddr)
		},
	}
	content := func(res *simkernel.Result) (max uint32, value []byte) {
		for _, m := range res.Maps {
			switch m.Name {
			case "events":
				max = m.MaxEntries
			case "sample.rodata":
				value = m.Updates[0].Value
			}
		}
		return max, value
	}
	for _, name := range []string{"unsigned", "cve"} {
		max, value := content(simkernel.Run(sample(t, name), opts))
		qt.Check(t, qt.Equals(max, 8192))
		qt.Check(t, qt.DeepEquals(value, []byte{42, 0, 0, 0}))
	}
	for _, name := range []string{"map-hash", "payload"} {
		max, value := content(simkernel.Run(sample(t, name), opts))
		qt.Check(t, qt.Equals(max, 4096))
		qt.Check(t, qt.DeepEquals(value, []byte{1, 0, 0, 0}))
	}
	// With flags bit 0 the value comes from kernel memory, where this address is none.
	opts.Ctx = func(ctx []byte) {
		ctx[4] = 1
		binary.LittleEndian.PutUint64(ctx[rodata+8:], userAddr)
	}
	_, value := content(simkernel.Run(sample(t, "unsigned"), opts))
	qt.Check(t, qt.DeepEquals(value, []byte{0, 0, 0, 0}))
}

// TestFaultInjection makes each call fail.
func TestFaultInjection(t *testing.T) {
	for _, name := range []string{"map-hash", "map-hash-be", "payload", "payload-be", "unsigned"} {
		for n := 1; n <= 25; n++ {
			res := simkernel.Run(sample(t, name), simkernel.Options{Config: simkernel.Config{FailCall: n, FailErrno: simkernel.E2BIG}})
			last := res.Events[0]
			for _, ev := range res.Events {
				if ev.N == n {
					last = ev
				}
			}
			qt.Check(t, qt.IsTrue(last.Injected))
			qt.Check(t, qt.Equals(last.Errno(), simkernel.E2BIG))
			weak := last.Symbol != nil && strings.Contains(last.Symbol.Name, "not_there") && last.Kind == simkernel.EventFindBTF
			if err := res.Err(); err != nil { // the inner map's template is closed once more if anything after it fails
				qt.Check(t, qt.ErrorMatches(err, `.*closes descriptor \d+, which is not open`))
				continue
			}
			qt.Check(t, qt.Equals(res.Errno == 0, weak), qt.Commentf("call %d of %s", n, name))
		}
	}
}

func TestSymbols(t *testing.T) {
	where := func(name string, kind uint32) (string, bool) {
		switch name {
		case "not_there", "bpf_not_there", "variable_not_there":
			return "", false
		case "bpf_task_from_pid":
			return "mod", true
		}
		return "", true
	}
	for _, name := range []string{"map-hash", "map-hash-be", "payload", "payload-be"} {
		res := simkernel.Run(sample(t, name), simkernel.Options{Config: simkernel.Config{Lookup: where}})
		qt.Assert(t, qt.Equals(outcome(res), "run ok"))
		onExec, probe := res.Progs[0], res.Progs[1]
		qt.Check(t, qt.Equals(onExec.Attach.Name, "btf_trace_sched_process_exec"))
		found := map[string]string{}
		for _, ref := range probe.Refs {
			if ref.Symbol != nil {
				found[ref.Symbol.Name] = ref.Symbol.Module
			}
		}
		qt.Check(t, qt.DeepEquals(found, map[string]string{
			"bpf_task_from_pid": "mod", "bpf_task_release": "", "bpf_map_put": "",
		}))
	}
}

// small is a loader of a few instructions with a blob of 256 bytes: the attributes of BPF_MAP_CREATE at 0 and of
// BPF_PROG_LOAD at 96, a name at 192.
func small(insns ...insn.Insn) simkernel.Loader {
	order := binary.LittleEndian
	blob := make([]byte, 256)
	order.PutUint32(blob[0:], 2)   // array
	order.PutUint32(blob[4:], 4)   // key size
	order.PutUint32(blob[8:], 8)   // value size
	order.PutUint32(blob[12:], 1)  // entries
	order.PutUint32(blob[96:], 1)  // socket filter
	order.PutUint32(blob[100:], 1) // instruction
	copy(blob[192:], "task_struct\x00")
	return simkernel.Loader{Insns: insn.Append(nil, order, insns...), Blob: blob, CtxSize: 64}
}

// The pieces of small loaders.
func mov(dst uint8, v int32) insn.Insn    { return insn.Insn{Op: insn.MovK, Dst: dst, Imm: v} }
func movR(dst, src uint8) insn.Insn       { return insn.Insn{Op: insn.MovX, Dst: dst, Src: src} }
func callHelper(fn uapi.Helper) insn.Insn { return insn.Insn{Op: insn.Call, Imm: int32(fn)} }
func add(dst uint8, v int32) insn.Insn    { return insn.Insn{Op: insn.AddK, Dst: dst, Imm: v} }
func imm64(dst uint8, v int32) insn.Insn  { return insn.Insn{Op: insn.LoadImm64, Dst: dst, Imm: v} }
func blobAt(dst uint8) insn.Insn {
	return insn.Insn{Op: insn.LoadImm64, Dst: dst, Src: insn.PseudoMapIdxValue}
}

var (
	second = insn.Insn{}
	exit   = insn.Insn{Op: insn.Exit}
	zero   = mov(insn.R0, 0)
)

func second32(imm int32) insn.Insn { return insn.Insn{Imm: imm} }

func concat(parts ...[]insn.Insn) (all []insn.Insn) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// sys calls bpf_sys_bpf with the attributes at an offset of the blob.
func sys(cmd uapi.Cmd, attr, size int32) []insn.Insn {
	return []insn.Insn{
		mov(insn.R1, int32(cmd)), blobAt(insn.R2), second32(attr), mov(insn.R3, size), callHelper(uapi.HelperSysBPF),
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name  string
		insns []insn.Insn
		want  string
	}{
		{"no value", []insn.Insn{movR(insn.R0, insn.R3), exit}, `instruction 0 \(r0 = r3\): r3 has no value`},
		{"no result", []insn.Insn{exit}, `instruction 0 .*: r0 has no value`},
		{"clobbered argument", concat(sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{movR(insn.R0, insn.R3), exit}), `instruction 5 .*: r3 has no value`},
		{"frame pointer", []insn.Insn{mov(insn.R10, 0), exit}, `instruction 0 .*: r10 cannot be written`},
		{"no such register", []insn.Insn{mov(12, 0), exit}, `instruction 0 .*: r12 cannot be written`},
		{"no such source", []insn.Insn{movR(insn.R0, 13), exit}, `instruction 0 .*: there is no r13`},
		{"stack without value", []insn.Insn{{Op: insn.LoadW, Dst: insn.R0, Src: insn.R10, Off: -4}, exit},
			`instruction 0 .*: load: byte 508 of the stack has no value yet`},
		{"half a value", []insn.Insn{
			{Op: insn.StoreIW, Dst: insn.R10, Off: -8}, {Op: insn.LoadDW, Dst: insn.R0, Src: insn.R10, Off: -8}, exit,
		}, `instruction 1 .*: load: byte 508 of the stack has no value yet`},
		{"below the stack", []insn.Insn{{Op: insn.StoreIW, Dst: insn.R10, Off: -516}, zero, exit}, `instruction 0 .*: store: 4 bytes at the stack-4 are outside of it: it has 512`},
		{"above the stack", []insn.Insn{{Op: insn.StoreIW, Dst: insn.R10, Off: -2}, zero, exit}, `instruction 0 .*: store: 4 bytes at the stack\+510 .*`},
		{"beyond the blob", []insn.Insn{blobAt(insn.R1), second32(250), {Op: insn.LoadDW, Dst: insn.R0, Src: insn.R1}, exit},
			`instruction 2 .*: load: 8 bytes at blob\+250 are outside of it: it has 256`},
		{"beyond ctx", []insn.Insn{{Op: insn.LoadB, Dst: insn.R0, Src: insn.R1, Off: 64}, exit}, `.*: load: 1 bytes at ctx\+64 .*`},
		{"wild address", []insn.Insn{mov(insn.R1, 8), {Op: insn.LoadB, Dst: insn.R0, Src: insn.R1}, exit}, `.*: 1 bytes at address 0x8, where nothing is`},
		{"writes the map", []insn.Insn{
			{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, second, {Op: insn.StoreIW, Dst: insn.R1, Off: 32}, zero, exit,
		}, `instruction 2 .*: store: struct bpf_map is read-only`},
		{"no end", []insn.Insn{zero, {Op: insn.Ja, Off: -1}, exit}, `instruction 1 .*: no end after 4194304 instructions`},
		{"unknown opcode", []insn.Insn{zero, {Op: 0xff}, exit}, `instruction 1 .*: unknown instruction`},
		{"atomics", []insn.Insn{zero, {Op: 0xdb, Dst: insn.R10, Src: insn.R0, Off: -8}, exit}, `instruction 1 .*: unknown instruction`},
		{"too deep", []insn.Insn{{Op: insn.Call, Src: insn.PseudoCall, Imm: -1}, exit}, `instruction 0 .*: more than 8 calls deep`},
		{"attributes outside", concat(sys(uapi.CmdMapCreate, 200, 72), []insn.Insn{exit}), `instruction 4 .*: the attributes: 72 bytes at blob\+200 .*`},
		{"command", concat(sys(uapi.CmdMapLookupElem, 0, 72), []insn.Insn{exit}), `instruction 4 .*: bpf_sys_bpf\(1\): no loader has a use for this command`},
		{"leak", concat(sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{zero, exit}), `instruction 4 .*: the descriptor of map "" is left open`},
		{"leak on failure", concat(sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{mov(insn.R0, -1), exit}), `instruction 4 .*: the descriptor of map "" is left open`},
		{"double close", concat(sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{
			movR(insn.R6, insn.R0), movR(insn.R1, insn.R6), callHelper(uapi.HelperSysClose),
			movR(insn.R1, insn.R6), callHelper(uapi.HelperSysClose), exit,
		}), `instruction 9 .*: closes descriptor [0-9]+, which is not open`},
		{"closes the host's", []insn.Insn{mov(insn.R1, 2), callHelper(uapi.HelperSysClose), exit}, `.*: closes descriptor 2, which the host opened`},
		{"tells nonsense", []insn.Insn{{Op: insn.StoreIW, Dst: insn.R1, Off: 24, Imm: 77}, zero, exit},
			`instruction 0 .*: leaves 77 in the context at 24, which is no descriptor of its own`},
		{"tells twice", []insn.Insn{
			movR(insn.R6, insn.R1), mov(insn.R1, 0), blobAt(insn.R2), second, mov(insn.R3, 72), callHelper(uapi.HelperSysBPF),
			{Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 24}, {Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 28}, zero, exit,
		}, `instruction 7 .*: leaves [0-9]+ in the context at 28, .*`},
		{"printk without argument", []insn.Insn{blobAt(insn.R1), second32(192), mov(insn.R2, 300), callHelper(uapi.HelperTracePrintk), exit}, `.*: the format: 300 bytes .*`},
		{"program outside", concat(sys(uapi.CmdProgLoad, 96, 48), []insn.Insn{exit}), `.*: the instructions of program "": 8 bytes at address 0x0, where nothing is`},
		{"BTF outside", concat(sys(uapi.CmdBTFLoad, 224, 32), []insn.Insn{exit}), `.*: the BTF: .*`},
		{"name outside", []insn.Insn{blobAt(insn.R1), second32(192), mov(insn.R2, 100), mov(insn.R3, 4), mov(insn.R4, 0), callHelper(uapi.HelperBTFFindByNameKind), exit},
			`.*: the name: 100 bytes at blob\+192 .*`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := simkernel.Run(small(test.insns...), simkernel.Options{})
			qt.Assert(t, qt.Equals(res.Stage, simkernel.StageRun), qt.Commentf("%s", res.Why))
			qt.Check(t, qt.ErrorMatches(res.Err(), test.want))
		})
	}
}

// TestRefusals is what the kernel says no to before a loader runs.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name  string
		insns []insn.Insn
		want  simkernel.Errno
		why   string
	}{
		{"none", nil, simkernel.EINVAL, ""},
		{"half a load", []insn.Insn{zero, imm64(insn.R0, 1)}, simkernel.EINVAL, `.*half an instruction`},
		{"jump into a load", []insn.Insn{zero, {Op: insn.JeqK, Dst: insn.R0, Off: 1}, imm64(insn.R0, 1), second, exit}, simkernel.EINVAL, `.*no instruction begins at 3`},
		{"jump out", []insn.Insn{zero, {Op: insn.JeqK, Dst: insn.R0, Off: 9}, exit}, simkernel.EINVAL, `.*no instruction begins at 11`},
		{"long jump out", []insn.Insn{zero, {Op: insn.JaLong, Imm: -9}, exit}, simkernel.EINVAL, `.*no instruction begins at -7`},
		{"unknown helper", []insn.Insn{zero, callHelper(1), exit}, simkernel.EINVAL, `.*unknown helper`},
		{"no end", []insn.Insn{zero, zero}, simkernel.EINVAL, `.*the last instruction is neither exit nor jump`},
		{"falls off", []insn.Insn{zero, {Op: insn.Ja, Off: 0}}, simkernel.EINVAL, `.*no instruction begins at 2`},
		{"map by descriptor", []insn.Insn{{Op: insn.LoadImm64, Src: insn.PseudoMapFD, Imm: 3}, second, exit}, simkernel.EINVAL, `.*from its fd_array`},
		{"offset", []insn.Insn{blobAt(insn.R0), second32(256), exit}, simkernel.EINVAL, `.*offset 256 in a map of 256 bytes`},
		{"offset in a descriptor", []insn.Insn{{Op: insn.LoadImm64, Src: insn.PseudoMapIdx}, second32(1), exit}, simkernel.EINVAL, `.*an offset in a map's descriptor`},
		{"second slot", []insn.Insn{imm64(insn.R0, 1), {Op: insn.MovK}, exit}, simkernel.EINVAL, `.*not a 64-bit load`},
		{"no such map", []insn.Insn{{Op: insn.LoadImm64, Src: insn.PseudoMapIdx, Imm: 1}, second, exit}, simkernel.EPROTO, `fd_array has no element 1`},
		{"no such field", []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, second, {Op: insn.LoadDW, Dst: insn.R0, Src: insn.R1, Off: 40}, exit},
			simkernel.EACCES, `.*8 bytes at offset 40 of struct bpf_map are no field that this kernel shows`},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := simkernel.Run(small(test.insns...), simkernel.Options{})
			qt.Check(t, qt.Equals(res.Errno, test.want))
			qt.Check(t, qt.IsNil(res.Err()))
			if test.why != "" {
				qt.Check(t, qt.Equals(res.Stage, simkernel.StageLoad))
				qt.Check(t, qt.Matches(res.Why, test.why))
			}
		})
	}
}

// TestPrograms is what loaders may do.
func TestPrograms(t *testing.T) {
	for _, test := range []struct {
		name  string
		insns []insn.Insn
		want  int32
	}{
		{"long jump", []insn.Insn{zero, {Op: insn.JaLong, Imm: 1}, mov(insn.R0, 1), exit}, 0},
		{"subprogram", []insn.Insn{
			mov(insn.R6, 5), mov(insn.R1, 7), {Op: insn.Call, Src: insn.PseudoCall, Imm: 2}, {Op: insn.AddX, Dst: insn.R0, Src: insn.R6}, exit,
			mov(insn.R6, 100), {Op: insn.StoreDW, Dst: insn.R10, Src: insn.R1, Off: -8}, {Op: insn.LoadDW, Dst: insn.R0, Src: insn.R10, Off: -8}, exit,
		}, 12},
		{"no such descriptor", []insn.Insn{mov(insn.R1, -1), callHelper(uapi.HelperSysClose), exit}, -9},
		{"sign extension", []insn.Insn{{Op: insn.StoreIB, Dst: insn.R10, Off: -1, Imm: -2}, {Op: 0x91, Dst: insn.R0, Src: insn.R10, Off: -1}, exit}, -2},
		{"unreadable", []insn.Insn{movR(insn.R1, insn.R10), add(insn.R1, -8), mov(insn.R2, 8), mov(insn.R3, 0), callHelper(uapi.HelperProbeReadKernel), exit}, -14},
		{"zeroed", []insn.Insn{
			movR(insn.R1, insn.R10), add(insn.R1, -8), mov(insn.R2, 8), mov(insn.R3, 0), callHelper(uapi.HelperProbeReadKernel),
			{Op: insn.LoadDW, Dst: insn.R0, Src: insn.R10, Off: -8}, exit,
		}, 0},
		{"flags", []insn.Insn{blobAt(insn.R1), second32(192), mov(insn.R2, 12), mov(insn.R3, 4), mov(insn.R4, 1), callHelper(uapi.HelperBTFFindByNameKind), exit}, -22},
		{"unterminated", []insn.Insn{blobAt(insn.R1), second32(192), mov(insn.R2, 4), mov(insn.R3, 4), mov(insn.R4, 0), callHelper(uapi.HelperBTFFindByNameKind), exit}, -22},
		{"found", []insn.Insn{blobAt(insn.R1), second32(192), mov(insn.R2, 12), mov(insn.R3, 4), mov(insn.R4, 0), callHelper(uapi.HelperBTFFindByNameKind), exit}, 1000},
		{"too large", concat(sys(uapi.CmdMapCreate, 0, 256), []insn.Insn{exit}), -7}, // there is a name beyond the union
		{"name", concat([]insn.Insn{blobAt(insn.R1), second, {Op: insn.StoreIB, Dst: insn.R1, Off: uapi.MapCreateName, Imm: '/'}}, sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{exit}), -22},
		{"no entries", concat([]insn.Insn{blobAt(insn.R1), second, {Op: insn.StoreIW, Dst: insn.R1, Off: uapi.MapCreateMaxEntries}}, sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{exit}), -22},
		{"no BTF", concat([]insn.Insn{blobAt(insn.R1), second, {Op: insn.StoreIW, Dst: insn.R1, Off: uapi.MapCreateValueTypeID, Imm: 1}}, sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{exit}), -9},
		{"no inner map", concat([]insn.Insn{blobAt(insn.R1), second, {Op: insn.StoreIW, Dst: insn.R1, Imm: int32(uapi.MapTypeArrayOfMaps)}}, sys(uapi.CmdMapCreate, 0, 72), []insn.Insn{exit}), -9},
		{"nothing to freeze", concat([]insn.Insn{blobAt(insn.R1), second32(224), {Op: insn.StoreIW, Dst: insn.R1, Imm: 77}}, sys(uapi.CmdMapFreeze, 224, 4), []insn.Insn{exit}), -9},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := simkernel.Run(small(test.insns...), simkernel.Options{})
			qt.Assert(t, qt.IsNil(res.Err()))
			qt.Assert(t, qt.Equals(res.Stage, simkernel.StageRun), qt.Commentf("%s", res.Why))
			if test.want < 0 {
				qt.Check(t, qt.Equals(res.Errno, simkernel.Errno(-test.want)))
			} else {
				qt.Check(t, qt.Equals(res.Ret, test.want))
			}
		})
	}
}

func TestPrintk(t *testing.T) {
	l := small(
		blobAt(insn.R1), second32(200), mov(insn.R2, 24), mov(insn.R3, -1), mov(insn.R4, 255), mov(insn.R5, 7), callHelper(uapi.HelperTracePrintk), exit,
	)
	copy(l.Blob[200:], "a=%d b=%llx c=%lu 100%%\x00\x00")
	res := simkernel.Run(l, simkernel.Options{})
	qt.Assert(t, qt.IsNil(res.Err()))
	last := res.Events[len(res.Events)-1]
	qt.Check(t, qt.Equals(last.Kind, simkernel.EventPrintk))
	qt.Check(t, qt.Equals(strings.TrimRight(last.Text, "\x00"), "a=-1 b=ff c=7 100%"))
}

func TestFromBundle(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "sample-bpfel.o"))
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse("sample-bpfel.o", raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	b, err := loader.Compile(obj, loader.Options{Schemes: []bundle.Scheme{bundle.Payload}})
	qt.Assert(t, qt.IsNil(err))
	l, err := simkernel.FromBundle(b, bundle.Payload)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(outcome(simkernel.Run(l, simkernel.Options{})), "run ok"))
	_, err = simkernel.FromBundle(b, bundle.MapHash)
	qt.Check(t, qt.ErrorMatches(err, "the bundle has no map-hash loader"))
}

// FuzzRun looks for panics, in the interpreter and in what decodes attributes.
// A loader of some lines that goes in circles does not fill the memory of the machine that looks at it.
func TestCircles(t *testing.T) {
	load := sys(uapi.CmdBTFLoad, 0, 32)
	insns := concat(
		[]insn.Insn{blobAt(insn.R1), second, {Op: insn.StoreDW, Dst: insn.R1, Src: insn.R1}}, // the BTF is the blob
		load,
		[]insn.Insn{{Op: insn.Ja, Off: -int16(len(load)) - 1}, zero, exit},
	)
	l := small(insns...)
	l.Blob = make([]byte, 1<<12)
	binary.LittleEndian.PutUint32(l.Blob[16:], 1<<12)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res := simkernel.Run(l, simkernel.Options{})
	runtime.ReadMemStats(&after)
	qt.Check(t, qt.ErrorMatches(res.Err(), "instruction .*: the calls so far have copied .* bytes: does it go in circles.*"))
	qt.Check(t, qt.IsTrue(after.TotalAlloc-before.TotalAlloc < 256<<20), qt.Commentf("%d bytes", after.TotalAlloc-before.TotalAlloc))
}

func FuzzRun(f *testing.F) {
	for _, name := range []string{"map-hash", "payload", "map-hash-be", "unsigned"} {
		s := sample(f, name)
		f.Add(s.Insns, s.Blob, uint8(s.Scheme), s.BigEndian, 0)
		f.Add(s.Insns, s.Blob, uint8(s.Scheme), s.BigEndian, 5)
	}
	f.Fuzz(func(t *testing.T, insns, blob []byte, scheme uint8, bigEndian bool, fail int) {
		l := simkernel.Loader{Scheme: bundle.Scheme(scheme % 3), BigEndian: bigEndian, Insns: insns, Blob: blob, CtxSize: 1024}
		res := simkernel.Run(l, simkernel.Options{Config: simkernel.Config{FailCall: fail, MaxSteps: 5000}})
		if res.Stage != simkernel.StageRun && len(res.Maps) > 0 {
			t.Error("a loader that was not run made maps")
		}
	})
}
