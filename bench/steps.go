package main

import (
	"regexp"
	"strconv"
	"strings"
)

var metricRE = regexp.MustCompile(`([0-9.]+) us-(\S+)`)

// steps tells what a load's system calls take. The clock is in a test of the runtime's, which can put something between
// it and the kernel.
func (b *bench) steps() (*Section, error) {
	s := &Section{Name: "steps", About: "system calls of a load of one map and one program, medians (BenchmarkLoad of runtime)"}
	times := "3000x"
	if b.quick {
		times = "100x"
	}
	out, err := output("go", "test", "-run", "^$", "-bench", "^BenchmarkLoad$", "-benchtime", times, "./runtime")
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(out, "\n") {
		name, rest, _ := strings.Cut(line, "\t")
		if name = strings.TrimSpace(name); !strings.HasPrefix(name, "BenchmarkLoad/") {
			continue
		}
		who := oursA
		if strings.Contains(name, "payload") {
			who = oursB
		}
		for _, m := range metricRE.FindAllStringSubmatch(rest, -1) {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return nil, err
			}
			s.Rows = append(s.Rows, Row{m[2], who, "us", summarize([]float64{v})})
		}
	}
	return s, nil
}
