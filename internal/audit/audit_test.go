package audit

import (
	"crypto/sha256"
	"encoding/binary"
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
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// testdata are the loaders and objects of simkernel's tests.
const testdata = "../simkernel/testdata"

// sample reads one of the loaders that a bpftool made.
func sample(t testing.TB, name string, scheme bundle.Scheme, bigEndian bool) simkernel.Loader {
	t.Helper()
	read := func(ext string) []byte {
		b, err := os.ReadFile(filepath.Join(testdata, name+ext))
		qt.Assert(t, qt.IsNil(err))
		return b
	}
	return simkernel.Loader{Scheme: scheme, BigEndian: bigEndian, Insns: read(".insns"), Blob: read(".data")}
}

// ours compiles the sample with our own compiler.
func ours(t testing.TB, scheme bundle.Scheme, bigEndian bool) simkernel.Loader {
	t.Helper()
	name := filepath.Join(testdata, map[bool]string{false: "sample-bpfel.o", true: "sample-bpfeb.o"}[bigEndian])
	raw, err := os.ReadFile(name)
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse(name, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	b, err := loader.Compile(obj, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	l, err := simkernel.FromBundle(b, scheme)
	qt.Assert(t, qt.IsNil(err))
	return l
}

func order(l simkernel.Loader) binary.ByteOrder {
	if l.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func audit(l simkernel.Loader) []Finding { return Audit(l.Scheme, order(l), l.Insns, l.Blob) }

// ids are the kinds of findings there are.
func ids(findings []Finding) []ID {
	var list []ID
	for _, f := range findings {
		list = append(list, f.ID)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// good are loaders that hold.
func good(t testing.TB) map[string]simkernel.Loader {
	return map[string]simkernel.Loader{
		"bpftool map-hash":    sample(t, "map-hash", bundle.MapHash, false),
		"bpftool map-hash be": sample(t, "map-hash-be", bundle.MapHash, true),
		"bpftool payload":     sample(t, "payload", bundle.Payload, false),
		"bpftool payload be":  sample(t, "payload-be", bundle.Payload, true),
		"ours map-hash":       ours(t, bundle.MapHash, false),
		"ours map-hash be":    ours(t, bundle.MapHash, true),
		"ours payload":        ours(t, bundle.Payload, false),
		"ours payload be":     ours(t, bundle.Payload, true),
	}
}

func TestGood(t *testing.T) {
	for name, l := range good(t) {
		t.Run(name, func(t *testing.T) {
			findings := audit(l)
			qt.Check(t, qt.IsFalse(Failed(findings)), qt.Commentf("%v", findings))
			want := []ID(nil)
			if strings.HasPrefix(name, "bpftool") { // notes on how libbpf's loaders clean up, and that nothing keeps two from running at once
				want = []ID{proof.ClosedTwice, proof.LeftOpen, RunsTwice, proof.StaleClose}
			}
			if strings.HasPrefix(name, "bpftool map-hash") { // closes what the blob says is open
				want = append(want, proof.UnverifiedClose)
			}
			qt.Check(t, qt.DeepEquals(ids(findings), want))
		})
	}
}

// TestBad is what the audit finds in loaders that do not hold.
func TestBad(t *testing.T) {
	tampered := sample(t, "map-hash", bundle.MapHash, false)
	tampered.Blob[100] ^= 1
	payloadAsMapHash := sample(t, "payload", bundle.MapHash, false)
	mapHashAsPayload := sample(t, "map-hash", bundle.Payload, false)
	for _, test := range []struct {
		name string
		l    simkernel.Loader
		want []ID
	}{
		{"before the CVE was known", sample(t, "cve", bundle.MapHash, false),
			[]ID{proof.NoExclusivityCheck, proof.UnverifiedClose}},
		{"other blob", tampered, []ID{proof.NoDigestCheck, proof.UnverifiedClose, proof.WrongDigest}},
		{"unsigned", sample(t, "unsigned", bundle.Payload, false), []ID{proof.HostContext}},
		{"no checks", payloadAsMapHash, []ID{proof.NoDigestCheck, proof.NoExclusivityCheck}},
		{"checks of another scheme", mapHashAsPayload, []ID{proof.UnknownField}},
		{"empty", simkernel.Loader{Scheme: bundle.Payload}, []ID{proof.Malformed}},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings := audit(test.l)
			qt.Check(t, qt.IsTrue(Failed(findings)))
			qt.Check(t, qt.DeepEquals(ids(findings), test.want), qt.Commentf("%v", findings))
		})
	}
}

func TestNeverActs(t *testing.T) {
	findings := Audit(bundle.Payload, binary.LittleEndian, insn.Append(nil, binary.LittleEndian, zero, exit), make([]byte, 64))
	qt.Check(t, qt.DeepEquals(ids(findings), []ID{proof.NeverActs}))
}

var (
	zero = insn.Insn{Op: insn.MovK, Dst: insn.R0}
	exit = insn.Insn{Op: insn.Exit}
)

// TestFindings is one small program a kind of finding.
func TestFindings(t *testing.T) {
	r1Blob := insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdxValue}
	r1Map := insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}
	second := insn.Insn{}
	call := func(fn uapi.Helper) insn.Insn { return insn.Insn{Op: insn.Call, Imm: int32(fn)} }
	mov := func(r uint8, v int32) insn.Insn { return insn.Insn{Op: insn.MovK, Dst: r, Imm: v} }
	for _, test := range []struct {
		name  string
		insns []insn.Insn
		want  []ID
	}{
		{"nothing", []insn.Insn{zero, exit}, nil},
		{"no result", []insn.Insn{exit}, []ID{proof.Malformed}},
		{"half", []insn.Insn{zero, {Op: insn.LoadImm64}}, []ID{proof.Malformed}},
		{"into a load", []insn.Insn{zero, {Op: insn.JeqK, Dst: insn.R0, Off: 1}, r1Map, second, exit}, []ID{proof.Malformed}},
		{"off the end", []insn.Insn{zero, {Op: insn.JaLong, Imm: 7}, exit}, []ID{proof.Malformed}},
		{"falls off", []insn.Insn{zero}, []ID{proof.Malformed}},
		{"unreachable", []insn.Insn{zero, exit, zero, exit}, []ID{proof.Malformed}},
		{"subprogram", []insn.Insn{{Op: insn.Call, Src: insn.PseudoCall, Imm: 1}, exit, zero, exit}, []ID{proof.Malformed}},
		{"another map", []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdxValue, Imm: 1}, second, zero, exit}, []ID{proof.OtherMap}},
		{"a map by descriptor", []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapFD, Imm: 1}, second, zero, exit}, []ID{proof.Malformed}},
		{"log fields", []insn.Insn{
			{Op: insn.LoadW, Dst: insn.R0, Src: insn.R1, Off: 8}, {Op: insn.LoadW, Dst: insn.R0, Src: insn.R1, Off: 12},
			{Op: insn.LoadDW, Dst: insn.R0, Src: insn.R1, Off: 16}, zero, exit,
		}, nil},
		{"size", []insn.Insn{{Op: insn.LoadW, Dst: insn.R0, Src: insn.R1}, exit}, []ID{proof.HostContext}},
		{"flags", []insn.Insn{{Op: insn.LoadW, Dst: insn.R0, Src: insn.R1, Off: 4}, exit}, []ID{proof.HostContext}},
		{"half of the log", []insn.Insn{{Op: insn.LoadDW, Dst: insn.R0, Src: insn.R1, Off: 20}, exit}, []ID{proof.HostContext}},
		{"moved context", []insn.Insn{{Op: insn.MovX, Dst: insn.R6, Src: insn.R1}, {Op: insn.AddK, Dst: insn.R6, Imm: 28}, {Op: insn.LoadW, Dst: insn.R0, Src: insn.R6}, exit}, []ID{proof.HostContext}},
		{"spilled context", []insn.Insn{
			{Op: insn.StoreDW, Dst: insn.R10, Src: insn.R1, Off: -8}, {Op: insn.LoadDW, Dst: insn.R6, Src: insn.R10, Off: -8},
			{Op: insn.LoadW, Dst: insn.R0, Src: insn.R6, Off: 28}, exit,
		}, []ID{proof.HostContext}},
		{"context as attributes", []insn.Insn{{Op: insn.MovX, Dst: insn.R2, Src: insn.R1}, mov(insn.R1, 0), mov(insn.R3, 72), call(uapi.HelperSysBPF), zero, exit}, []ID{proof.HostMemory}},
		{"a computed command", []insn.Insn{
			{Op: insn.LoadW, Dst: insn.R6, Src: insn.R1, Off: 8}, r1Blob, second, {Op: insn.MovX, Dst: insn.R2, Src: insn.R1}, {Op: insn.MovX, Dst: insn.R1, Src: insn.R6},
			mov(insn.R3, 72), call(uapi.HelperSysBPF), zero, exit,
		}, []ID{proof.UnknownCommand}},
		{"attributes anywhere", []insn.Insn{mov(insn.R1, 0), mov(insn.R2, 77), mov(insn.R3, 72), call(uapi.HelperSysBPF), zero, exit}, []ID{proof.UnknownValue}},
		{"user memory", []insn.Insn{r1Blob, second, mov(insn.R2, 8), mov(insn.R3, 0), call(148), zero, exit}, []ID{proof.HostMemory}},
		{"kernel memory", []insn.Insn{r1Blob, second, mov(insn.R2, 8), mov(insn.R3, 64), call(uapi.HelperProbeReadKernel), zero, exit}, []ID{proof.HostMemory}},
		{"zeroing", []insn.Insn{r1Blob, second, mov(insn.R2, 8), mov(insn.R3, 0), call(uapi.HelperProbeReadKernel), zero, exit}, nil},
		{"unknown helper", []insn.Insn{call(1), zero, exit}, []ID{proof.UnknownHelper}},
		{"argument without value", []insn.Insn{mov(insn.R1, 0), call(uapi.HelperSysBPF), zero, exit}, []ID{proof.Malformed}},
		{"wild load", []insn.Insn{{Op: insn.LoadDW, Dst: insn.R6, Src: insn.R1, Off: 16}, {Op: insn.LoadDW, Dst: insn.R0, Src: insn.R6}, exit}, []ID{proof.UnknownPointer}},
		{"wild store", []insn.Insn{{Op: insn.LoadDW, Dst: insn.R6, Src: insn.R1, Off: 16}, {Op: insn.StoreIW, Dst: insn.R6}, zero, exit}, []ID{proof.UnknownPointer}},
		{"store to the map", []insn.Insn{r1Map, second, {Op: insn.StoreIW, Dst: insn.R1}, zero, exit}, []ID{proof.UnknownPointer}},
		{"another field", []insn.Insn{r1Map, second, {Op: insn.LoadDW, Dst: insn.R0, Src: insn.R1, Off: 40}, zero, exit}, []ID{proof.UnknownField}},
		{"across fields", []insn.Insn{r1Map, second, {Op: insn.LoadDW, Dst: insn.R0, Src: insn.R1, Off: 28}, zero, exit}, []ID{proof.UnknownField}},
		{"a printk", []insn.Insn{r1Blob, second, mov(insn.R2, 8), call(6), zero, exit}, nil},
		{"a close", []insn.Insn{mov(insn.R1, 7), call(uapi.HelperSysClose), zero, exit}, []ID{proof.LostDescriptor}},
		{"a close of a pointer", []insn.Insn{r1Blob, second, call(uapi.HelperSysClose), zero, exit}, []ID{proof.LostDescriptor}},
		{"pointers of two kinds", []insn.Insn{ // r6 is the context or the blob
			{Op: insn.MovX, Dst: insn.R6, Src: insn.R1}, {Op: insn.LoadW, Dst: insn.R0, Src: insn.R1, Off: 8}, {Op: insn.JeqK, Dst: insn.R0, Off: 2},
			{Op: insn.LoadImm64, Dst: insn.R6, Src: insn.PseudoMapIdxValue}, second, {Op: insn.LoadW, Dst: insn.R0, Src: insn.R6, Off: 8}, exit,
		}, []ID{proof.HostContext}},
		{"written on one path", []insn.Insn{
			{Op: insn.LoadW, Dst: insn.R0, Src: insn.R1, Off: 8}, {Op: insn.JeqK, Dst: insn.R0, Off: 1}, mov(insn.R6, 1), {Op: insn.MovX, Dst: insn.R0, Src: insn.R6}, exit,
		}, []ID{proof.HostContext}},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings := Audit(bundle.Payload, binary.LittleEndian, insn.Append(nil, binary.LittleEndian, test.insns...), make([]byte, 64))
			for _, f := range findings {
				qt.Check(t, qt.Not(qt.Equals(f.String(), "")))
			}
			findings = slices.DeleteFunc(findings, func(f Finding) bool { return f.ID == proof.NeverActs }) // most do
			qt.Check(t, qt.DeepEquals(ids(findings), test.want), qt.Commentf("%v", findings))
		})
	}
}

