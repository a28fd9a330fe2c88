// Package docs_test holds the documents to the sources: that links lead somewhere, that messages are what the programs say, that
// each dependency is accounted for, and that no command is shown which nothing runs.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

const root = "../.."

// documents returns the documents for users and contributors, by their paths from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/README.md", "examples/*/README.md", "signers/*/README.md", "tests/*/README.md", "tools/offline/README.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		qt.Assert(t, qt.IsNil(err))
		for _, path := range paths {
			data, err := os.ReadFile(path)
			qt.Assert(t, qt.IsNil(err))
			name, err := filepath.Rel(root, path)
			qt.Assert(t, qt.IsNil(err))
			found[name] = string(data)
		}
	}
	qt.Assert(t, qt.Not(qt.HasLen(found, 0)))
	return found
}

// run names the documents whose commands run, and what runs them.
var run = map[string]string{
	"docs/audit.md":           "tests/guides",
	"docs/gazelle.md":         "e2e/test",
	"docs/getting-started.md": "tests/guides",
	"docs/migration.md":       "tests/guides",
	"docs/signing.md":         "tests/release",
	"docs/toolchain.md":       "tests/guides",
}

// A block says what language it is in. Commands are in a document that is run, or say why they are not.
func TestBlocks(t *testing.T) {
	known := map[string]bool{}
	for _, lang := range []string{"c", "conf", "console", "diff", "go", "json", "sh", "starlark", "text", "yaml"} {
		known[lang] = true
	}
	for name, document := range documents(t) {
		if dir := filepath.Dir(name); dir != "." && dir != "docs" {
			continue
		}
		blocks, err := guide.Blocks(document)
		qt.Check(t, qt.IsNil(err), qt.Commentf("%s", name))
		for _, b := range blocks {
			switch {
			case !known[b.Language()]:
				t.Errorf("%s:%d: a block in no language that is known: %q", name, b.Line, b.Info)
			case b.Language() != "sh":
			case b.Skip() != "":
				t.Logf("%s:%d: not run: %s", name, b.Line, b.Skip())
			case run[name] == "":
				t.Errorf("%s:%d: no test runs the commands of this document: see `run` here, or write `sh skip: WHY`", name, b.Line)
			}
		}
	}
	for name, by := range run {
		_, err := os.Stat(filepath.Join(root, by))
		qt.Check(t, qt.IsNil(err), qt.Commentf("%s", name))
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile("(?m)^#+ (.*)$")
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	code    = regexp.MustCompile("`[^`\n]+`")
	slugged = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns what GitHub calls the headings of a document.
func anchors(document string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
		text := link.ReplaceAllString(m[1], "]")
		slug := slugged.ReplaceAllString(strings.ToLower(text), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// Links between files lead to a file, and to a heading of it.
func TestLinks(t *testing.T) {
	all := documents(t)
	checked := 0
	for name, document := range all {
		text := code.ReplaceAllString(fence.ReplaceAllString(document, ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			other := document
			if target != "" {
				path := filepath.Join(filepath.Dir(name), target)
				_, err := os.Stat(filepath.Join(root, path))
				if err != nil {
					t.Errorf("%s: the link %s leads nowhere", name, m[1])
					continue
				}
				other = all[path]
			}
			if anchor != "" && !anchors(other)[anchor] {
				t.Errorf("%s: the link %s leads to no heading", name, m[1])
			}
		}
	}
	qt.Check(t, qt.Not(qt.Equals(checked, 0)))
}

// Every page is in the index.
func TestIndex(t *testing.T) {
	all := documents(t)
	for name := range all {
		if dir, base := filepath.Split(name); dir == "docs/" && base != "README.md" {
			qt.Check(t, qt.StringContains(all["docs/README.md"], "]("+base+")"), qt.Commentf("docs/README.md does not lead to %s", base))
		}
	}
}

func TestAnchors(t *testing.T) {
	qt.Check(t, qt.DeepEquals(anchors("# From `bpftool gen skeleton -L -S`\n```\n# no heading\n```\n## CVE-2026-80675\n"),
		map[string]bool{"from-bpftool-gen-skeleton--l--s": true, "cve-2026-80675": true}))
}
