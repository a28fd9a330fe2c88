// Command testcount adds up what tools/test ran, and says what failed and what
// was skipped, and why. Its last line is `N passed, N failed, N skipped`; it
// exits non-zero if a test failed, or if what it was given cannot be counted.
package main

import (
	"bufio"
	"cmp"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"
)

type outcome int

const (
	passed outcome = iota
	failed
	skipped
)

// result is how one test ended.
type result struct {
	name    string
	outcome outcome
	why     string // what the test said, unless it passed
}

// suite is one way of running tests and how to read what it wrote.
type suite struct {
	name string
	file *string
	read func(io.Reader) ([]result, error)
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("testcount: ")
	suites := []suite{
		{"checks", flag.String("checks", "", "lines `PASS name` and `FAIL name`"), readChecks},
		{"go test", flag.String("go", "", "output of go test -json"), readGo},
		{"bazel", flag.String("bazel", "", "Bazel's build event file (JSON)"), readBazel},
	}
	allow := flag.String("allow-skips", "", "file of patterns, one a line: a skipped test that none matches has failed")
	flag.Parse()
	allowed, err := readPatterns(*allow)
	if err != nil {
		log.Fatal(err)
	}
	var total [3]int
	var table strings.Builder
	for _, s := range suites {
		if *s.file == "" {
			continue
		}
		results, err := readFile(*s.file, s.read)
		if err == nil && len(results) == 0 {
			err = fmt.Errorf("it ran nothing")
		}
		if err != nil {
			log.Fatalf("%s: %v", s.name, err)
		}
		if allowed != nil {
			results = strict(results, allowed)
		}
		slices.SortStableFunc(results, func(a, b result) int { return cmp.Compare(b.outcome, a.outcome) })
		var n [3]int
		for _, r := range results {
			n[r.outcome]++
			total[r.outcome]++
			if r.outcome != passed {
				fmt.Printf("%s: %s: %s\n", [...]string{failed: "FAILED", skipped: "skipped"}[r.outcome], r.name, r.why)
			}
		}
		fmt.Fprintf(&table, "%-8s %6d %6d %7d\n", s.name, n[passed], n[failed], n[skipped])
	}
	fmt.Printf("\n%-8s %6s %6s %7s\n%s\n", "", "passed", "failed", "skipped", &table)
	fmt.Printf("%d passed, %d failed, %d skipped\n", total[passed], total[failed], total[skipped])
	if total[failed] > 0 {
		os.Exit(1)
	}
}

func readFile(name string, read func(io.Reader) ([]result, error)) ([]result, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f)
}

// strict turns skips that no pattern allows into failures.
func strict(results []result, allowed []*regexp.Regexp) []result {
	for i, r := range results {
		ok := slices.ContainsFunc(allowed, func(re *regexp.Regexp) bool { return re.MatchString(r.name + ": " + r.why) })
		if r.outcome == skipped && !ok {
			results[i].outcome, results[i].why = failed, "skipped, and here it should run: "+r.why
		}
	}
	return results
}

// readPatterns reads one regular expression a line; nil if there is no file to read.
func readPatterns(file string) ([]*regexp.Regexp, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	patterns := []*regexp.Regexp{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		re, err := regexp.Compile(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		patterns = append(patterns, re)
	}
	return patterns, nil
}

// readChecks reads what tools/lint writes.
func readChecks(r io.Reader) ([]result, error) {
	var results []result
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		verdict, name, _ := strings.Cut(lines.Text(), " ")
		switch verdict {
		case "PASS":
			results = append(results, result{name: name})
		case "FAIL":
			results = append(results, result{name, failed, "see above"})
		}
	}
	return results, lines.Err()
}
