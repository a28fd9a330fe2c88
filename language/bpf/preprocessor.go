package bpf

import (
	"bytes"
	"iter"
	"strings"
)

// preprocessorLines yields the preprocessor's directives in C source, without the `#`, each with the number of the line that it
// starts on. Continued lines are joined, and a comment is a blank.
func preprocessorLines(src []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for line, text := range logicalLines(src) {
			if text, ok := strings.CutPrefix(strings.TrimSpace(text), "#"); ok {
				if !yield(line, strings.TrimSpace(text)) {
					return
				}
			}
		}
	}
}

// logicalLines yields the lines of C source as the preprocessor sees them.
func logicalLines(src []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		var (
			text    []byte
			line    = 1 // here
			start   = 1 // of text
			comment bool
			quote   byte // the string or character that is open, or 0
		)
		for len(src) > 0 {
			c := src[0]
			switch {
			case continued(src) > 0:
				src, line = src[continued(src):], line+1
				continue
			case c == '\n':
				// A string ends with its line. A comment that does not joins the lines.
				line++
				if !comment {
					if !yield(start, string(text)) {
						return
					}
					text, start, quote = text[:0], line, 0
				}
			case comment:
				if bytes.HasPrefix(src, []byte("*/")) {
					comment = false
					src = src[1:]
				}
			case quote != 0:
				text = append(text, c)
				if c == '\\' && len(src) > 1 && src[1] != '\n' {
					text = append(text, src[1])
					src = src[1:]
				} else if c == quote {
					quote = 0
				}
			case bytes.HasPrefix(src, []byte("/*")):
				comment = true
				text = append(text, ' ')
				src = src[1:]
			case bytes.HasPrefix(src, []byte("//")):
				for len(src) > 1 && src[1] != '\n' {
					if n := continued(src[1:]); n > 0 {
						src, line = src[n:], line+1
					} else {
						src = src[1:]
					}
				}
			default:
				if c == '"' || c == '\'' {
					quote = c
				}
				text = append(text, c)
			}
			src = src[1:]
		}
		yield(start, string(text))
	}
}

// continued returns the length of the backslash and the end of line that src starts with, or 0.
func continued(src []byte) int {
	for _, end := range []string{"\\\n", "\\\r\n"} {
		if bytes.HasPrefix(src, []byte(end)) {
			return len(end)
		}
	}
	return 0
}
