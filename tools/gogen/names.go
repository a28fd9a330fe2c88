package main

import (
	"fmt"
	"go/token"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// packageName returns the name of the package that has an import path: its last element that is not a major version,
// without what a Go name may not have.
func packageName(importPath string) (string, error) {
	base := path.Base(importPath)
	if dir := path.Dir(importPath); majorVersion.MatchString(base) && dir != "." {
		base = path.Base(dir)
	}
	if before, version, ok := strings.Cut(base, "."); ok && majorVersion.MatchString(version) {
		base = before // gopkg.in/name.v2
	}
	name := strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, base)
	if name == "main" || name == "_" || !token.IsIdentifier(name) {
		return "", fmt.Errorf("import path %q ends in %q, which cannot be a package's name: end it in a Go identifier that is not a keyword, nor main", importPath, base)
	}
	return name, nil
}

// identifier turns a C name into an exported Go one, as bpf2go does: words that an underscore separates are joined by
// capitals, but an underscore after a capital stays. on_exec is OnExec, MAX_LEN is MAX_LEN.
func identifier(name string) string {
	var (
		out  strings.Builder
		prev = rune(-1) // -1: nothing yet, or a deleted underscore: the next letter is a capital
	)
	for _, r := range name {
		switch {
		case unicode.IsLetter(r):
			if prev == -1 {
				r = unicode.ToUpper(r)
			}
		case r == '_':
			if prev == -1 || unicode.IsDigit(prev) || unicode.IsLower(prev) {
				prev = -1
				continue
			}
		case !unicode.IsDigit(r):
			continue
		}
		out.WriteRune(r)
		prev = r
	}
	id := out.String()
	if first, _ := utf8.DecodeRuneInString(id); !unicode.IsUpper(first) {
		id = "X" + id // a digit, a letter without case, or nothing at all
	}
	return id
}