// checks builds a map-hash loader of its own shape around what it gets: the checks, then a call that acts.
func checks(blob []byte, insns ...insn.Insn) []byte {
	insns = append([]insn.Insn{{Op: insn.MovX, Dst: insn.R6, Src: insn.R1}}, insns...)
	insns = append(insns,
		insn.Insn{Op: insn.MovK, Dst: insn.R1}, insn.Insn{Op: insn.LoadImm64, Dst: insn.R2, Src: insn.PseudoMapIdxValue}, insn.Insn{},
		insn.Insn{Op: insn.MovK, Dst: insn.R3, Imm: 72}, insn.Insn{Op: insn.Call, Imm: int32(uapi.HelperSysBPF)},
		insn.Insn{Op: insn.JsltK, Dst: insn.R0, Off: 2}, insn.Insn{Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 24}, zero, exit)
	return insn.Append(nil, binary.LittleEndian, insns...)
}

// errors are the findings that are no notes.
func errors(findings []Finding) []Finding {
	return slices.DeleteFunc(findings, func(f Finding) bool { return f.Severity != Error })
}

// refuse is "return -1", for a jump over it.
var refuse = []insn.Insn{{Op: insn.MovK, Dst: insn.R0, Imm: -1}, exit}

// TestShapes is that checks of other shapes than libbpf's and ours hold, too.
func TestShapes(t *testing.T) {
	blob := make([]byte, 72)
	sum := sha256.Sum256(blob)
	le := binary.LittleEndian
	r1Map := []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, {}}

	// Words of 32 bits, compared by instructions of 32 bits.
	words := slices.Clone(r1Map)
	words = append(words, insn.Insn{Op: insn.LoadW, Dst: insn.R2, Src: insn.R1, Off: 32}, insn.Insn{Op: insn.JeqK32, Dst: insn.R2, Imm: 1, Off: 2})
	words = append(words, refuse...)
	for i := 0; i < 32; i += 4 {
		words = append(words, insn.Insn{Op: insn.LoadW, Dst: insn.R2, Src: insn.R1, Off: int16(i)},
			insn.Insn{Op: insn.JeqK32, Dst: insn.R2, Imm: int32(le.Uint32(sum[i:])), Off: 2})
		words = append(words, refuse...)
	}
	qt.Check(t, qt.HasLen(errors(Audit(bundle.MapHash, le, checks(blob, words...), blob)), 0))

	// A byte that is left out is named.
	short := slices.Delete(slices.Clone(words), len(words)-4, len(words))
	findings := Audit(bundle.MapHash, le, checks(blob, short...), blob)
	qt.Assert(t, qt.HasLen(findings, 1))
	qt.Check(t, qt.Equals(findings[0].ID, proof.NoDigestCheck))
	qt.Check(t, qt.StringContains(findings[0].Text, "bytes 28-31 of"))

	// Bytes, the last first; the exclusivity compared with zero, at the end; constants in registers; a map pointer that
	// moves.
	bytes := slices.Clone(r1Map)
	bytes = append(bytes, insn.Insn{Op: insn.AddK, Dst: insn.R1, Imm: 31})
	for i := 31; i >= 0; i-- {
		bytes = append(bytes, insn.Insn{Op: insn.LoadB, Dst: insn.R7, Src: insn.R1}, insn.Insn{Op: insn.MovK, Dst: insn.R8, Imm: int32(sum[i])},
			insn.Insn{Op: insn.JeqX, Dst: insn.R8, Src: insn.R7, Off: 2})
		bytes = append(bytes, refuse...)
		bytes = append(bytes, insn.Insn{Op: insn.AddK, Dst: insn.R1, Imm: -1})
	}
	bytes = append(bytes, insn.Insn{Op: insn.LoadW, Dst: insn.R2, Src: insn.R1, Off: 33}, insn.Insn{Op: insn.JneK, Dst: insn.R2, Off: 2})
	bytes = append(bytes, refuse...)
	qt.Check(t, qt.HasLen(errors(Audit(bundle.MapHash, le, checks(blob, bytes...), blob)), 0))
}

