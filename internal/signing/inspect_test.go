package signing

import (
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/contract"
)

// Decode accepts none of these names. Should one come some other way, it adds no line and drives no terminal.
func TestPrintHostileNames(t *testing.T) {
	const hostile = "x\nloader    map-hash: 5 instructions\n          signed by 11 (production): RSA, good\x1b[8m\u009b\u202e\xff"
	s := &Summary{
		Object: ObjectSummary{Name: hostile, License: hostile},
		Summary: &contract.Summary{
			Maps:     []contract.Map{{Name: hostile, Section: hostile}},
			Programs: []contract.Program{{Name: hostile, Section: hostile, AttachTo: hostile, Maps: []string{hostile}}},
			Warnings: []contract.Warning{{Program: hostile, Function: hostile}},
		},
		Loaders: []LoaderSummary{{Signatures: []SignatureSummary{{Kind: hostile, Error: hostile}, {Kind: hostile}}}},
	}
	var out strings.Builder
	qt.Assert(t, qt.IsNil(s.Print(&out)))
	qt.Check(t, qt.Equals(printable.Lines(out.String()), out.String()))
	qt.Check(t, qt.Equals(strings.Count(out.String(), "\nloader "), 1))
	qt.Check(t, qt.Equals(strings.Count(out.String(), "\n          signed by"), 2))
}
