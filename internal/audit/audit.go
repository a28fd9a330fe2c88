// Package audit proves of a gen-loader what its signer vouches for: that it does nothing before it has checked that what
// it acts on is what was signed, that the host that runs it decides nothing, and that it makes what the bundle says.
//
// The proof is package proof's, which derives what a loader makes from its instructions; it knows no generator's habits. This package
// compares that with what the bundle says, and with what the loader for the other scheme makes.
package audit

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/proof"
)

// ID names a kind of finding: those of package proof, and the ones below.
type ID = proof.ID

// The kinds of findings about a bundle.
const (
	// Fails: the loader does not succeed on an honest host and a kernel that has all that it looks for.
	Fails ID = "fails"
	// Misdescribed: the bundle says something else of a map or program than the loader makes.
	Misdescribed ID = "misdescribed"
	// SchemesDiffer: the loaders for the two schemes do not make the same.
	SchemesDiffer ID = "schemes-differ"
	// WrongContract: the bundle's contract is not the one that is signed.
	WrongContract ID = "wrong-contract"
	// RunsTwice: nothing keeps two processes from running the loader with one metadata map, and finding each other's descriptors in it.
	RunsTwice ID = "runs-twice"
)

// Severity says how bad a finding is.
type Severity string

const (
	// Error findings are reasons not to sign.
	Error Severity = "error"
	// Note findings are not.
	Note Severity = "note"
)

// Finding is something that the audit found.
type Finding struct {
	ID       ID            `json:"id"`
	Severity Severity      `json:"severity"`
	Scheme   bundle.Scheme `json:"scheme"`
	// PC is the number of the instruction, -1 if it is about none.
	PC   int    `json:"instruction"`
	Text string `json:"text"`
}

// String formats the finding in a line.
func (f Finding) String() string {
	where := ""
	if f.PC >= 0 {
		where = fmt.Sprintf(" at instruction %d", f.PC)
	}
	if f.Scheme == 0 { // about the whole bundle
		return fmt.Sprintf("%s: %s: %s", f.Severity, f.ID, f.Text)
	}
	return fmt.Sprintf("%s: %s: %v loader%s: %s", f.Severity, f.ID, f.Scheme, where, f.Text)
}

// Failed reports whether there is a finding that is an error.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error })
}

// Audit looks at one loader, with nothing to compare it with. The findings are ordered by instruction, then by id; without errors in them
// the loader is proven.
func Audit(scheme bundle.Scheme, order binary.ByteOrder, insns, blob []byte) []Finding {
	findings, _ := Derive(scheme, order, insns, blob)
	return findings
}

// Derive is Audit, and what the loader makes: nil if it is not proven.
func Derive(scheme bundle.Scheme, order binary.ByteOrder, insns, blob []byte) (findings []Finding, made *proof.Made) {
	res := proof.Loader(scheme, order, insns, blob)
	for _, f := range res.Findings {
		severity := Error
		if f.Note {
			severity = Note
		}
		findings = append(findings, Finding{f.ID, severity, scheme, f.PC, printable.Text(f.Text)})
	}
	if !res.Guarded && res.Made != nil {
		findings = append(findings, Finding{RunsTwice, Note, scheme, -1, "nothing keeps two processes from running the loader with one metadata map: " +
			"each may find the other's descriptors in it"})
	}
	return findings, res.Made
}
