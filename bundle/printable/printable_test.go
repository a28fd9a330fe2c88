package printable

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ in, text, lines, name string }{
		{"", "", "", `""`},
		{"tp_btf/sched:x@y.+*", "tp_btf/sched:x@y.+*", "tp_btf/sched:x@y.+*", "tp_btf/sched:x@y.+*"},
		{"héé 日本 ✓", "héé 日本 ✓", "héé 日本 ✓", `"héé 日本 ✓"`},
		{"a\nb\tc", `a\nb\tc`, "a\nb\tc", `"a\nb\tc"`},
		{"\x1b[31m\x1b]0;t\a\r\b\x00\x7f", `\x1b[31m\x1b]0;t\a\r\b\x00\x7f`, `\x1b[31m\x1b]0;t\a\r\b\x00\x7f`, `"\x1b[31m\x1b]0;t\a\r\b\x00\x7f"`},
		{"\u009b2J", `\u009b2J`, `\u009b2J`, `"\u009b2J"`}, // CSI in one character
		{"\u202eabc\u2066\u200f\u2028", `\u202eabc\u2066\u200f\u2028`, `\u202eabc\u2066\u200f\u2028`, `"\u202eabc\u2066\u200f\u2028"`},
		{"\xff\x9bx\xe6\x97", `\xff\x9bx\xe6\x97`, `\xff\x9bx\xe6\x97`, `"\xff\x9bx\xe6\x97"`},
		{"\uFFFD", "\uFFFD", "\uFFFD", "\uFFFD"}, // the replacement character itself
		{"\U000e0041", `\U000e0041`, `\U000e0041`, `"\U000e0041"`},
		{`one "two" \n`, `one "two" \n`, `one "two" \n`, `"one \"two\" \\n"`},
		{"signed by (production)", "signed by (production)", "signed by (production)", `"signed by (production)"`},
	} {
		qt.Check(t, qt.Equals(Text(c.in), c.text))
		qt.Check(t, qt.Equals(Lines(c.in), c.lines))
		qt.Check(t, qt.Equals(Name(c.in), c.name))
		qt.Check(t, qt.Equals(Is(c.in), c.in == c.text))
		qt.Check(t, qt.IsTrue(Is(Text(c.in)) && Is(Name(c.in))))
	}
}

// The lines of an error begin with what the program says.
func TestError(t *testing.T) {
	err := errors.Join(errors.New("one\x1b[2J"), errors.New("two\nsigntool: all is well"))
	qt.Assert(t, qt.Equals(Error(err), "one\\x1b[2J\n\ttwo\n\tsigntool: all is well"))
}

func TestWriter(t *testing.T) {
	var out strings.Builder
	n, err := Writer(&out).Write([]byte("a\x1b[31m\n\tb\xff"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(n, 10))
	qt.Assert(t, qt.Equals(out.String(), "a\\x1b[31m\n\tb\\xff"))
}

// JSON means the same afterwards.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "\x7f\u0085\u009b\u202e\u2028\U000e0041\U0010ffff", "é\n\t\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		data, err := json.Marshal(s)
		qt.Assert(t, qt.IsNil(err))
		var want, got string
		qt.Assert(t, qt.IsNil(json.Unmarshal(data, &want)))
		safe := JSON(data)
		qt.Assert(t, qt.IsTrue(Is(string(safe))), qt.Commentf("%q", safe))
		qt.Assert(t, qt.IsNil(json.Unmarshal(safe, &got)))
		qt.Assert(t, qt.Equals(got, want))
	})
}
