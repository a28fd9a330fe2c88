package main

import (
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// errAudit is in the chain of errors about loaders that fail the audit.
var errAudit = errors.New("the audit fails: this must not be signed")

// auditEncoded audits the loaders in an encoded bundle, and returns the findings as JSON. It looks at the bytes that are about to be
// written, as signtool audit does, and not at what the compiler meant to write.
func auditEncoded(data []byte) ([]byte, error) {
	b, err := bundle.Decode(data)
	if err != nil {
		return nil, err
	}
	findings := audit.Bundle(b)
	if err := failed(findings); err != nil {
		return nil, err
	}
	if findings == nil {
		findings = []audit.Finding{} // null in JSON otherwise
	}
	return file.FormatJSON(findings)
}

// failed returns an error with the first finding that speaks against signing, and their number.
func failed(findings []audit.Finding) error {
	var first *audit.Finding
	n := 0
	for i, f := range findings {
		if f.Severity != audit.Error {
			continue
		}
		if n++; n == 1 {
			first = &findings[i]
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%w: %v", errAudit, first)
	}
	return fmt.Errorf("%w: %v (and %d more: run signtool audit)", errAudit, first, n-1)
}
