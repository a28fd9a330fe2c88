package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-quicktest/qt"
)

// maxColumns is how wide the text of documents may be.
const maxColumns = 140

// Text is wrapped at maxColumns. Lines that cannot be wrapped may be longer: rows of tables, headings, code, and one long
// word, such as a link.
func TestWidth(t *testing.T) {
	count := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || strings.HasPrefix(d.Name(), "bazel-")):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		count++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for n, line := range tooWide(string(data)) {
			t.Errorf("%s:%d: %d columns: wrap the text at %d", path, n, utf8.RuneCountInString(line), maxColumns)
		}
		return nil
	})
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsTrue(count > 20), qt.Commentf("%d documents", count))
}

func TestTooWide(t *testing.T) {
	words := strings.Repeat("word ", maxColumns/5)
	long := words + "word"
	for text, want := range map[string]int{
		words: 0,
		long:  1,
		strings.Repeat("é", maxColumns-1) + " é": 1,
		strings.Repeat("é", maxColumns-2) + " é": 0,
		"- " + long:                           1,
		"| " + long + " |":                    0,
		"### " + long:                         0,
		"https://" + strings.Repeat("x", 200): 0,
		"```text\n" + long + "\n```\n" + long: 1,
	} {
		qt.Check(t, qt.HasLen(tooWide(text), want), qt.Commentf("%s", text))
	}
}

// tooWide returns the lines of a Markdown text that are too long and could be wrapped, by number.
func tooWide(text string) map[int]string {
	wide := map[int]string{}
	fence := ""
	for n, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```"):
			fence = "```"
		case strings.HasPrefix(trimmed, "|"), strings.HasPrefix(trimmed, "#"):
		case utf8.RuneCountInString(line) > maxColumns && len(strings.Fields(trimmed)) > 1:
			wide[n+1] = line
		}
	}
	return wide
}
