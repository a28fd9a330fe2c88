// Package printable makes text that others chose safe to print on a terminal.
//
// Names in bundles and objects, subjects of certificates, answers of signers and logs of the verifier may hold control
// characters, which forge lines or drive a terminal, and marks of direction, which make text look like another. Here
// each of them becomes an escape of Go (\n, \x1b, \u202e), as do bytes that are not UTF-8. What strconv.IsPrint takes
// stays as it is.
package printable

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Is reports whether a text is printable as it is, in one line.
func Is(s string) bool { return clean(s, "") }

// Text returns a text in one line.
func Text(s string) string { return escape(s, "") }

// Lines returns a text of several lines: line feeds and tabs stay.
func Lines(s string) string { return escape(s, "\n\t") }

// Name returns a name for a list or a sentence: as it is if it is one word, in quotes otherwise, so that it cannot
// be taken for something else.
func Name(s string) string {
	if s == "" || !Is(s) || strings.ContainsAny(s, " \"`\\") {
		return strconv.Quote(s)
	}
	return s
}

// Error returns an error's text. Its second and later lines are indented, so that no text within it begins a line.
func Error(err error) string { return strings.ReplaceAll(Lines(err.Error()), "\n", "\n\t") }

// clean reports whether a text holds nothing to escape. The ASCII characters in keep need no escape.
func clean(s, keep string) bool {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return false
			}
		}
		if !strconv.IsPrint(r) && !strings.ContainsRune(keep, r) {
			return false
		}
	}
	return true
}

func escape(s, keep string) string {
	if clean(s, keep) {
		return s
	}
	var out strings.Builder
	for s != "" {
		_, size := utf8.DecodeRuneInString(s)
		if c := s[:size]; clean(c, keep) {
			out.WriteString(c)
		} else {
			q := strconv.Quote(c)
			out.WriteString(q[1 : len(q)-1])
		}
		s = s[size:]
	}
	return out.String()
}

// Writer returns a writer that escapes text on its way to w, but for line feeds and tabs. Each call of Write should
// have whole characters.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ w io.Writer }

func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.w, Lines(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
