package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
)

// ErrJSON is in the chain of errors about what is not JSON of the form that is wanted.
var ErrJSON = errors.New("malformed JSON")

// ParseJSON reads JSON that has the fields of v and no others, and nothing after it.
func ParseJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrJSON, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more data after the end", ErrJSON)
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
