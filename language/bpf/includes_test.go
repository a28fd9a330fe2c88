package bpf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestScanIncludes(t *testing.T) {
	// Each result is `LINE:name`, with a question mark if it is optional.
	for _, test := range []struct {
		name, src string
		want      string
	}{
		{"both forms", "#include <bpf/bpf_helpers.h>\n#include \"own.h\"\n", `1:<bpf/bpf_helpers.h> 2:"own.h"`},
		{"no end of line", `#include "own.h"`, `1:"own.h"`},
		{"blanks", " \t#\tinclude\t \"a b.h\"  // why\r\n#include<x.h>/* */\r\n", `1:"a b.h" 2:<x.h>`},
		{"nothing", "", ""},
		{"code", "int x; #include \"no.h\"\nchar s[] = \"#include\";\n", ""},
		{"macro", "#include HEADER\n#include\n#include \"\"\n#include \"open\n#include <open\n", ""},
		{"other directives", "#includes \"a.h\"\n#include_next <b.h>\n#embed \"c.h\"\n", ""},

		{"line comments", "// #include \"a.h\"\n//\\\n#include \"b.h\"\n#include \"c.h\"\n", `4:"c.h"`},
		{"comments", "/* #include \"a.h\"\n#include \"b.h\" */\n/**/#include/*\n*/\"c.h\"\n#include \"d.h\"", `3:"c.h" 5:"d.h"`},
		{"comments in strings", "char *s = \"/*\";\n#include \"a.h\"\nchar c = '\"'; /*\"*/\n#include \"b.h\"\n", `2:"a.h" 4:"b.h"`},
		{"strings in comments", "/* don't \" */\n#include \"a.h\"\n// can't\n#include \"b.h\"\n", `2:"a.h" 4:"b.h"`},
		{"escapes", "char *s = \"\\\"/*\";\n#include \"a.h\"\n", `2:"a.h"`},
		{"open strings end with the line", "#error don't\n#include \"a.h\"\n", `2:"a.h"`},
		{"slashes in names", "#include \"a//b.h\"\n", `1:"a//b.h"`},
		{"continued", "#inc\\\nlude \\\r\n \"a.h\"\n#include \"b.h\"\n", `1:"a.h" 4:"b.h"`},
		{"continued tokens", "/\\\n* no *\\\n/#include \"a.h\"\n/\\\n/ #include \"b.h\"\nchar *s = \"\\\\\n\"/*\";\n#include \"c.h\"\n", `1:"a.h" 8:"c.h"`},
		{"continued macro", "#define X \\\n#include \"a.h\"\n#include \"b.h\"\n", `3:"b.h"`},

		{"condition", "#ifdef X\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n#include \"c.h\"\n", `2:"a.h"? 4:"b.h"? 6:"c.h"`},
		{"nested", "#if A\n#ifdef __bpf__\n#include \"a.h\"\n#endif\n#endif\n", `3:"a.h"?`},
		{"never", "#if 0\n#include \"a.h\"\n#ifdef X\n#include \"b.h\"\n#endif\n#else\n#include \"c.h\"\n#endif\n", `7:"c.h"`},
		{"always", "#if 1\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n", `2:"a.h"`},
		{"elif", "#if 0\n#elif 1\n#include \"a.h\"\n#elif 1\n#include \"b.h\"\n#else\n#include \"c.h\"\n#endif\n", `3:"a.h"`},
		{"elif unknown", "#if X\n#elif 1\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n", `3:"a.h"? 5:"b.h"?`},
		{"elif dead", "#if X\n#elif 0\n#include \"a.h\"\n#elifdef Y\n#include \"b.h\"\n#endif\n", `5:"b.h"?`},
		{"user space", "#ifdef __bpf__\n#include \"a.h\"\n#else\n#include <stdio.h>\n#endif\n", `2:"a.h"`},
		{"not user space", "#ifndef __BPF__\n#include <stdio.h>\n#endif\n#if !defined(__bpf__)\n#include <stdlib.h>\n#elif defined __cplusplus\n#include <x>\n#else\n#include \"a.h\"\n#endif\n", `9:"a.h"`},
		{"two macros", "#if !defined(__bpf__) && X\n#include \"a.h\"\n#endif\n#if defined(__bpf__) || X\n#include \"b.h\"\n#endif\n", `2:"a.h"? 5:"b.h"?`},
		{"guard", "// License\n#ifndef A_H\n#define A_H\n#include \"a.h\"\n#ifdef X\n#include \"b.h\"\n#endif\n#endif\n", `4:"a.h" 6:"b.h"?`},
		{"guard by if", "#if !defined(A_H)\n#define A_H 1\n#include \"a.h\"\n#endif\n", `3:"a.h"`},
		{"guard and pragma", "#pragma once\n#ifndef A_H\n#define A_H\n#include \"a.h\"\n#endif\n", `4:"a.h"`},
		{"no guard", "#ifndef A\n#include \"a.h\"\n#define A\n#endif\n#ifndef B\n#define B\n#include \"b.h\"\n#endif\n", `2:"a.h"? 7:"b.h"?`},
		{"unbalanced", "#endif\n#else\n#elif 0\n#include \"a.h\"\n#if 0\n#include \"b.h\"\n", `4:"a.h"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, i := range scanIncludes("dir/file.h", []byte(test.src)) {
				s := fmt.Sprintf("%d:%s", i.line, strings.TrimPrefix(i.String(), "#include "))
				if i.optional {
					s += "?"
				}
				got = append(got, s)
			}
			qt.Check(t, qt.Equals(strings.Join(got, " "), test.want))
		})
	}
}

func TestSpecs(t *testing.T) {
	for _, test := range []struct {
		include include
		want    []string
	}{
		{include{file: "a/b.bpf.c", path: "c.h"}, []string{"a/c.h", "c.h", "<c.h>"}},
		{include{file: "a/b.bpf.c", path: "../d/./c.h"}, []string{"d/c.h", "../d/c.h", "<../d/c.h>"}},
		{include{file: "b.bpf.c", path: "c.h"}, []string{"c.h", "<c.h>"}},
		{include{file: "a/b.bpf.c", path: "c.h", angled: true}, []string{"<c.h>"}},
	} {
		qt.Check(t, qt.DeepEquals(test.include.specs(), test.want))
	}
}

// FuzzScanIncludes scans anything. To a C compiler a backslash before the end of a line is nothing, wherever it stands, and so is
// a comment in place of a blank: neither changes what is included.
func FuzzScanIncludes(f *testing.F) {
	for _, src := range []string{
		"#if X\n#include \"a.h\" /*\n\\\n*/ '\\", "#ifndef A_H\n#define A_H\n#include <a.h> // b\n#endif\n", "/*/*/#include \"a.h\"", "'\"'\n#include<a>",
		"#if !defined(__bpf__)\n#else\n#include \"\\\\a.h\"\n#elif 1\n#endif\r\n",
	} {
		for at := range uint16(8) {
			f.Add([]byte(src), at*5)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, at uint16) {
		if len(src) > 1<<14 {
			return
		}
		found := scanIncludes("f.h", src)
		last, lines := 0, 1+bytes.Count(src, []byte("\n"))
		for _, i := range found {
			if i.line <= last || i.line > lines || i.path == "" || strings.ContainsAny(i.path, "\n\"") && !i.angled || i.angled && strings.Contains(i.path, ">") {
				t.Fatalf("%+v after line %d of %d", i, last, lines)
			}
			last = i.line
		}
		n := int(at) % (len(src) + 1)
		if n > 0 && (src[n-1] == '\\' || src[n-1] == '\r') || n < len(src) && src[n] == '\r' {
			return // it would take another line's end apart
		}
		spliced := slices.Concat(src[:n], []byte("\\\n"), src[n:])
		if got, want := names(scanIncludes("f.h", spliced)), names(found); got != want {
			t.Fatalf("with a line continued at byte %d: %s, before: %s\n%q", n, got, want, spliced)
		}
	})
}

// names is what is included.
func names(includes []include) string {
	var s strings.Builder
	for _, i := range includes {
		fmt.Fprintf(&s, "%v optional=%t\n", i, i.optional)
	}
	return s.String()
}
