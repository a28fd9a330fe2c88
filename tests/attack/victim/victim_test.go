package victim

import (
	"encoding/binary"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
)

var all = map[string]func(binary.ByteOrder) (*bundle.Bundle, error){"minimal": Minimal, "array": Array, "variable": Variable, "verdict": Verdict}

// The victims load, and an audit calls them sound.
func TestVictims(t *testing.T) {
	for name, victim := range all {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			b, err := victim(order)
			qt.Assert(t, qt.IsNil(err))
			for _, s := range bundle.Schemes {
				l, err := simkernel.FromBundle(b, s)
				qt.Assert(t, qt.IsNil(err))
				qt.Check(t, qt.Equals(simkernel.Run(l, simkernel.Options{}).Errno, 0), qt.Commentf("%s, %v", name, s))
			}
			qt.Check(t, qt.HasLen(audit.Bundle(b), 0))
		}
	}
}

func TestBeforeTheFix(t *testing.T) {
	b, err := Verdict(binary.LittleEndian)
	qt.Assert(t, qt.IsNil(err))
	n := len(b.Loader(bundle.MapHash).Insns)
	qt.Assert(t, qt.IsNil(BeforeTheFix(b)))
	qt.Check(t, qt.Equals(len(b.Loader(bundle.MapHash).Insns), n-insn.Size))
	qt.Check(t, qt.ErrorIs(BeforeTheFix(b), ErrNoCheck))

	l, err := simkernel.FromBundle(b, bundle.MapHash)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(simkernel.Run(l, simkernel.Options{}).Errno, 0))
	// It takes a map that is not exclusive, and contents that are not those that were hashed. Other contents that were hashed it
	// still refuses. An audit tells.
	for scenario, want := range map[simkernel.Scenario]simkernel.Errno{
		simkernel.NonExclusive: 0, simkernel.StaleHash: 0, simkernel.TamperedBlob: simkernel.EINVAL, simkernel.NotHashed: simkernel.EINVAL,
	} {
		qt.Check(t, qt.Equals(simkernel.Run(l, simkernel.Options{Scenario: scenario}).Errno, want), qt.Commentf("%s", scenario))
	}
	qt.Check(t, qt.IsTrue(audit.Failed(audit.Bundle(b))))
}
