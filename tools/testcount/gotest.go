package main

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json`.
type event struct {
	Action, Package, ImportPath, Test, Output, FailedBuild string
}

// readGo counts the tests that have no subtests, of every package. A package that
// failed without a failed test (it did not compile, or it crashed) counts as one.
func readGo(r io.Reader) ([]result, error) {
	type test struct{ state, output string }
	type pkg struct {
		tests  map[string]*test
		failed bool
		output string
	}
	pkgs := map[string]*pkg{}
	builds := map[string]string{} // what the compiler said
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			continue // something that a test printed past the testing package
		}
		if e.Action == "build-output" {
			builds[e.ImportPath] += e.Output
		}
		if e.Package == "" {
			continue
		}
		p := pkgs[e.Package]
		if p == nil {
			p = &pkg{tests: map[string]*test{}}
			pkgs[e.Package] = p
		}
		if e.Test == "" {
			p.output += e.Output
			if e.Action == "fail" {
				p.failed = true
				p.output += builds[e.FailedBuild]
			}
			continue
		}
		t := p.tests[e.Test]
		if t == nil {
			t = &test{}
			p.tests[e.Test] = t
		}
		switch e.Action {
		case "output":
			t.output += e.Output
		case "run", "pass", "fail", "skip":
			t.state = e.Action
		}
	}
	var results []result
	for _, name := range slices.Sorted(maps.Keys(pkgs)) {
		p := pkgs[name]
		cases := map[string]result{}
		for n, t := range p.tests {
			r := result{name: name + "." + n}
			switch t.state {
			case "fail", "run": // one that never ended took the package down
				r.outcome, r.why = failed, "\n"+t.output
			case "skip":
				r.outcome, r.why = skipped, reason(t.output)
			}
			cases[n] = r
		}
		kept, broken := leaves(cases)
		results = append(results, kept...)
		if p.failed && !broken {
			results = append(results, result{name, failed, "\n" + p.output})
		}
	}
	return results, nil
}

// leaves leaves out tests that have subtests, unless one failed on its own
// account. It tells whether any failed.
func leaves(cases map[string]result) (kept []result, broken bool) {
	names := slices.Sorted(maps.Keys(cases))
	// The deepest first, so that a parent comes after its subtests.
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	parent, explained := map[string]bool{}, map[string]bool{}
	for _, n := range names {
		r := cases[n]
		ownFailure := r.outcome == failed && !explained[n]
		if !parent[n] || ownFailure {
			kept = append(kept, r)
		}
		broken = broken || r.outcome == failed
		if i := strings.LastIndexByte(n, '/'); i >= 0 {
			parent[n[:i]] = true
			explained[n[:i]] = explained[n[:i]] || r.outcome == failed
		}
	}
	slices.SortFunc(kept, func(a, b result) int { return strings.Compare(a.name, b.name) })
	return kept, broken
}

// reason is what a skipped test printed, without the testing package's own lines.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}
