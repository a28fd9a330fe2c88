package audit

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
)

// strict are the notes on a single loader that are errors in a bundle: the compiler makes no such loaders.
var strict = []ID{proof.StaleClose, proof.LeftOpen, proof.ClosedTwice, RunsTwice}

// Bundle looks at all loaders of a bundle: whether each is proven, whether it makes what the contract says, and whether the loaders for
// all schemes make the same.
func Bundle(b *bundle.Bundle) []Finding {
	if err := b.CheckContract(); err != nil {
		return []Finding{{ID: WrongContract, Severity: Error, PC: -1, Text: printable.Text(err.Error())}}
	}
	var all []Finding
	var first *proof.Made
	for _, l := range b.Loaders {
		a := &auditor{scheme: l.Scheme}
		found, made := Derive(l.Scheme, byteOrder(b), l.Insns, b.Blob)
		for _, f := range found {
			if f.ID == proof.NeverActs && len(b.Maps)+len(b.Programs) == 0 {
				continue // there is nothing to do, as the contract says
			}
			if slices.Contains(strict, f.ID) {
				f.Severity = Error
			}
			a.found = append(a.found, f)
		}
		if made != nil {
			a.keeps(b, made)
			a.succeeds(b)
			if first == nil {
				first = made
			} else if i, differ := difference(first.Lines(), made.Lines()); differ {
				a.add(SchemesDiffer, "it does not make what the loader for the other scheme does: %s", i)
			}
		}
		all = append(all, a.found...)
	}
	return all
}

func byteOrder(b *bundle.Bundle) binary.ByteOrder {
	if b.Object.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// difference returns a line that is in one list only.
func difference(a, b []string) (string, bool) {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return b[i], true
		case i >= len(b) || a[i] != b[i]:
			return a[i], true
		}
	}
	return "", false
}

// auditor collects what is found in one loader.
type auditor struct {
	scheme bundle.Scheme
	found  []Finding
}

func (a *auditor) add(id ID, format string, args ...any) {
	a.found = append(a.found, Finding{id, Error, a.scheme, -1, printable.Text(fmt.Sprintf(format, args...))})
}

// succeeds runs the loader on a simulated kernel, which knows what real ones refuse: the shapes of maps, for instance.
func (a *auditor) succeeds(b *bundle.Bundle) {
	l, err := simkernel.FromBundle(b, a.scheme)
	if err != nil {
		a.add(Fails, "%v", err)
		return
	}
	res := simkernel.Run(l, simkernel.Options{})
	switch {
	case res.Fault != nil:
		a.add(Fails, "%v", res.Fault)
	case res.Errno != 0:
		a.add(Fails, "the loader fails at stage %q with %v %s", res.Stage, res.Errno, res.Why)
	}
}
