package cheader

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// FuzzWrite writes headers of any BTF, raw or in ELF. Whatever it says, they have nothing but declarations in them, and are not
// out of proportion.
func FuzzWrite(f *testing.F) {
	for _, target := range []string{"bpfel", "bpfeb"} {
		data, err := os.ReadFile("testdata/types-" + target + ".o")
		qt.Assert(f, qt.IsNil(err))
		f.Add(data)
	}
	for _, order := range []string{"\x9f\xeb", "\xeb\x9f"} {
		f.Add([]byte(order + "\x01\x00\x18\x00\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		spec, err := btf.ParseFile(data, nil)
		if err != nil {
			return
		}
		header, err := write(spec, 8<<20)
		if err != nil {
			qt.Assert(t, qt.ErrorIs(err, btf.ErrMalformed))
			return
		}
		checkHeader(t, string(header))
	})
}

// What a header has outside of its fixed parts: directives around what C23 has as keywords, comments, strings, and tokens.
var (
	directives = regexp.MustCompile(`(?m)^(#if __STDC_VERSION__ < 202311L|#endif)$`)
	comments   = regexp.MustCompile(`/\* (C has no members that lie as this type's do|BTF does not have the members)\. \*/`)
	literals   = regexp.MustCompile(`"([^"\\\n\r\t?[:cntrl:]]|\\["\\?nrt])*"`)
	tokens     = regexp.MustCompile(`^[A-Za-z0-9_{}()\[\];:,=*.\s-]*$`)
)

// checkHeader holds a header to that, and its brackets to be balanced.
func checkHeader(t testing.TB, header string) {
	t.Helper()
	text, ok := strings.CutPrefix(header, head)
	qt.Assert(t, qt.IsTrue(ok))
	text, ok = strings.CutSuffix(text, tail)
	qt.Assert(t, qt.IsTrue(ok))
	types, functions, some := strings.Cut(text, kfuncsHead)
	if some {
		functions, ok = strings.CutSuffix(functions, kfuncsTail)
		qt.Assert(t, qt.IsTrue(ok))
	}
	text = literals.ReplaceAllString(types+functions, "")
	text = directives.ReplaceAllString(comments.ReplaceAllString(text, ""), "")
	if !tokens.MatchString(text) {
		t.Fatalf("the header has something else than declarations:\n%q", text)
	}
	var open []rune
	for _, r := range text {
		switch r {
		case '(', '{', '[':
			open = append(open, r)
		case ')', '}', ']':
			if len(open) == 0 || open[len(open)-1] != map[rune]rune{')': '(', '}': '{', ']': '['}[r] {
				t.Fatalf("brackets do not match:\n%s", text)
			}
			open = open[:len(open)-1]
		case ';':
			if len(open) > 0 && open[len(open)-1] != '{' {
				t.Fatalf("a declaration ends within brackets:\n%s", text)
			}
		}
	}
	qt.Assert(t, qt.HasLen(open, 0))
}
