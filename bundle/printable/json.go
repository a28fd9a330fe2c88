package printable

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON returns JSON that means the same and is safe to print: what is not printable is in strings, and becomes an escape
// of JSON there.
func JSON(data []byte) []byte {
	if clean(string(data), "\n\t") {
		return data
	}
	var out bytes.Buffer
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch c := string(data[:size]); {
		case clean(c, "\n\t"):
			out.WriteString(c)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		data = data[size:]
	}
	return out.Bytes()
}
