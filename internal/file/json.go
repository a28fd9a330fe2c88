package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
)

// ParseJSON reads JSON that has the fields of v and no others, and nothing after it.
func ParseJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after its end")
	}
	return nil
}

// FormatJSON returns v as JSON that people can read, too: indented, and safe to print on a terminal.
func FormatJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return printable.JSON(b.Bytes()), nil
}
