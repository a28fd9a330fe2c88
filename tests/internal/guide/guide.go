// Package guide does what a document says: it finds the fenced blocks of Markdown, and runs those that are commands, so that a
// guide whose commands no longer work fails a test.
package guide

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Block is a fenced block. Its info string says what is done with it:
//
//	sh              commands that succeed
//	sh fails        commands that fail; the text block that follows is in what they print, with `...` for anything
//	sh skip: WHY    commands that no test can run, and the reason, which the test prints
//	starlark FILE   a file, or an addition to one; likewise for other languages
//
// Others are for reading only.
type Block struct {
	// Line is that of the opening fence.
	Line int
	Info string
	Text string
}

// Language returns the first word of the info string, and Argument the rest.
func (b *Block) Language() string {
	lang, _, _ := strings.Cut(b.Info, " ")
	return lang
}

// Argument returns what follows the language.
func (b *Block) Argument() string {
	_, arg, _ := strings.Cut(b.Info, " ")
	return strings.TrimSpace(arg)
}

// Skip returns why commands are not run, or nothing.
func (b *Block) Skip() string {
	why, ok := strings.CutPrefix(b.Argument(), "skip:")
	if b.Language() != "sh" || !ok {
		return ""
	}
	return strings.TrimSpace(why)
}

// Blocks finds the fenced blocks of a document. Code that is only indented is an error: nothing would say what it is.
func Blocks(document string) ([]Block, error) {
	var list []Block
	var open *Block
	var indent string
	n, blank, inList := 0, true, false
	for line := range strings.Lines(document) {
		n++
		rest := strings.TrimLeft(line, " ")
		info, fence := strings.CutPrefix(rest, "```")
		switch {
		case open == nil && fence:
			indent = line[:len(line)-len(rest)]
			open = &Block{Line: n, Info: strings.TrimSpace(info)}
		case open != nil && fence:
			list = append(list, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indent)
		case strings.HasPrefix(rest, "~~~"), blank && !inList && (strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")):
			return nil, fmt.Errorf("line %d: code that is not between ```: nothing says what it is", n)
		case strings.TrimSpace(line) != "" && line == rest:
			inList = isItem(line)
		}
		blank = strings.TrimSpace(line) == ""
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: a block without an end", open.Line)
	}
	return list, nil
}

// isItem says whether a line begins a list's item, whose further paragraphs are indented.
func isItem(line string) bool {
	if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "* ") {
		return true
	}
	number, rest, ok := strings.Cut(line, ".")
	return ok && strings.Trim(number, "0123456789") == "" && number != "" && strings.HasPrefix(rest, " ")
}

// Contains tells whether all of what is between `...` in want is in out, in that order; white space does not count.
func Contains(out, want string) bool {
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

// Shell runs a script and returns what it printed.
type Shell func(script string) (string, error)

// Run does what a document says, block after block, with files in dir. It stops at the first block that is wrong.
func Run(t testing.TB, document, dir string, shell Shell) {
	t.Helper()
	blocks, err := Blocks(document)
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for i, b := range blocks {
		switch arg := b.Argument(); {
		case b.Skip() != "":
			t.Logf("line %d: not run: %s", b.Line, b.Skip())
		case b.Language() == "sh" && arg == "":
			if out, err := shell(b.Text); err != nil {
				t.Fatalf("line %d: %v:\n%s\n%s", b.Line, err, b.Text, out)
			}
			commands++
		case b.Language() == "sh" && arg == "fails":
			if i+1 == len(blocks) || blocks[i+1].Info != "text" {
				t.Fatalf("line %d: no text block says how", b.Line)
			}
			out, err := shell(b.Text)
			if want := blocks[i+1]; err == nil || !Contains(out, want.Text) {
				t.Fatalf("line %d: want a failure (it was: %v) with\n%s\nin\n%s", want.Line, err, want.Text, out)
			}
			commands++
		case b.Language() == "sh":
			t.Fatalf("line %d: sh %s: want nothing, fails, or skip: WHY", b.Line, arg)
		case arg != "":
			if err := add(filepath.Join(dir, arg), b.Text); err != nil {
				t.Fatalf("line %d: %v", b.Line, err)
			}
		}
	}
	if commands == 0 {
		t.Fatal("the document has no commands that can be run")
	}
}

// add makes a file, or appends to it after an empty line.
func add(path, text string) error {
	old, err := os.ReadFile(path)
	switch {
	case err == nil:
		text = string(old) + "\n" + text
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
