package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// short is a result without what a failed test printed.
func short(results []result) (out []string) {
	for _, r := range results {
		line := fmt.Sprint([...]string{"pass", "fail", "skip"}[r.outcome], " ", r.name)
		if r.outcome == skipped {
			line += ": " + r.why
		}
		out = append(out, line)
	}
	return out
}

func TestGo(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"subtests count, their parent does not", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"=== RUN   TestA/y\n"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"    a_test.go:9: no kernel\n"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"    --- SKIP: TestA/y (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA/y"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			[]string{"pass p.TestA/x", "skip p.TestA/y: a_test.go:9: no kernel"}},
		{"a failed subtest explains its parents", `
{"Action":"fail","Package":"p","Test":"TestA/x/y"}
{"Action":"fail","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			[]string{"fail p.TestA/x/y"}},
		{"a parent that failed by itself counts", `
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			[]string{"fail p.TestA", "pass p.TestA/x"}},
		{"a test that never ends failed", `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
			[]string{"fail p.TestA"}},
		{"a package that does not compile is one failure", `
{"ImportPath":"p [p.test]","Action":"build-output","Output":"a.go:1: no\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			[]string{"fail p"}},
		{"a package without tests is none", `
not JSON
{"Action":"skip","Package":"p"}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readGo(strings.NewReader(c.in + "\n"))
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.DeepEquals(short(got), c.want))
		})
	}
}

func TestBazel(t *testing.T) {
	report := filepath.Join(t.TempDir(), "test.xml")
	qt.Assert(t, qt.IsNil(os.WriteFile(report, []byte(`<testsuites><testsuite>
<testcase name="TestA"/><testcase name="TestA/x"/>
<testcase name="TestB"><skipped message="Skipped">b_test.go:7: not root</skipped></testcase>
</testsuite></testsuites>`), 0o644)))
	const ok = `{"id":{"buildFinished":{}},"finished":{"exitCode":{"name":"SUCCESS"}}}`
	ran := func(status string) string {
		return `{"id":{"testResult":{"label":"//a:t","run":1,"shard":1,"attempt":1}},"testResult":{"status":"` + status + `","testActionOutput":[{"name":"test.xml","uri":"file://` + report + `"}]}}
{"id":{"testSummary":{"label":"//a:t"}},"testSummary":{"overallStatus":"` + status + `"}}
`
	}
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"cases", ran("PASSED") + ok, []string{"pass //a:t TestA/x", "skip //a:t TestB: b_test.go:7: not root"}},
		{"failed without a failed case", ran("TIMEOUT") + ok, []string{"pass //a:t TestA/x", "skip //a:t TestB: b_test.go:7: not root", "fail //a:t"}},
		{"no report", `{"id":{"testResult":{"label":"//a:t"}},"testResult":{"status":"PASSED"}}
` + ok, []string{"pass //a:t"}},
		{"not built", `{"id":{"targetCompleted":{"label":"//a:t"}},"completed":{}}
` + ok, []string{"fail //a:t"}},
		{"incompatible", `{"id":{"targetConfigured":{"label":"//a:t"}},"configured":{"testSize":"SMALL"}}
{"id":{"targetCompleted":{"label":"//a:t"}},"aborted":{"reason":"SKIPPED"}}
` + ok, []string{"skip //a:t: incompatible with this platform"}},
		{"Bazel failed otherwise", `{"id":{"buildFinished":{}},"finished":{"exitCode":{"name":"PARSING_FAILURE","code":1}}}`, []string{"fail bazel test"}},
		{"Bazel was killed", ``, []string{"fail bazel test"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readBazel(strings.NewReader(c.in + "\n"))
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.DeepEquals(short(got), c.want))
		})
	}
}

func TestStrict(t *testing.T) {
	got := strict([]result{{"a", skipped, "no s390x"}, {"b", skipped, "no root"}, {"c", passed, ""}}, []*regexp.Regexp{regexp.MustCompile("no s390x")})
	qt.Assert(t, qt.DeepEquals(short(got), []string{"skip a: no s390x", "fail b", "pass c"}))
}
