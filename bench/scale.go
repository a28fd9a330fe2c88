package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// many compiles an object of n maps and n programs, each of which uses a map.
func (b *bench) many(n int) (file, error) {
	var src strings.Builder
	src.WriteString("#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n")
	for i := range n {
		fmt.Fprintf(&src, `
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} map%[1]d SEC(".maps");

SEC("socket")
int program%[1]d(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&map%[1]d, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}
`, i)
	}
	src.WriteString("\nchar LICENSE[] SEC(\"license\") = \"GPL\";\n")
	source := filepath.Join(b.dir, fmt.Sprintf("many%d.bpf.c", n))
	if err := os.WriteFile(source, []byte(src.String()), 0o644); err != nil {
		return file{}, err
	}
	return b.compiled(fmt.Sprintf("many%d", n), source)
}

// scale measures how cost grows with the number of maps and programs.
func (b *bench) scale() (*Section, error) {
	s := &Section{Name: "scale", About: "an object of n maps and n programs"}
	perLoad := map[int]map[string]float64{}
	sizes := []int{1, 10, 100, 1000}
	for _, n := range sizes {
		f, err := b.many(n)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%d + %d", n, n)
		generate := func(run func(*usage, file) error) func() (float64, error) {
			return func() (float64, error) { var u usage; err := run(&u, f); return milliseconds(u.wall), err }
		}
		who := []contestant{{ourTools, generate(b.generateOurs)}}
		if err := b.generatePeer(&usage{}, f); err == nil {
			who = append(who, contestant{theirTools, generate(b.generatePeer)})
		} else {
			s.note("%s: bpftool makes no loader: %s", name, lastLine(err))
		}
		samples, err := compete(b.rounds(10), who)
		if err != nil {
			return nil, err
		}
		s.add(name+", generate", "ms", who, samples)
		u := usage{wrapper: b.peak}
		if err := b.generateOurs(&u, f); err != nil {
			return nil, err
		}
		s.Rows = append(s.Rows, Row{name + ", generate", ourTools, "MB at most", summarize([]float64{u.peak})})

		made, err := f.compile()
		if err != nil {
			return nil, err
		}
		for _, l := range made.Loaders {
			s.Rows = append(s.Rows, Row{name, fmt.Sprint("ours, ", l.Scheme), "loader instructions", summarize([]float64{float64(len(l.Insns) / insn.Size)})})
		}
		loads := max(1, 20/n)
		who = nil
		for _, w := range []string{oursA, oursB, fromC, parsed} {
			if w == oursA && !b.mapHash() {
				continue
			}
			load, err := once(w, f)
			if err != nil {
				return nil, err
			}
			who = append(who, contestant{w, timed(loads, load)})
		}
		if samples, err = compete(b.rounds(10), who); err != nil {
			return nil, err
		}
		s.add(name+", load", "us", who, samples)
		s.compare(name+", load", oursB, fromC, ratios(samples[oursB], samples[fromC]), 1.2)
		perLoad[n] = map[string]float64{}
		for w, v := range samples {
			perLoad[n][w] = summarize(v).Median
		}
	}
	for i := 1; i < len(sizes); i++ {
		from, to := sizes[i-1], sizes[i]
		for _, w := range []string{oursA, oursB, fromC} {
			if before := perLoad[from][w]; before > 0 {
				s.note("%s: %d times the maps and programs (%d to %d), %.1f times the time of a load", w, to/from, from, to, perLoad[to][w]/before)
			}
		}
	}
	return s, nil
}

func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}
