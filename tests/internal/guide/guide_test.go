package guide

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestBlocks(t *testing.T) {
	list, err := Blocks("text\n```sh\none\n```\n1. more\n\n   ```starlark BUILD.bazel\n   two\n     three\n   ```\n\n    still the item\n\n```sh skip: no kernel\n```\n")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(list, []Block{{2, "sh", "one\n"}, {7, "starlark BUILD.bazel", "two\n  three\n"}, {14, "sh skip: no kernel", ""}}))
	qt.Check(t, qt.Equals(list[1].Argument(), "BUILD.bazel"))
	qt.Check(t, qt.Equals(list[2].Skip(), "no kernel"))
	for document, want := range map[string]string{
		"```sh\n":                     "line 1: a block without an end",
		"text\n\n    signtool x\n":    "line 3: code that is not between.*",
		"- item\n\ntext\n\n\tcode\n":  "line 5: code that is not between.*",
		"~~~sh\nsigntool verify\n~~~": "line 1: code that is not between.*",
	} {
		_, err = Blocks(document)
		qt.Check(t, qt.ErrorMatches(err, want))
	}
}

func TestContains(t *testing.T) {
	qt.Check(t, qt.IsTrue(Contains("a  b\nc d", "b c")))
	qt.Check(t, qt.IsTrue(Contains("a b c d", "a ... d")))
	qt.Check(t, qt.IsFalse(Contains("d a", "a ... d")))
}

// stop is how recorder ends a Run.
type stop struct{}

// recorder notes that a test failed, in place of failing.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()             {}
func (r *recorder) Logf(string, ...any) {}
func (r *recorder) Fatal(...any)        { r.failed = true; panic(stop{}) }
func (r *recorder) Fatalf(string, ...any) {
	r.Fatal()
}

func failing(t *testing.T, document string, shell Shell) bool {
	r := &recorder{TB: t}
	func() {
		defer func() {
			if err := recover(); err != nil && err != any(stop{}) {
				panic(err)
			}
		}()
		Run(r, document, t.TempDir(), shell)
	}()
	return r.failed
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	var ran []string
	shell := func(script string) (string, error) {
		ran = append(ran, script)
		if script == "bad\n" {
			return "it is  bad because", errors.New("exit status 1")
		}
		return "fine", nil
	}
	Run(t, "```c a/b.c\none\n```\n```c a/b.c\ntwo\n```\n```sh skip: never\nnot\n```\n```sh\ngood\n```\n```sh fails\nbad\n```\n```text\nis bad ... \n```\n", dir, shell)
	qt.Check(t, qt.DeepEquals(ran, []string{"good\n", "bad\n"}))
	data, err := os.ReadFile(filepath.Join(dir, "a", "b.c"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(data), "one\n\ntwo\n"))

	for _, document := range []string{
		"```sh\nbad\n```\n",
		"```sh fails\ngood\n```\n```text\nfine\n```\n",
		"```sh fails\nbad\n```\n```text\nanother reason\n```\n",
		"```sh fails\nbad\n```\n",
		"```sh later\ngood\n```\n",
		"no commands",
	} {
		qt.Check(t, qt.IsTrue(failing(t, document, shell)), qt.Commentf("%s", document))
	}
}
