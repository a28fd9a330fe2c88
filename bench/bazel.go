package main

import (
	"fmt"
	"strconv"
	"strings"

	whole "github.com/rules-bpf/rules_bpf/internal/file"
)

// bazel reports the samples of bench/bazel, which has to run outside of where this command runs.
func (b *bench) bazel() (*Section, error) {
	s := &Section{Name: "bazel", About: "a workspace of generated sources, each with a signed loader; the tools are built before"}
	data, err := whole.Read(b.bazelSamples, whole.MaxText)
	if err != nil {
		return nil, err
	}
	type key struct{ name, unit string }
	samples := map[key][]float64{}
	var order []key
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		fields := strings.Split(line, "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: want case, unit and value: %q", b.bazelSamples, line)
		}
		v, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.bazelSamples, err)
		}
		k := key{fields[0], fields[1]}
		if samples[k] == nil {
			order = append(order, k)
		}
		samples[k] = append(samples[k], v)
	}
	for _, k := range order {
		s.Rows = append(s.Rows, Row{k.name, "ours", k.unit, summarize(samples[k])})
	}
	return s, nil
}
