package audit

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"
	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
)

// mutant is a loader with something changed in its checks.
type mutant struct {
	what string
	l    simkernel.Loader
}

// checkRange returns the instructions that are a loader's checks: from the one that loads the metadata map's address first to
// the last one before anything but comparisons that the simulated kernel sees it do.
func checkRange(t *testing.T, l simkernel.Loader) (from, to int) {
	t.Helper()
	res := simkernel.Run(l, simkernel.Options{})
	qt.Assert(t, qt.Equals(res.Errno, 0))
	for _, ev := range res.Events {
		if ev.Kind == simkernel.EventCheck {
			to = ev.PC + 1
		}
	}
	insns, err := insn.Decode(l.Insns, order(l))
	qt.Assert(t, qt.IsNil(err))
	from = slices.IndexFunc(insns, func(in insn.Insn) bool { return in.IsLoadImm64() && in.Src == insn.PseudoMapIdx })
	return from, to
}

// mutants changes each instruction of the checks: removes it, inverts it, swaps it with each later one, copies each other
// one over it, and flips each of its bits.
func mutants(t *testing.T, l simkernel.Loader) []mutant {
	from, to := checkRange(t, l)
	o := order(l)
	insns, err := insn.Decode(l.Insns, o)
	qt.Assert(t, qt.IsNil(err))
	var list []mutant
	add := func(what string, change func(insns []insn.Insn)) {
		changed := slices.Clone(insns)
		change(changed)
		m := l
		m.Insns = insn.Append(nil, o, changed...)
		list = append(list, mutant{what, m})
	}
	nop := insn.Insn{Op: insn.Ja}
	for i := from; i < to; i++ {
		in := insns[i]
		add(fmt.Sprintf("%d removed (%v)", i, in), func(m []insn.Insn) {
			m[i] = nop
			if in.IsLoadImm64() {
				m[i+1] = nop
			}
		})
		if in.Class() == insn.ClassJMP && in.Op != insn.Exit && in.Op != insn.Call {
			opcode := func(class insn.Class, op insn.JumpOp) uint8 {
				return uint8(op)<<4 | in.Op&insn.SourceReg | uint8(class)
			}
			for op := range insn.JumpSle + 1 {
				if op != insn.JumpCall && op != insn.JumpExit {
					add(fmt.Sprintf("%d compares otherwise (%v)", i, in), func(m []insn.Insn) { m[i].Op = opcode(insn.ClassJMP, op) })
					add(fmt.Sprintf("%d compares half otherwise (%v)", i, in), func(m []insn.Insn) { m[i].Op = opcode(insn.ClassJMP32, op) })
				}
			}
		}
		for j := i + 1; j < to; j++ {
			add(fmt.Sprintf("%d swapped with %d (%v)", i, j, in), func(m []insn.Insn) { m[i], m[j] = m[j], m[i] })
		}
		for j := from; j < to; j++ {
			add(fmt.Sprintf("%d replaced by %d (%v)", i, j, in), func(m []insn.Insn) { m[i] = m[j] })
		}
		for bit := range 64 {
			m := l
			m.Insns = slices.Clone(l.Insns)
			m.Insns[i*insn.Size+bit/8] ^= 1 << (bit % 8)
			list = append(list, mutant{fmt.Sprintf("%d bit %d flipped (%v)", i, bit, in), m})
		}
	}
	return list
}

// behaviour is what a loader does, but for how it checks.
func behaviour(res *simkernel.Result) string {
	res.Events = slices.DeleteFunc(res.Events, func(ev *simkernel.Event) bool { return ev.Kind == simkernel.EventCheck })
	return trace.Text(res)
}

// holds says whether a loader does what a good one does on an honest host, and refuses on all others. It asks the
// simulated kernel, on which a host can also make the digest what it likes: no host can make contents whose digest
// differs in a byte of its choice only, but a loader that does not look at the byte is not what was promised.
func holds(l simkernel.Loader, honest string) (bool, string) {
	res := simkernel.Run(l, simkernel.Options{})
	if res.Stage == simkernel.StageLoad {
		return true, "" // no kernel loads it
	}
	if behaviour(res) != honest {
		return false, "honest host"
	}
	refuses := func(o simkernel.Options) bool {
		res := simkernel.Run(l, o)
		if res.Stage == simkernel.StageLoad {
			return true
		}
		for _, ev := range res.Events {
			if ev.N != 0 {
				return false
			}
		}
		return res.Errno != 0 && res.Err() == nil
	}
	for _, s := range []simkernel.Scenario{
		simkernel.NonExclusive, simkernel.StaleHash, simkernel.NotHashed, simkernel.TamperedBlob,
	} {
		if !refuses(simkernel.Options{Scenario: s}) {
			return false, string(s)
		}
	}
	for i := 0; i < 32; i += 3 { // some byte of every half of a word
		if !refuses(simkernel.Options{Digest: func(sha []byte) { sha[i] ^= 0x40 }}) {
			return false, fmt.Sprintf("digest differs in byte %d", i)
		}
	}
	return true, ""
}

// TestMutants is what the audit is worth: of all changes of the checks it finds those that matter.
func TestMutants(t *testing.T) {
	for name, l := range good(t) {
		if l.Scheme != bundle.MapHash {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			honest := behaviour(simkernel.Run(l, simkernel.Options{}))
			list := mutants(t, l)
			found, harmless := 0, 0
			for _, m := range list {
				if Failed(audit(m.l)) {
					found++
					continue
				}
				if ok, host := holds(m.l, honest); !ok {
					t.Errorf("not found: %s, which shows on this host: %s", m.what, host)
					continue
				}
				harmless++
			}
			t.Logf("%d mutants: %d found, %d that make no difference", len(list), found, harmless)
		})
	}
}
