package proof_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// byteOrder is a bundle's.
func byteOrder(b *bundle.Bundle) binary.ByteOrder {
	if b.Object.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// compile makes the bundle of an object file.
func compile(t testing.TB, file string) *bundle.Bundle {
	t.Helper()
	raw, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	o, err := object.Parse(file, raw, object.Options{Kconfig: map[string]string{
		"LINUX_KERNEL_VERSION": "0x70304", "CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m", "CONFIG_DEFAULT_HOSTNAME": `"(none)"`,
	}})
	qt.Assert(t, qt.IsNil(err))
	b, err := loader.Compile(o, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	return b
}

// Our loaders of the objects of tests/features are proven without a note, and those for both schemes make the same.
func TestFixtures(t *testing.T) {
	for _, pattern := range []string{"*.o", "eb/*.o"} {
		files, err := filepath.Glob(filepath.Join("../object/testdata", pattern))
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsTrue(len(files) > 10))
		for _, file := range files {
			b := compile(t, file)
			var first []string
			for _, l := range b.Loaders {
				res := proof.Loader(l.Scheme, byteOrder(b), l.Insns, b.Blob)
				qt.Assert(t, qt.HasLen(res.Findings, 0), qt.Commentf("%s %v", file, l.Scheme))
				qt.Check(t, qt.IsTrue(res.Guarded))
				if first == nil {
					first = res.Made.Lines()
				}
				qt.Check(t, qt.DeepEquals(res.Made.Lines(), first))
			}
		}
	}
}

// bpftool's loaders are proven, and what they make is derived; what they do badly is in notes.
func TestBpftool(t *testing.T) {
	for _, name := range []string{"map-hash", "map-hash-be", "payload", "payload-be"} {
		scheme, order := bundle.MapHash, binary.ByteOrder(binary.LittleEndian)
		if strings.HasPrefix(name, "payload") {
			scheme = bundle.Payload
		}
		if strings.HasSuffix(name, "-be") {
			order = binary.BigEndian
		}
		read := func(ext string) []byte {
			b, err := os.ReadFile(filepath.Join("../simkernel/testdata", name+ext))
			qt.Assert(t, qt.IsNil(err))
			return b
		}
		res := proof.Loader(scheme, order, read(".insns"), read(".data"))
		qt.Assert(t, qt.IsTrue(res.Proven()), qt.Commentf("%s: %v", name, res.Findings))
		qt.Check(t, qt.IsFalse(res.Guarded))
		text := strings.Join(res.Made.Lines(), "\n")
		for _, want := range []string{
			`map "events": ringbuf, key 0, value 0, entries 4096`, `map "sample.rodata"[00000000] = `, `map "sample.rodata" is frozen`,
			`attaches to typedef btf_trace_sched_process_exec`, `function bpf_not_there, if there is one`, `symbol not_there, if there is one`,
		} {
			qt.Check(t, qt.StringContains(text, want))
		}
	}
}

// large is an object of n maps with contents, each frozen, and n programs that use one each.
func large(n int) *object.Object {
	o := &object.Object{File: "large.bpf.o", Order: binary.LittleEndian, License: "GPL"}
	for i := range n {
		m := &object.Map{
			Name: fmt.Sprintf("m%d", i), KernelName: fmt.Sprintf("m%d", i), Type: uapi.MapTypeArray, KeySize: 4, ValueSize: 8, MaxEntries: 1,
			Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}, Freeze: true,
		}
		o.Maps = append(o.Maps, m)
		o.Programs = append(o.Programs, &object.Program{
			Name: fmt.Sprintf("p%d", i), Section: "socket", Autoload: true, Kind: object.SectionKind{Type: uapi.ProgTypeSocketFilter},
			Insns: []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1}, {}, {Op: insn.MovK}, {Op: insn.Exit}}, Refs: []object.Ref{{Insn: 0, Map: m}},
		})
	}
	return o
}

// BenchmarkLarge is a loader of some 43,000 instructions, for 1,000 maps and 1,000 programs.
func BenchmarkLarge(b *testing.B) {
	x, err := loader.Compile(large(1000), loader.Options{})
	qt.Assert(b, qt.IsNil(err))
	l := x.Loader(bundle.Payload)
	b.ReportAllocs()
	b.ReportMetric(float64(len(l.Insns)/insn.Size), "insns")
	for b.Loop() {
		res := proof.Loader(l.Scheme, binary.LittleEndian, l.Insns, x.Blob)
		qt.Assert(b, qt.HasLen(res.Findings, 0))
	}
}

// The cost of a proof grows with the loader in a line: what it allocates, at least, which a slow machine does not change.
func TestGrowth(t *testing.T) {
	perItem := func(n int) float64 {
		x, err := loader.Compile(large(n), loader.Options{})
		qt.Assert(t, qt.IsNil(err))
		l := x.Loader(bundle.Payload)
		return testing.AllocsPerRun(1, func() {
			res := proof.Loader(l.Scheme, binary.LittleEndian, l.Insns, x.Blob)
			qt.Assert(t, qt.HasLen(res.Findings, 0))
			qt.Assert(t, qt.HasLen(res.Made.Maps, n))
			qt.Assert(t, qt.HasLen(res.Made.Programs, n))
		}) / float64(n)
	}
	few, many := perItem(50), perItem(400)
	qt.Check(t, qt.IsTrue(many < 2*few), qt.Commentf("%.0f allocations an item of 50, %.0f of 400", few, many))
}

// Checks that go different ways for each byte of the digest do not multiply: the states merge.
func TestManyComparisons(t *testing.T) {
	blob := make([]byte, 72)
	insns := []insn.Insn{
		{Op: insn.MovX, Dst: insn.R6, Src: insn.R1}, {Op: insn.MovK, Dst: insn.R0},
		{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, {},
	}
	for i := range 32 { // each byte may be right or not; both ways go on
		insns = append(insns, insn.Insn{Op: insn.LoadB, Dst: insn.R2, Src: insn.R1, Off: int16(i)}, insn.Insn{Op: insn.JeqK, Dst: insn.R2, Imm: int32(i), Off: 0})
	}
	insns = append(insns, insn.Insn{Op: insn.Exit})
	res := proof.Loader(bundle.MapHash, binary.LittleEndian, insn.Append(nil, binary.LittleEndian, insns...), blob)
	qt.Check(t, qt.IsFalse(res.Proven()))
}
