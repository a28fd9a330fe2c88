package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/cilium/ebpf"

	"github.com/rules-bpf/rules_bpf/bundle"
	bpf "github.com/rules-bpf/rules_bpf/runtime"
)

// Who loads.
const (
	oursA  = "ours, scheme A"
	oursB  = "ours, scheme B"
	skelC  = "C light skeleton"
	fromC  = "cilium/ebpf, ELF"
	parsed = "cilium/ebpf, parsed"
)

// perSample is how many loads one sample is the median of.
const perSample = 5

// closer is what a load has made.
type closer interface{ Close() }

// closeCollection makes our collection a closer.
type closeCollection struct{ *bpf.Collection }

func (c closeCollection) Close() { _ = c.Collection.Close() }

// once returns what loads an object one time, in this process.
func once(who string, f file) (func() (closer, error), error) {
	switch who {
	case oursA, oursB:
		b, err := f.compile()
		if err != nil {
			return nil, err
		}
		// As a program does that has the file embedded: decoding is part of it.
		encoded, err := bundle.Encode(b)
		if err != nil {
			return nil, err
		}
		scheme := bundle.MapHash
		if who == oursB {
			scheme = bundle.Payload
		}
		opts := []bpf.Option{bpf.AllowUnsigned(), bpf.RequireSchemes(scheme), bpf.Logf(func(string, ...any) {})}
		return func() (closer, error) {
			c, err := bpf.LoadBytes(context.Background(), encoded, opts...)
			return closeCollection{c}, err
		}, nil
	case fromC:
		return func() (closer, error) {
			spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(f.raw))
			if err != nil {
				return nil, err
			}
			return ebpf.NewCollection(spec)
		}, nil
	case parsed:
		spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(f.raw))
		if err != nil {
			return nil, err
		}
		return func() (closer, error) { return ebpf.NewCollection(spec) }, nil
	}
	return nil, fmt.Errorf("nobody is called %q", who)
}

// timed measures a number of loads, and returns the median in microseconds. Closing is not part of it.
func timed(n int, load func() (closer, error)) func() (float64, error) {
	return func() (float64, error) {
		var times []float64
		for range n {
			start := time.Now()
			c, err := load()
			times = append(times, microseconds(time.Since(start)))
			if err != nil {
				return 0, err
			}
			c.Close()
		}
		return summarize(times).Median, nil
	}
}

// first is what a process with $BENCH_FIRST does instead: it loads once, from nothing, and says how long that took.
func first(who, path string) error {
	f, err := readFile(path)
	if err != nil {
		return err
	}
	load, err := once(who, f)
	if err != nil {
		return err
	}
	d, err := timed(1, load)()
	if err == nil {
		fmt.Println(d)
	}
	return err
}

// inNewProcess measures the first load of a process.
func inNewProcess(who string, f file) func() (float64, error) {
	return func() (float64, error) {
		cmd := exec.Command("/proc/self/exe", f.path)
		cmd.Env = append(os.Environ(), "BENCH_FIRST="+who)
		out, err := cmd.Output()
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(string(bytes.TrimSpace(out)), 64)
	}
}

// load compares loads within a process, on this machine's kernel, without signatures.
func (b *bench) load() (*Section, error) {
	s := &Section{Name: "load", About: "into this kernel, unsigned, within a process that has loaded before; closing not counted"}
	files, err := b.loadable()
	if err != nil {
		return nil, err
	}
	var overC, overELF, overParsed []float64
	for _, f := range files {
		who, stop, err := b.loaders(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		samples, err := compete(b.rounds(25), who)
		stop()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		s.add(f.name, "us", who, samples)
		if len(samples[oursA]) > 0 {
			s.compare(f.name, oursA, skelC, ratios(samples[oursA], samples[skelC]), 0.5)
			s.compare(f.name, oursA, fromC, ratios(samples[oursA], samples[fromC]), 1.2)
		}
		s.compare(f.name, oursB, skelC, ratios(samples[oursB], samples[skelC]), 0.5)
		s.compare(f.name, oursB, fromC, ratios(samples[oursB], samples[fromC]), 1.2)
		s.compare(f.name, oursB, parsed, ratios(samples[oursB], samples[parsed]), 1.2)
		overC = append(overC, summarize(ratios(samples[oursB], samples[skelC])).Median)
		overELF = append(overELF, summarize(ratios(samples[oursB], samples[fromC])).Median)
		overParsed = append(overParsed, summarize(ratios(samples[oursB], samples[parsed])).Median)
	}
	s.compare("median of objects", oursB, skelC, overC, 0.5)
	s.compare("median of objects", oursB, fromC, overELF, 1.2)
	s.compare("median of objects", oursB, parsed, overParsed, 1.2)
	return s, nil
}

// firstLoad compares the first loads of processes: what a program sees that loads its BPF when it starts.
func (b *bench) firstLoad() (*Section, error) {
	s := &Section{Name: "first load", About: "the same, the first of a process, which looks at the kernel's BTF and features"}
	files, err := b.loadable()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		var who []contestant
		for _, name := range []string{oursA, oursB, fromC} {
			if name != oursA || b.mapHash() {
				who = append(who, contestant{name, inNewProcess(name, f)})
			}
		}
		samples, err := compete(b.rounds(10), who)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		s.add(f.name, "us", who, samples)
		s.compare(f.name, oursB, fromC, ratios(samples[oursB], samples[fromC]), 1.2)
	}
	return s, nil
}

