package verify

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
)

// ErrAudit: a loader is not proven to act only on what was signed, or not as well as the policy wants it.
var ErrAudit = errors.New("the audit fails")

// Audit is what a policy wants proven of a bundle's loaders, from their instructions alone: that they do nothing before
// they have checked that what they act on is what was signed, and that the host has no say in it.
type Audit int

const (
	// AuditNone: nothing. A signature is enough.
	AuditNone Audit = iota
	// AuditProven: no finding speaks against signing the bundle.
	AuditProven
	// AuditClean: there is no finding at all, not even a note.
	AuditClean
)

var audits = []string{AuditNone: "none", AuditProven: "proven", AuditClean: "clean"}

// String returns the name that policy files have for it.
func (a Audit) String() string {
	if !a.known() {
		return fmt.Sprintf("Audit(%d)", int(a))
	}
	return audits[a]
}

func (a Audit) known() bool { return a >= 0 && int(a) < len(audits) }

// parseAudit is the reverse of String; an empty name is AuditNone.
func parseAudit(name string) (Audit, error) {
	if name == "" {
		return AuditNone, nil
	}
	if i := slices.Index(audits, name); i >= 0 {
		return Audit(i), nil
	}
	return 0, fmt.Errorf("unknown minimum audit %q: want one of %q", name, audits)
}

// check returns why a bundle is not proven to that level.
func (a Audit) check(b *bundle.Bundle) error {
	switch {
	case a == AuditNone:
		return nil
	case !a.known():
		return fmt.Errorf("%w: the policy's minimum audit is %v: want one of %q", ErrAudit, a, audits)
	}
	return a.refuse(audit.Bundle(b))
}

// refuse returns the first finding that the level does not allow.
func (a Audit) refuse(findings []audit.Finding) error {
	for _, f := range findings {
		if f.Severity == audit.Error || a == AuditClean {
			return fmt.Errorf("%w: %v (the policy's minimum audit is %q)", ErrAudit, f, a)
		}
	}
	return nil
}
