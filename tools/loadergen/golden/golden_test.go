package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// compile makes a bundle of the sample of simkernel's tests, changed.
func compile(t *testing.T, name string, change func(*object.Object)) *bundle.Bundle {
	t.Helper()
	path := filepath.Join("../../../internal/simkernel/testdata", name)
	raw, err := os.ReadFile(path)
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse(path, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	if change != nil {
		change(obj)
	}
	b, err := loader.Compile(obj, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	return b
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"sample-bpfel", "sample-bpfeb"} {
		t.Run(name, func(t *testing.T) {
			got, err := Text(compile(t, name+".o", nil))
			qt.Assert(t, qt.IsNil(err))
			file := filepath.Join("testdata", name+".golden")
			if *update {
				qt.Assert(t, qt.IsNil(os.WriteFile(file, []byte(got), 0o644)))
			}
			want, err := os.ReadFile(file)
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.Equals(got, string(want)), qt.Commentf("run the test with -update if this is meant"))
		})
	}
}

// TestSmallChanges counts the lines that a change of the object changes.
func TestSmallChanges(t *testing.T) {
	base, err := Text(compile(t, "sample-bpfel.o", nil))
	qt.Assert(t, qt.IsNil(err))
	find := func(o *object.Object, name string) *object.Map {
		for _, m := range o.Maps {
			if strings.HasSuffix(m.Name, name) {
				return m
			}
		}
		t.Fatalf("no map %s", name)
		return nil
	}
	for _, test := range []struct {
		name   string
		change func(*object.Object)
		max    int // lines that come or go
	}{
		{"nothing", nil, 0},
		{"a map's size", func(o *object.Object) { find(o, "events").MaxEntries *= 2 }, 6},
		{"a constant", func(o *object.Object) { find(o, ".rodata").Data[0]++ }, 4},
		{"a longer license, so that all behind it moves", func(o *object.Object) { o.License = strings.Repeat("GPL ", 20) }, 18},
		{"one program less", func(o *object.Object) { o.Programs[1].Autoload = false }, 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Text(compile(t, "sample-bpfel.o", test.change))
			qt.Assert(t, qt.IsNil(err))
			changed := changedLines(base, got)
			qt.Check(t, qt.IsTrue(len(changed) <= test.max), qt.Commentf("%d lines:\n%s", len(changed), strings.Join(changed, "\n")))
		})
	}
}

// changedLines are the lines that only one of the texts has.
func changedLines(a, b string) (changed []string) {
	count := map[string]int{}
	for _, l := range strings.Split(a, "\n") {
		count[l]++
	}
	for _, l := range strings.Split(b, "\n") {
		count[l]--
	}
	for l, n := range count {
		for ; n > 0; n-- {
			changed = append(changed, "-"+l)
		}
		for ; n < 0; n++ {
			changed = append(changed, "+"+l)
		}
	}
	return changed
}

// TestLibbpf is that the listing of a loader of another generator names what it does, too.
func TestLibbpf(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("../../../internal/simkernel/testdata", name))
		qt.Assert(t, qt.IsNil(err))
		return b
	}
	l := simkernel.Loader{Scheme: bundle.MapHash, Insns: read("map-hash.insns"), Blob: read("map-hash.data")}
	lines, err := listing(l, simkernel.Run(l, simkernel.Options{}))
	qt.Assert(t, qt.IsNil(err))
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"\tif r2 != 1 goto L2 ; check: exclusive",
		"\tu32 fd of BTF = r7",
		"\tcall bpf_sys_bpf ; MAP_CREATE ringbuf \"events\" max_entries=4096 untyped",
		"\tu64 PROG_LOAD \"on_exec\".insns = r0",
		"\tu32 ctx, map \"events\" = r0",
	} {
		qt.Check(t, qt.StringContains(text, want))
	}
}

func TestBroken(t *testing.T) {
	b := &bundle.Bundle{
		Contract: bundle.Contract{Object: bundle.Object{Name: "x.bpf.o", SHA256: make([]byte, 32)}, CtxSize: bundle.CtxHeaderSize},
		Blob:     make([]byte, bundle.ContractSize), Loaders: []bundle.Loader{{Scheme: bundle.Payload, Insns: make([]byte, 8)}},
	}
	qt.Assert(t, qt.IsNil(b.Seal()))
	_, err := Text(b)
	qt.Check(t, qt.ErrorMatches(err, "payload loader: instruction 0: .*"))
	b.Object.Name = "y.bpf.o"
	_, err = Text(b)
	qt.Check(t, qt.ErrorIs(err, bundle.ErrContract))
}