// memory compares what a load allocates in the Go heap.
func (b *bench) memory() (*Section, error) {
	s := &Section{Name: "memory", About: "what one load allocates in the Go heap"}
	files, err := b.loadable()
	if err != nil {
		return nil, err
	}
	for _, f := range append(files, b.large) {
		for _, who := range []string{oursB, fromC, parsed} {
			load, err := once(who, f)
			if err != nil {
				return nil, err
			}
			bytes, objects, err := allocated(20, load)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", f.name, who, err)
			}
			s.Rows = append(s.Rows, Row{f.name, who, "kB", summarize([]float64{bytes / 1e3})},
				Row{f.name, who, "allocations", summarize([]float64{objects})})
		}
	}
	return s, nil
}

// allocated returns how much one load allocates, as the mean of n.
func allocated(n int, load func() (closer, error)) (bytes, objects float64, err error) {
	var before, after runtime.MemStats
	for i := -1; i < n; i++ { // once before, for what is kept
		if i == 0 {
			runtime.ReadMemStats(&before)
		}
		c, err := load()
		if err != nil {
			return 0, 0, err
		}
		c.Close()
	}
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(n), float64(after.Mallocs-before.Mallocs) / float64(n), nil
}

// loaders returns all who load an object, and what stops them.
func (b *bench) loaders(f file) (who []contestant, stop func(), err error) {
	stop = func() {}
	for _, name := range []string{oursA, oursB, fromC, parsed} {
		if name == oursA && !b.mapHash() {
			continue
		}
		load, err := once(name, f)
		if err != nil {
			return nil, stop, fmt.Errorf("%s: %w", name, err)
		}
		who = append(who, contestant{name, timed(perSample, load)})
	}
	c, stop, err := b.startSkeleton(f)
	if err != nil {
		return nil, stop, err
	}
	return append(who, contestant{skelC, c.load}), stop, nil
}

// mapHash says whether this kernel lets a scheme A loader look at its map.
func (b *bench) mapHash() bool {
	load, err := once(oursA, b.trivial)
	if err != nil {
		return false
	}
	c, err := load()
	if err == nil {
		c.Close()
	}
	return err == nil
}

// loadableNames are fixtures that are compared: each with something else that a loader has to do.
var loadableNames = []string{"core", "maps_of_maps"}

// loadable returns the objects whose loads are compared, as far as this kernel takes them from all of us.
func (b *bench) loadable() ([]file, error) {
	files := []file{b.trivial}
	for _, name := range []string{"counter", "execsnoop", "packets", "portguard"} {
		f, err := b.compiled(name, filepath.Join(b.root, "examples", name, name+".bpf.c"))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	for _, name := range loadableNames {
		f, err := readFile(filepath.Join(b.root, "internal/object/testdata", name+".bpf.o"))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	var usable []file
	for _, f := range files {
		if err := b.tryAll(f); err != nil {
			b.logf("not compared: %s: %v", f.name, err)
			continue
		}
		usable = append(usable, f)
	}
	if len(usable) == 0 {
		return nil, errors.New("this kernel loads nothing: root in the first user namespace?")
	}
	return usable, nil
}

// tryAll loads an object once by everyone.
func (b *bench) tryAll(f file) error {
	who, stop, err := b.loaders(f)
	defer stop()
	for _, c := range who {
		if err == nil {
			if _, err = c.run(); err != nil {
				err = fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return err
}