// Comparisons that skip one another have twice as many ways through them with each. The states merge, so the audit ends soon.
func TestManyWays(t *testing.T) {
	var insns []insn.Insn
	insns = append(insns, insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, insn.Insn{}, insn.Insn{Op: insn.MovK, Dst: insn.R0})
	blob := make([]byte, 8)
	sum := sha256.Sum256(blob)
	for i := range 30 {
		insns = append(insns, insn.Insn{Op: insn.LoadB, Dst: insn.R2, Src: insn.R1, Off: int16(i)},
			insn.Insn{Op: insn.JneK, Dst: insn.R2, Off: 1, Imm: int32(sum[i])}, insn.Insn{Op: insn.MovK, Dst: insn.R3})
	}
	insns = append(insns, insn.Insn{Op: insn.Exit})
	findings := Audit(bundle.MapHash, binary.LittleEndian, insn.Append(nil, binary.LittleEndian, insns...), blob)
	qt.Assert(t, qt.HasLen(findings, 1))
	qt.Check(t, qt.Equals(findings[0].ID, proof.RefusalSucceeds))
}

func FuzzAudit(f *testing.F) {
	for _, l := range good(f) {
		f.Add(uint8(l.Scheme), l.BigEndian, l.Insns, l.Blob)
	}
	f.Fuzz(func(t *testing.T, scheme uint8, bigEndian bool, insns, blob []byte) {
		audit(simkernel.Loader{Scheme: bundle.Scheme(scheme%2 + 1), BigEndian: bigEndian, Insns: insns, Blob: blob})
	})
}

// What a finding says of names is printable, and stays in its line.
func TestFindingIsPrintable(t *testing.T) {
	a := new(auditor)
	a.add(Misdescribed, "map %s", "a\nerror: \x1b[2J\u202e")
	qt.Check(t, qt.Equals(a.found[0].Text, `map a\nerror: \x1b[2J\u202e`))
}
