//go:build linux

package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Status is the outcome of a case.
type Status string

// The outcomes. A case without one was running when its binary ended.
const (
	Passed     Status = "PASS"
	Failed     Status = "FAIL"
	Skipped    Status = "SKIP"
	Unfinished Status = ""
)

// A Case is one test or subtest that ran in a guest.
type Case struct {
	// Name is the full name: TestA/sub.
	Name   string
	Status Status
	// Output is what the case logged, its own lines only.
	Output string
}

// What package testing writes with -test.v=test2json after a ^V (0x16), which
// tells its lines from those of the tests.
var (
	nameLine = regexp.MustCompile(`^=== (?:RUN|NAME|CONT|PAUSE)\s+(\S*)\n$`)
	endLine  = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \([0-9.]+s\)\n$`)
)

// ParseTests reads the output of a test binary that ran with -test.v=test2json.
func ParseTests(output []byte) []*Case {
	var (
		cases   []*Case
		byName  = map[string]*Case{}
		current *Case // whose output comes next
	)
	lookup := func(name string) *Case {
		if name == "" {
			return nil
		}
		c := byName[name]
		if c == nil {
			c = &Case{Name: name}
			byName[name] = c
			cases = append(cases, c)
		}
		return c
	}
	for line := range strings.Lines(string(output)) {
		// The text is what a test wrote, perhaps without an end of line.
		text, framed, _ := strings.Cut(line, "\x16")
		if current != nil {
			current.Output += text
		}
		if m := nameLine.FindStringSubmatch(framed); m != nil {
			current = lookup(m[1])
		} else if m := endLine.FindStringSubmatch(framed); m != nil {
			current = lookup(m[2])
			current.Status = Status(m[1])
		} else if framed == "PASS\n" || framed == "FAIL\n" {
			current = nil
		}
	}
	return cases
}

// Replay makes every case a subtest of t, with the case's outcome and output,
// and fails t if the guest as a whole failed. Run's error goes in as runErr.
func (r *Result) Replay(t *testing.T, runErr error) {
	t.Helper()
	t.Logf("booted in %.1fs", r.Boot.Seconds())
	failed := replay(t, r.Cases, "")
	switch {
	case runErr != nil:
		t.Error(runErr)
	case len(r.Cases) == 0:
		t.Errorf("no test ran in the guest, exit code %d:\n%s", r.ExitCode, lastLines(r.Console, 25))
	case r.ExitCode != 0 && !failed:
		t.Errorf("no test failed in the guest, but its exit code is %d:\n%s", r.ExitCode, lastLines(r.Console, 50))
	}
}

// replay runs the cases directly below parent as subtests of t.
func replay(t *testing.T, cases []*Case, parent string) (failed bool) {
	t.Helper()
	for _, c := range cases {
		name, below := strings.CutPrefix(c.Name, parent)
		if !below || !directly(cases, c, parent) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			replay(t, cases, c.Name+"/")
			if out := strings.TrimSpace(c.Output); out != "" {
				fmt.Fprintln(t.Output(), strings.ReplaceAll(out, "\n    ", "\n"))
			}
			switch c.Status {
			case Failed:
				t.Fail()
			case Skipped:
				t.SkipNow()
			case Unfinished:
				t.Error("did not finish in the guest")
			}
		})
		failed = failed || c.Status == Failed || c.Status == Unfinished
	}
	return failed
}

// directly says that no other case is between parent and c, whose own name may
// have a slash in it.
func directly(cases []*Case, c *Case, parent string) bool {
	return !slices.ContainsFunc(cases, func(other *Case) bool {
		return len(other.Name) >= len(parent) && strings.HasPrefix(c.Name, other.Name+"/")
	})
}

// SaveConsole keeps the console's text where the test's outputs are kept, if
// the environment says that they are, and returns the path.
func (r *Result) SaveConsole(name string) (string, error) {
	dir := os.Getenv("TEST_UNDECLARED_OUTPUTS_DIR")
	if dir == "" {
		return "", nil
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, r.Console, 0o644); err != nil {
		return "", fmt.Errorf("save console: %w", err)
	}
	return path, nil
}
