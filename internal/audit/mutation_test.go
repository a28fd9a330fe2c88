package audit

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
)

var (
	// Plain go test is for the inner loop, so it tries few. Bazel, and so tools/test, tries ten times as many: see BUILD.bazel.
	mutantCount = flag.Int("mutants", 500, "how many mutants of whole loaders TestMutants makes")
	mutantSeed  = flag.Uint64("seed", 1, "which ones")
)

// subject is a bundle whose loaders are mutated.
type subject struct {
	name string
	b    *bundle.Bundle
	// want is what each loader does on each of the simulated kernels.
	want map[bundle.Scheme][]string
}

// subjects are the bundles of the objects of tests/features, and of the sample.
func subjects(t *testing.T) (list []*subject) {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.o", "eb/*.o"} {
		found, err := filepath.Glob(filepath.Join("../object/testdata", pattern))
		qt.Assert(t, qt.IsNil(err))
		files = append(files, found...)
	}
	files = append(files, filepath.Join(testdata, "sample-bpfel.o"), filepath.Join(testdata, "sample-bpfeb.o"))
	qt.Assert(t, qt.IsTrue(len(files) > 20))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		qt.Assert(t, qt.IsNil(err))
		o, err := object.Parse(file, raw, object.Options{Kconfig: map[string]string{
			"LINUX_KERNEL_VERSION": "0x70304", "CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m", "CONFIG_DEFAULT_HOSTNAME": `"(none)"`,
		}})
		qt.Assert(t, qt.IsNil(err))
		b, err := loader.Compile(o, loader.Options{})
		qt.Assert(t, qt.IsNil(err))
		s := &subject{name: strings.TrimPrefix(file, "../"), b: b, want: map[bundle.Scheme][]string{}}
		qt.Assert(t, qt.HasLen(Bundle(b), 0), qt.Commentf("%s", file))
		for _, l := range b.Loaders {
			s.want[l.Scheme] = behaviours(b, l.Scheme)
		}
		list = append(list, s)
	}
	return list
}

// judges are the simulated kernels and hosts that a loader has to behave on. Each runs it twice.
func judges() (list []simkernel.Options) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 7))
		o := simkernel.Options{Again: true, Config: simkernel.Config{Seed: seed, MaxSteps: 20_000}}
		o.Ctx = func(ctx []byte) { // all that the host may choose; the size is checked by nobody
			for i := range ctx {
				ctx[i] = byte(r.Uint32())
			}
		}
		switch seed {
		case 1: // everything is in modules
			o.Lookup = func(string, uint32) (string, bool) { return "module", true }
		case 2: // some of it is missing
			o.Lookup = func(name string, kind uint32) (string, bool) { return "", len(name)%2 == 0 }
		case 3, 4:
			o.FailCall = int(r.Uint32N(12)) + 1
		case 5:
			o.Ctx = nil
		}
		list = append(list, o)
	}
	for _, s := range []simkernel.Scenario{simkernel.NonExclusive, simkernel.StaleHash, simkernel.NotHashed, simkernel.TamperedBlob} {
		list = append(list, simkernel.Options{Scenario: s, Config: simkernel.Config{MaxSteps: 20_000}})
	}
	for i := 0; i < 32; i += 5 {
		list = append(list, simkernel.Options{Digest: func(sha []byte) { sha[i] ^= 0x40 }, Config: simkernel.Config{MaxSteps: 20_000}})
	}
	return list
}

// behaviours is what a loader does for each judge: what it makes when it succeeds, nothing when it does not, and never anything wrong.
func behaviours(b *bundle.Bundle, scheme bundle.Scheme) (list []string) {
	l, err := simkernel.FromBundle(b, scheme)
	if err != nil {
		return []string{err.Error()}
	}
	for _, o := range judges() {
		res := simkernel.Run(l, o)
		text := outcome(b, res)
		if res.Again != nil {
			text += "; again: " + outcome(b, res.Again)
		}
		list = append(list, text)
	}
	return list
}

// settle hides whether a weak kernel function counts as there, and the programs that tell the loader: the contract leaves both open.
func settle(b *bundle.Bundle, res *simkernel.Result) {
	res.Progs = slices.DeleteFunc(res.Progs, func(p *simkernel.Prog) bool { return p.Name == "trial" })
	for _, d := range b.Programs {
		p, ok := res.Descriptors[int(d.Ctx)].(*simkernel.Prog)
		if !ok {
			continue
		}
		for _, e := range d.Externs {
			if !e.Weak || e.Kind != bundle.ExternFunction {
				continue
			}
			if s := p.Refs[int(e.Insn)].Symbol; s != nil && s.Name != e.Name {
				continue // that is not open
			}
			delete(p.Refs, int(e.Insn))
			at := p.Insns[int(e.Insn)*insn.Size:]
			in := insn.Get(at, byteOrder(b))
			insn.Put(at, byteOrder(b), insn.Insn{Op: in.Op})
			if in.IsLoadImm64() {
				insn.Put(at[insn.Size:], byteOrder(b), insn.Insn{})
			}
		}
	}
}

func outcome(b *bundle.Bundle, res *simkernel.Result) string {
	switch {
	case res.Stage == simkernel.StageLoad:
		return "does not load"
	case res.Err() != nil:
		return "does wrong: " + res.Err().Error()
	case res.Errno != 0:
		return "fails"
	}
	settle(b, res)
	var places []string
	for off, o := range res.Descriptors {
		name := ""
		switch o := o.(type) {
		case *simkernel.Map:
			name = "map " + o.Name
		case *simkernel.Prog:
			name = "program " + o.Name
		}
		places = append(places, fmt.Sprintf("%d: %s", off, name))
	}
	slices.Sort(places)
	return fmt.Sprint(places, trace.ContentOf(res))
}

// mutate changes something in a loader's instructions, at random.
func mutate(r *rand.Rand, b *bundle.Bundle, scheme bundle.Scheme) (*bundle.Bundle, string) {
	c := *b
	c.Loaders = slices.Clone(b.Loaders)
	l := c.Loader(scheme)
	l.Insns = slices.Clone(l.Insns)
	n := len(l.Insns) / insn.Size
	i, j := r.IntN(n), r.IntN(n)
	at := func(i int) []byte { return l.Insns[i*insn.Size:][:insn.Size] }
	put := func(i int, in insn.Insn) { insn.Put(at(i), byteOrder(b), in) }
	get := func(i int) insn.Insn { return insn.Get(at(i), byteOrder(b)) }
	in := get(i)
	switch r.IntN(10) {
	case 0:
		put(i, insn.Insn{Op: insn.Ja})
		return &c, fmt.Sprintf("%d removed (%v)", i, in)
	case 1:
		copy(at(i), at(j))
		return &c, fmt.Sprintf("%d (%v) replaced by %d (%v)", i, in, j, get(j))
	case 2:
		other := get(j)
		put(i, other)
		put(j, in)
		return &c, fmt.Sprintf("%d (%v) and %d (%v) swapped", i, in, j, other)
	case 3: // another place that is near
		in.Off += int16(4 * (r.IntN(9) - 4))
		put(i, in)
		return &c, fmt.Sprintf("%d has another offset: %v", i, in)
	case 4:
		in.Imm += int32(r.IntN(17) - 8)
		put(i, in)
		return &c, fmt.Sprintf("%d has another immediate: %v", i, in)
	case 5:
		in.Src = uint8(r.IntN(11))
		put(i, in)
		return &c, fmt.Sprintf("%d has another source: %v", i, in)
	case 6:
		in.Dst = uint8(r.IntN(11))
		put(i, in)
		return &c, fmt.Sprintf("%d has another destination: %v", i, in)
	}
	bit := r.IntN(64)
	at(i)[bit/8] ^= 1 << (bit % 8)
	return &c, fmt.Sprintf("bit %d of %d flipped: %v", bit, i, get(i))
}

// TestMutants is what the proof is worth: of all changes to a loader it finds those that matter. A mutant that passes has to do, on every
// simulated kernel and host, what the contract says, and that is what the loader does that it was made from.
func TestMutants(t *testing.T) {
	list := subjects(t)
	var work sync.WaitGroup
	var next, found, harmless atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(*mutantCount) {
					return
				}
				r := rand.New(rand.NewPCG(*mutantSeed, uint64(n)))
				s := list[r.IntN(len(list))]
				scheme := bundle.Schemes[r.IntN(len(bundle.Schemes))]
				m, what := mutate(r, s.b, scheme)
				if Failed(Bundle(m)) {
					found.Add(1)
					continue
				}
				harmless.Add(1)
				got, judges := behaviours(m, scheme), judges()
				for i, want := range s.want[scheme] {
					if judges[i].FailCall != 0 && got[i] == "fails" { // another call is made to fail
						continue
					}
					if got[i] != want && got[i] != "does not load" {
						line, _ := difference(strings.Split(got[i], "\n"), strings.Split(want, "\n"))
						t.Errorf("mutant %d of %s, %v: %s\npasses, and does something else for judge %d: %s", n, s.name, scheme, what, i, line)
						break
					}
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d mutants: %d found, %d that make no difference", *mutantCount, found.Load(), harmless.Load())
	qt.Check(t, qt.IsTrue(found.Load() > int64(*mutantCount)/2))
}
