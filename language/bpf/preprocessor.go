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
			joined, joins = joinLines(src)
			text          []byte
			line          = 1 // here
			start         = 1 // of text
			comment       bool
			quote         byte // the string or character that is open, or 0
		)
		for i := 0; i < len(joined); i++ {
			for len(joins) > 0 && joins[0] <= i {
				joins, line = joins[1:], line+1
			}
			c, rest := joined[i], joined[i:]
			switch {
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
				if bytes.HasPrefix(rest, []byte("*/")) {
					comment = false
					i++
				}
			case quote != 0:
				text = append(text, c)
				if c == '\\' && len(rest) > 1 && rest[1] != '\n' {
					text = append(text, rest[1])
					i++
				} else if c == quote {
					quote = 0
				}
			case bytes.HasPrefix(rest, []byte("/*")):
				comment = true
				text = append(text, ' ')
				i++
			case bytes.HasPrefix(rest, []byte("//")):
				if end := bytes.IndexByte(rest, '\n'); end >= 0 {
					i += end - 1
				} else {
					i = len(joined)
				}
			default:
				if c == '"' || c == '\'' {
					quote = c
				}
				text = append(text, c)
			}
		}
		yield(start, string(text))
	}
}

// joinLines removes each backslash that an end of line follows, with that, as the first thing that C does. It returns where in the
// result lines were joined.
func joinLines(src []byte) (joined []byte, joins []int) {
	for len(src) > 0 {
		if n := continued(src); n > 0 {
			src, joins = src[n:], append(joins, len(joined))
			continue
		}
		joined, src = append(joined, src[0]), src[1:]
	}
	return joined, joins
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
