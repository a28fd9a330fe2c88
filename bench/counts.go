package main

import (
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
)

// counts compares how large loaders are, over all objects of which both make one.
func (b *bench) counts() (*Section, error) {
	s := &Section{Name: "size", About: "loaders of all objects, ours by bpftool's (one sample an object)"}
	sets, err := b.sets()
	if err != nil {
		return nil, err
	}
	type column struct {
		name, peer string
		target     float64
		of         func(ours *bundle.Bundle, unsigned, signed *bpftool.Skeleton) float64
	}
	insns := func(b *bundle.Bundle, s bundle.Scheme) float64 { return float64(len(b.Loader(s).Insns)) }
	columns := []column{
		{"instructions, scheme A", "bpftool -L -S", 0.5, func(o *bundle.Bundle, _, p *bpftool.Skeleton) float64 {
			return insns(o, bundle.MapHash) / float64(len(p.Insns))
		}},
		{"instructions, scheme B", "bpftool -L -S", 0.5, func(o *bundle.Bundle, _, p *bpftool.Skeleton) float64 {
			return insns(o, bundle.Payload) / float64(len(p.Insns))
		}},
		{"instructions, scheme B", "bpftool -L", 0.5, func(o *bundle.Bundle, p, _ *bpftool.Skeleton) float64 {
			return insns(o, bundle.Payload) / float64(len(p.Insns))
		}},
		{"blob bytes", "bpftool -L -S", 1, func(o *bundle.Bundle, _, p *bpftool.Skeleton) float64 {
			return float64(len(o.Blob)) / float64(len(p.Blob))
		}},
	}
	all := make([][]float64, len(columns))
	for _, set := range sets {
		samples := make([][]float64, len(columns))
		onlyWe, onlyThey, neither := 0, 0, 0
		for _, f := range set.files {
			ours, err := f.compile()
			unsigned, errL := b.bpftool.Generate(f.path, b.dir, false)
			signed, errS := b.bpftool.Generate(f.path, b.dir, true)
			switch peer := errL == nil && errS == nil; {
			case err == nil && !peer:
				onlyWe++
			case err != nil && peer:
				onlyThey++
			case err != nil:
				neither++
			default:
				for i, c := range columns {
					samples[i] = append(samples[i], c.of(ours, unsigned, signed))
				}
			}
		}
		for i := range columns {
			all[i] = append(all[i], samples[i]...)
		}
		s.note("%s: %d objects; compared %d, only we make a loader of %d, only bpftool of %d, neither of %d",
			set.name, len(set.files), len(samples[0]), onlyWe, onlyThey, neither)
	}
	for i, c := range columns {
		r := Ratio{Case: c.name, Ours: "ours", Peer: c.peer, Stat: summarize(all[i]), Target: c.target}
		if len(all[i]) > 0 {
			r.Max = slices.Max(all[i])
		}
		s.Ratios = append(s.Ratios, r)
	}
	return s, nil
}
