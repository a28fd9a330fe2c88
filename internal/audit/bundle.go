package audit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// The kinds of findings about what a loader does on a simulated kernel.
const (
	// Misbehaves: the loader does something that a kernel refuses or that loses a descriptor.
	Misbehaves ID = "misbehaves"
	// Fails: the loader does not succeed on an honest host and a kernel that has all that it looks for.
	Fails ID = "fails"
	// Misdescribed: the bundle says something else of a map or program than the loader makes.
	Misdescribed ID = "misdescribed"
	// SchemesDiffer: the loaders for the two schemes do not make the same.
	SchemesDiffer ID = "schemes-differ"
	// WrongContract: the bundle's contract is not the one that is signed.
	WrongContract ID = "wrong-contract"
)

// Bundle looks at all loaders of a bundle, and at what they do on a simulated kernel: whether it is what the bundle says,
// whether the loaders for both schemes do the same, and whether one that fails cleans up, whichever call fails.
func Bundle(b *bundle.Bundle) []Finding {
	if err := b.CheckContract(); err != nil {
		return []Finding{{ID: WrongContract, Severity: Error, PC: -1, Text: err.Error()}}
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b.Object.BigEndian {
		order = binary.BigEndian
	}
	var all []Finding
	var first trace.Content
	for _, l := range b.Loaders {
		a := newAuditor(l.Scheme)
		a.found = Audit(l.Scheme, order, l.Insns, b.Blob)
		if len(b.Maps)+len(b.Programs) == 0 { // there is nothing to do, as it says
			a.found = slices.DeleteFunc(a.found, func(f Finding) bool { return f.ID == NeverActs })
		}
		if !Failed(a.found) {
			content := a.behaviour(b)
			if first == nil {
				first = content
			} else if diff := trace.Diff(first, content); content != nil && len(diff) > 0 {
				a.add(SchemesDiffer, -1, "it does not do what the loader for the other scheme does: %s", diff[0])
			}
		}
		all = append(all, a.sorted()...)
	}
	return all
}

// behaviour runs a loader and returns what it makes, nil if it cannot be said.
func (a *auditor) behaviour(b *bundle.Bundle) trace.Content {
	l, err := simkernel.FromBundle(b, a.scheme)
	if err != nil {
		a.add(Fails, -1, "%v", err)
		return nil
	}
	// A loader without loops, as all generators make them, ends after as many steps as it has instructions.
	steps := max(1<<14, 2*len(l.Insns)/bundle.InsnSize)
	res := simkernel.Run(l, simkernel.Options{Config: simkernel.Config{MaxSteps: steps}})
	a.misbehaves(res, "")
	if res.Errno != 0 || res.Fault != nil {
		if res.Fault == nil {
			a.add(Fails, -1, "the loader fails at stage %q with %v %s", res.Stage, res.Errno, res.Why)
		}
		return nil
	}
	a.describes(b, res)
	// All that is looked up is in modules, so that there is more to lose.
	modules := simkernel.Config{MaxSteps: steps, Lookup: func(string, uint32) (string, bool) { return "module", true }}
	for n := 1; ; n++ {
		modules.FailCall = n
		res := simkernel.Run(l, simkernel.Options{Config: modules})
		a.misbehaves(res, fmt.Sprintf(" when call %d fails", n))
		if res.Fault != nil || !res.Injected() {
			return trace.ContentOf(simkernel.Run(l, simkernel.Options{}))
		}
	}
}

func (a *auditor) misbehaves(res *simkernel.Result, when string) {
	faults := res.Leaks
	if res.Fault != nil {
		faults = append(faults, res.Fault)
	}
	for _, f := range faults {
		a.add(Misbehaves, f.PC, "%s%s", f.Reason, when)
	}
}

// describes compares what the loader made with what the bundle says of it.
func (a *auditor) describes(b *bundle.Bundle, res *simkernel.Result) {
	if len(res.Descriptors) != len(b.Maps)+len(b.Programs) {
		a.add(Misdescribed, -1, "the loader leaves %d descriptors, the bundle tells of %d", len(res.Descriptors), len(b.Maps)+len(b.Programs))
	}
	for _, d := range b.Maps {
		m, ok := res.Descriptors[int(d.Ctx)].(*simkernel.Map)
		if !ok {
			a.add(Misdescribed, -1, "map %s: the loader leaves no map at %d in the context", d.Name, d.Ctx)
			continue
		}
		for _, f := range []struct {
			what      string
			said, got any
		}{
			{"name", d.Kernel, m.Name}, {"type", uapi.MapType(d.Type), uapi.MapType(m.Type)}, {"key size", d.KeySize, m.KeySize}, {"value size", d.ValueSize, m.ValueSize},
			{"entries", d.MaxEntries, m.MaxEntries}, {"flags", uapi.MapFlags(d.Flags), uapi.MapFlags(m.Flags)}, {"extra", d.Extra, m.Extra},
			{"key type", d.KeyType, m.KeyType}, {"value type", d.ValueType, m.ValueType},
		} {
			if f.said != f.got {
				a.add(Misdescribed, -1, "map %s: %s %v, and the bundle says %v", d.Name, f.what, f.got, f.said)
			}
		}
	}
	for _, d := range b.Programs {
		p, ok := res.Descriptors[int(d.Ctx)].(*simkernel.Prog)
		if !ok {
			a.add(Misdescribed, -1, "program %s: the loader leaves no program at %d in the context", d.Name, d.Ctx)
			continue
		}
		attachType, target := p.ExpectedAttachType, trace.Target(p)
		if p.Attach == nil { // it is for who attaches it
			target = d.AttachTo
		}
		for _, f := range []struct {
			what      string
			said, got any
		}{
			{"name", d.Name[:min(len(d.Name), uapi.ObjNameLen-1)], p.Name}, {"type", uapi.ProgType(d.Type), uapi.ProgType(p.Type)},
			{"attach type", uapi.AttachType(d.ExpectedAttachType), uapi.AttachType(attachType)},
			{"flags", uapi.ProgFlags(d.Flags), uapi.ProgFlags(p.Flags)}, {"size", int(d.Insns.Size), len(p.Insns)}, {"target", d.AttachTo, target},
		} {
			if f.said != f.got {
				a.add(Misdescribed, -1, "program %s: %s %v, and the bundle says %v", d.Name, f.what, f.got, f.said)
			}
		}
	}
	if b.BTF.Size > 0 && (len(res.BTFs) != 1 || !bytes.Equal(res.BTFs[0].Raw, b.Blob[b.BTF.Offset:b.BTF.Offset+b.BTF.Size])) {
		a.add(Misdescribed, -1, "the loader loads other BTF than the bundle says")
	}
}
