package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
)

var update = flag.Bool("update", false, "write what is measured to the baseline")

const baselineFile = "testdata/baseline.json"

// slack is how much allocations may rise: Go's own change from release to release. All else depends on nothing but the source.
const slack = 1.05

// counts are what an object costs, in numbers that are the same on every machine.
type counts struct {
	InsnsA     int `json:"instructionsA"`
	InsnsB     int `json:"instructionsB"`
	Blob       int `json:"blobBytes"`
	Bundle     int `json:"bundleBytes"`
	CompileOps int `json:"compileAllocations"`
	DecodeOps  int `json:"decodeAllocations"`
}

// fixtures are the compiler's, as far as they need no options.
func fixtures(t testing.TB) (files []file) {
	t.Helper()
	all, err := glob("../internal/object/testdata/*.bpf.o")
	qt.Assert(t, qt.IsNil(err))
	for _, f := range all {
		if _, err := f.compile(); errors.Is(err, object.ErrUnsupported) {
			continue
		}
		files = append(files, f)
	}
	qt.Assert(t, qt.IsTrue(len(files) >= 10), qt.Commentf("%d fixtures", len(files)))
	return files
}

// baseline is the committed one, by object.
func baseline(t *testing.T) map[string]counts {
	t.Helper()
	want := map[string]counts{}
	data, err := os.ReadFile(baselineFile)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(json.Unmarshal(data, &want)))
	return want
}

// TestBaseline fails when a loader gets longer, or making or decoding it takes more allocations.
func TestBaseline(t *testing.T) {
	got := map[string]counts{}
	for _, f := range fixtures(t) {
		b, err := f.compile()
		qt.Assert(t, qt.IsNil(err))
		encoded, err := bundle.Encode(b)
		qt.Assert(t, qt.IsNil(err))
		got[f.name] = counts{
			InsnsA: len(b.Loader(bundle.MapHash).Insns) / insn.Size,
			InsnsB: len(b.Loader(bundle.Payload).Insns) / insn.Size,
			Blob:   len(b.Blob), Bundle: len(encoded),
			CompileOps: int(testing.AllocsPerRun(20, func() { _, _ = f.compile() })),
			DecodeOps:  int(testing.AllocsPerRun(20, func() { _, _ = bundle.Decode(encoded) })),
		}
	}
	if *update {
		data, err := json.MarshalIndent(got, "", "  ")
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsNil(os.WriteFile(baselineFile, append(data, '\n'), 0o644)))
		return
	}
	want := baseline(t)
	for name, g := range got {
		t.Run(name, func(t *testing.T) {
			w, ok := want[name]
			qt.Assert(t, qt.IsTrue(ok), qt.Commentf("a new fixture: go test ./bench -update"))
			for _, c := range []struct {
				what      string
				got, want int
				slack     float64
			}{
				{"instructions of the scheme A loader", g.InsnsA, w.InsnsA, 1},
				{"instructions of the scheme B loader", g.InsnsB, w.InsnsB, 1},
				{"bytes of the blob", g.Blob, w.Blob, 1},
				{"bytes of the bundle", g.Bundle, w.Bundle, 1},
				{"allocations of compiling", g.CompileOps, w.CompileOps, slack},
				{"allocations of decoding", g.DecodeOps, w.DecodeOps, slack},
			} {
				if float64(c.got) > float64(c.want)*c.slack {
					t.Errorf("%s: %d, were %d; if it is worth it: go test ./bench -update", c.what, c.got, c.want)
				} else if c.got < c.want {
					t.Logf("%s: %d, were %d: go test ./bench -update keeps it so", c.what, c.got, c.want)
				}
			}
		})
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is in the baseline and no fixture: go test ./bench -update", name)
		}
	}
}

// needBPF skips what nobody but root can do.
func needBPF(t testing.TB) {
	t.Helper()
	if load, err := once(oursB, fixtures(t)[0]); err == nil {
		if c, err := load(); err == nil {
			c.Close()
		} else if errors.Is(err, unix.EPERM) {
			t.Skip("no right to load BPF")
		}
	}
}

// TestLoadAllocations holds Load to allocations that grow with nothing but the number of maps and programs.
func TestLoadAllocations(t *testing.T) {
	needBPF(t)
	const perLoad, perDescriptor = 110, 12
	for _, name := range loadableNames[:1] {
		f, err := readFile(filepath.Join("../internal/object/testdata", name+".bpf.o"))
		qt.Assert(t, qt.IsNil(err))
		b, err := f.compile()
		qt.Assert(t, qt.IsNil(err))
		load, err := once(oursB, f)
		qt.Assert(t, qt.IsNil(err))
		_, objects, err := allocated(20, load)
		qt.Assert(t, qt.IsNil(err))
		limit := perLoad + perDescriptor*float64(len(b.Maps)+len(b.Programs))
		t.Logf("%s: %.0f allocations", name, objects)
		qt.Check(t, qt.IsTrue(objects <= limit), qt.Commentf("%s: %.0f allocations, %.0f allowed", name, objects, limit))
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, f := range fixtures(b) {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.compile(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoad is of those objects that everyone loads.
func BenchmarkLoad(b *testing.B) {
	needBPF(b)
	for _, name := range loadableNames {
		f, err := readFile(filepath.Join("../internal/object/testdata", name+".bpf.o"))
		qt.Assert(b, qt.IsNil(err))
		for _, who := range []string{oursA, oursB, fromC, parsed} {
			b.Run(name+"/"+who, func(b *testing.B) {
				load, err := once(who, f)
				if err != nil {
					b.Skip(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					c, err := load()
					if err != nil {
						b.Skip(err)
					}
					c.Close()
				}
			})
		}
	}
}
