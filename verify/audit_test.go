package verify

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/proof"
)

// A bundle of ours is as clean as a policy can want. One whose loader checks nothing is refused, whoever signed it.
func TestMinimumAudit(t *testing.T) {
	name := filepath.Join("..", "internal", "simkernel", "testdata", "sample-bpfel.o")
	raw, err := os.ReadFile(name)
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse(name, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	b, err := loader.Compile(obj, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	for level := range audits {
		qt.Check(t, qt.IsNil(Audit(level).check(b)))
	}

	// What the kernel is to check in scheme payload, the loader must check in scheme map-hash, and this one does not.
	b.Loader(bundle.MapHash).Insns = b.Loader(bundle.Payload).Insns
	qt.Check(t, qt.IsNil(AuditNone.check(b)))
	for _, level := range []Audit{AuditProven, AuditClean} {
		err := level.check(b)
		qt.Check(t, qt.ErrorIs(err, ErrAudit))
		qt.Check(t, qt.ErrorMatches(err, ".*map-hash loader.*minimum audit is \""+level.String()+"\".*"))
	}
}

// A level that does not exist is no reason to trust, nor to panic.
func TestUnknownAudit(t *testing.T) {
	for _, level := range []Audit{-1, AuditClean + 1} {
		err := level.check(new(bundle.Bundle))
		qt.Check(t, qt.ErrorIs(err, ErrAudit))
		qt.Check(t, qt.ErrorMatches(err, `.*minimum audit is Audit\(.*`))
	}
}

func TestAuditLevels(t *testing.T) {
	note := []audit.Finding{{ID: proof.UnverifiedClose, Severity: audit.Note}}
	bad := []audit.Finding{note[0], {ID: proof.NoDigestCheck, Severity: audit.Error}}
	qt.Check(t, qt.IsNil(AuditProven.refuse(note)))
	qt.Check(t, qt.ErrorMatches(AuditProven.refuse(bad), ".*no-digest-check.*"))
	qt.Check(t, qt.ErrorMatches(AuditClean.refuse(note), ".*unverified-close.*"))
}
