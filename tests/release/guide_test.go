//go:build linux

package release_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// block is a fenced block of a document. Its info string says what to do with it:
//
//	sh              commands that succeed
//	sh fails        commands that fail; the text block that follows is in what they print, with `...` for anything
//	starlark FILE   an addition to a file, likewise for other languages
//
// Others, console and go among them, are for reading only.
type block struct {
	line int
	info string
	text string
}

// blocks finds the fenced blocks of a document.
func blocks(document string) ([]block, error) {
	var list []block
	var open *block
	var indent string
	n := 0
	for line := range strings.Lines(document) {
		n++
		rest := strings.TrimLeft(line, " ")
		info, fence := strings.CutPrefix(rest, "```")
		switch {
		case open == nil && fence:
			indent = line[:len(line)-len(rest)]
			open = &block{line: n, info: strings.TrimSpace(info)}
		case open != nil && fence:
			list = append(list, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent)
		case strings.HasPrefix(rest, "~~~") || strings.HasPrefix(line, "    ") && strings.Contains(line, "signtool "):
			return nil, fmt.Errorf("line %d: code that is not between ```: nothing would run it", n)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: a block without an end", open.line)
	}
	return list, nil
}

// contains tells whether all of what is between `...` in want is in out, in that order; white space does not count.
func contains(out, want string) bool {
	out = strings.Join(strings.Fields(out), " ")
	for part := range strings.SplitSeq(strings.Join(strings.Fields(want), " "), "...") {
		_, rest, ok := strings.Cut(out, part)
		if !ok {
			return false
		}
		out = rest
	}
	return true
}

// guide does what a document says, block after block. A path of the reader's machine is one of the workspace's here.
func (w *workspace) guide(document string) {
	w.t.Helper()
	list, err := blocks(strings.ReplaceAll(document, "/run/secrets", w.path("secrets")))
	qt.Assert(w.t, qt.IsNil(err))
	commands := 0
	for i, b := range list {
		lang, arg, _ := strings.Cut(b.info, " ")
		switch {
		case lang == "sh" && arg == "":
			out, err := w.try(b.text)
			qt.Assert(w.t, qt.IsNil(err), qt.Commentf("line %d:\n%s\n%s", b.line, b.text, out))
			commands++
		case lang == "sh" && arg == "fails":
			out, err := w.try(b.text)
			qt.Assert(w.t, qt.IsNotNil(err), qt.Commentf("line %d:\n%s\n%s", b.line, b.text, out))
			qt.Assert(w.t, qt.IsTrue(i+1 < len(list) && list[i+1].info == "text"), qt.Commentf("line %d: no text block says how", b.line))
			want := list[i+1]
			qt.Assert(w.t, qt.IsTrue(contains(out, want.text)), qt.Commentf("line %d: no\n%s\nin\n%s", want.line, want.text, out))
			commands++
		case arg != "":
			path := w.path("acme", arg)
			old, err := os.ReadFile(path)
			if err == nil {
				old = append(old, '\n')
			}
			w.write(filepath.Join("acme", arg), string(old)+b.text)
		}
	}
	qt.Assert(w.t, qt.Not(qt.Equals(commands, 0)))
}

// ciPassphrase is that of the guide's encrypted key in the build.
const ciPassphrase = "sesame-opens-this-one-key"

// All that the release team's guide says holds, in the order in which it says so, and no key is seen where it does not belong.
func TestRelease(t *testing.T) {
	w := newWorkspace(t)
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "signing.md"))
	qt.Assert(t, qt.IsNil(err))
	w.write("secrets/bpf-ci", ciPassphrase+"\n")
	t.Run("Guide", func(t *testing.T) { w.in(t).guide(string(document)) })
	t.Run("Leaks", func(t *testing.T) { w.in(t).leaks() })
}

func TestBlocks(t *testing.T) {
	list, err := blocks("text\n```sh\none\n```\n1. more\n\n   ```starlark BUILD.bazel\n   two\n     three\n   ```\n")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.HasLen(list, 2))
	qt.Check(t, qt.Equals(list[0], block{2, "sh", "one\n"}))
	qt.Check(t, qt.Equals(list[1], block{7, "starlark BUILD.bazel", "two\n  three\n"}))
	_, err = blocks("```sh\n")
	qt.Check(t, qt.ErrorMatches(err, "line 1: a block without an end"))
	_, err = blocks("    signtool verify\n")
	qt.Check(t, qt.ErrorMatches(err, "line 1: code that is not between.*"))

	qt.Check(t, qt.IsTrue(contains("a  b\nc d", "b c")))
	qt.Check(t, qt.IsTrue(contains("a b c d", "a ... d")))
	qt.Check(t, qt.IsFalse(contains("d a", "a ... d")))
}
