package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// buildEvent has the parts of Bazel's build event protocol that are of use here.
type buildEvent struct {
	ID struct {
		TargetConfigured, TargetCompleted *struct{ Label string }
		TestResult                        *struct {
			Label      string
			Run, Shard int
		}
		TestSummary *struct{ Label string }
	}
	Configured  *struct{ TestSize string }
	Completed   *struct{ Success bool }
	Aborted     *struct{ Reason, Description string }
	TestSummary *struct{ OverallStatus string }
	TestResult  *struct {
		Status           string
		TestActionOutput []struct{ Name, URI string }
	}
	Finished *struct {
		ExitCode struct {
			Name string
			Code int
		}
	}
}

// readBazel counts the cases of each test target's test.xml, as for go test; a
// target that has none counts as one. A target that was not built is a failure.
func readBazel(r io.Reader) ([]result, error) {
	targets := map[string][]result{}
	isTest := map[string]bool{}
	runs := map[string]buildEvent{}
	status := map[string]string{}
	var end *buildEvent
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		var e buildEvent
		if json.Unmarshal(line, &e) != nil {
			continue // a line cut short, as by a killed Bazel: then its end is missing too
		}
		switch id := e.ID; {
		case id.TargetConfigured != nil && e.Configured != nil:
			isTest[id.TargetConfigured.Label] = e.Configured.TestSize != ""
		case id.TargetCompleted != nil && e.Aborted != nil && e.Aborted.Reason == "SKIPPED":
			if l := id.TargetCompleted.Label; isTest[l] {
				targets[l] = []result{{l, skipped, cmp.Or(e.Aborted.Description, "incompatible with this platform")}}
			}
		case id.TargetCompleted != nil && (e.Completed == nil || !e.Completed.Success):
			targets[id.TargetCompleted.Label] = []result{{id.TargetCompleted.Label, failed, "not built"}}
		case id.TestResult != nil && e.TestResult != nil:
			// Events come in order: the last attempt is what counts.
			runs[fmt.Sprintf("%s run %d shard %d", id.TestResult.Label, id.TestResult.Run, id.TestResult.Shard)] = e
		case id.TestSummary != nil && e.TestSummary != nil:
			status[id.TestSummary.Label] = e.TestSummary.OverallStatus
		case e.Finished != nil:
			end = &e
		}
	}
	for _, key := range slices.Sorted(maps.Keys(runs)) {
		label := runs[key].ID.TestResult.Label
		targets[label] = append(targets[label], cases(runs[key])...)
	}
	var results []result
	broken := false
	for _, label := range slices.Sorted(maps.Keys(targets)) {
		rs := targets[label]
		bad := slices.ContainsFunc(rs, func(r result) bool { return r.outcome == failed })
		if s := status[label]; !bad && s != "" && s != "PASSED" && s != "FLAKY" {
			rs, bad = append(rs, result{label, failed, s}), true
		}
		results, broken = append(results, rs...), broken || bad
	}
	switch {
	case end == nil:
		results = append(results, result{"bazel test", failed, "it did not come to an end"})
	case end.Finished.ExitCode.Code != 0 && !broken:
		results = append(results, result{"bazel test", failed, end.Finished.ExitCode.Name})
	}
	return results, nil
}

// cases reads the test.xml that one run of a target left.
func cases(e buildEvent) []result {
	label := e.ID.TestResult.Label
	whole := result{name: label}
	if e.TestResult.Status != "PASSED" {
		whole.outcome, whole.why = failed, e.TestResult.Status
	}
	type message struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var doc struct {
		Cases []struct {
			Name    string   `xml:"name,attr"`
			Failure *message `xml:"failure"`
			Error   *message `xml:"error"`
			Skipped *message `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	for _, out := range e.TestResult.TestActionOutput {
		path, local := strings.CutPrefix(out.URI, "file://")
		if out.Name != "test.xml" || !local {
			continue
		}
		if b, err := os.ReadFile(path); err != nil || xml.Unmarshal(b, &doc) != nil {
			return []result{whole}
		}
	}
	found := map[string]result{}
	for _, c := range doc.Cases {
		r := result{name: label + " " + c.Name}
		for _, bad := range []*message{c.Failure, c.Error} {
			if bad != nil {
				r.outcome, r.why = failed, bad.Message+"\n"+bad.Text
			}
		}
		if c.Skipped != nil {
			r.outcome, r.why = skipped, reason(c.Skipped.Text)
		}
		found[c.Name] = r
	}
	kept, broken := leaves(found)
	if len(kept) == 0 || whole.outcome == failed && !broken {
		kept = append(kept, whole)
	}
	return kept
}
