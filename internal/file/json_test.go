package file

import (
	"encoding/json"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestParseJSON(t *testing.T) {
	var v struct{ A int }
	qt.Assert(t, qt.IsNil(ParseJSON([]byte(" {\"A\": 1}\n"), &v)))
	qt.Assert(t, qt.Equals(v.A, 1))
	for _, bad := range []string{``, `{`, `{"A": "x"}`, `{"B": 1}`, `{"A": 1} {}`, `{"A": 1} x`, `[]`} {
		qt.Check(t, qt.IsNotNil(ParseJSON([]byte(bad), &v)), qt.Commentf("%s", bad))
	}
}

// What is written can be read again, and shows no control characters to a terminal.
func TestFormatJSON(t *testing.T) {
	want := "<a> \x1b[31m \u009b \u202e \U000e0041 é 日\n"
	data, err := FormatJSON(map[string]string{"k": want})
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(data), "{\n  \"k\": \"<a> \\u001b[31m \\u009b \\u202e \\udb40\\udc41 é 日\\n\"\n}\n"))
	var got map[string]string
	qt.Assert(t, qt.IsNil(json.Unmarshal(data, &got)))
	qt.Assert(t, qt.Equals(got["k"], want))
}
