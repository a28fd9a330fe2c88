// Package audit proves of a gen-loader what its signer vouches for: that it does nothing before it has checked that what
// it acts on is what was signed, and that the host that runs it has no say in what it does.
//
// It knows no generator's habits: it follows every path through the instructions on abstract values (where pointers
// point, which numbers are constants, which were loaded from the metadata map's struct bpf_map), so that any shape of the checks
// that holds is accepted and any that does not is found.
package audit

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/flow"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// ID names a kind of finding.
type ID string

// The kinds of findings.
const (
	// UnknownScheme: the audit does not know what a loader of this scheme must check, so it proves nothing.
	UnknownScheme ID = "unknown-scheme"
	// NoExclusivityCheck: a map-hash loader acts although the metadata map may not be exclusive to it, so that another
	// program may have changed it after it was hashed (CVE-2026-80675).
	NoExclusivityCheck ID = "no-exclusivity-check"
	// NoDigestCheck: a map-hash loader acts although the metadata map's digest, or a part of it, was not compared.
	NoDigestCheck ID = "no-digest-check"
	// WrongDigest: the digest in the instructions is not that of the blob.
	WrongDigest ID = "wrong-digest"
	// RefusalSucceeds: a loader that refuses to act does not return an error.
	RefusalSucceeds ID = "refusal-succeeds"
	// HostContext: the loader reads what the host puts into the context, beyond where to log.
	HostContext ID = "host-context"
	// HostMemory: the loader reads memory that the host chooses.
	HostMemory ID = "host-memory"
	// OtherMap: the loader uses another map than the metadata map, which nothing ties to the signature.
	OtherMap ID = "other-map"
	// UnknownField: the loader reads something of struct bpf_map that is neither the digest nor the exclusivity.
	UnknownField ID = "unknown-field"
	// UnknownPointer: it cannot be said what an address points at.
	UnknownPointer ID = "unknown-pointer"
	// UnknownHelper: a helper that no loader needs is called, or bpf_sys_bpf with a command that is not a constant.
	UnknownHelper ID = "unknown-helper"
	// Malformed: the instructions are not a program: a jump lands where no instruction begins, a register is read before it is
	// written, an instruction is unreachable or unknown.
	Malformed ID = "malformed"
	// Loop: a map-hash loader may go round in circles instead of refusing.
	Loop ID = "loop"
	// NeverActs: no path leads to a call that does anything.
	NeverActs ID = "never-acts"
	// UnverifiedClose (a note): a map-hash loader that refuses closes descriptors whose numbers come from contents that it
	// has just found to be wrong. They are the host's own.
	UnverifiedClose ID = "unverified-close"
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
	ID       ID       `json:"id"`
	Severity Severity `json:"severity"`
	// Scheme is the loader's.
	Scheme bundle.Scheme `json:"scheme"`
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

// Failed says whether there is a finding that is an error.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error })
}

// Audit looks at one loader. The result is ordered by instruction, then by id; without errors in it the loader is proven.
func Audit(scheme bundle.Scheme, order binary.ByteOrder, insns, blob []byte) []Finding {
	a := newAuditor(scheme)
	attestation, err := scheme.Attestation()
	if err != nil {
		a.add(UnknownScheme, -1, "nothing is proven: %v", err)
		return a.found
	}
	a.attestation = attestation
	decoded, err := insn.Decode(insns, order)
	if err != nil {
		a.add(Malformed, -1, "%v", err)
		return a.found
	}
	for _, p := range flow.Check(decoded) {
		a.add(Malformed, p.PC, "%s", p.Text)
	}
	if len(a.found) > 0 { // what is no program has no flow
		return a.sorted()
	}
	a.Flow = flow.New(order, decoded, blob)
	if a.Incomplete {
		a.add(Malformed, -1, "nothing is proven: there are too many ways through the comparisons")
		return a.sorted()
	}
	for p, s := range a.States {
		a.check(p, s)
	}
	a.checkLoops()
	if !a.acts {
		a.add(NeverActs, -1, "no path leads to a call that does anything")
	}
	return a.sorted()
}

type auditor struct {
	*flow.Flow
	scheme      bundle.Scheme
	attestation bundle.Attestation
	found       []Finding
	acts        bool // there is a call that does something
	seen        map[Finding]bool
}

func newAuditor(scheme bundle.Scheme) *auditor {
	return &auditor{scheme: scheme, seen: map[Finding]bool{}}
}

func (a *auditor) add(id ID, pc int, format string, args ...any) {
	f := Finding{id, Error, a.scheme, pc, fmt.Sprintf(format, args...)}
	if id == UnverifiedClose {
		f.Severity = Note
	}
	if !a.seen[f] {
		a.seen[f] = true
		a.found = append(a.found, f)
	}
}

func (a *auditor) sorted() []Finding {
	slices.SortFunc(a.found, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.PC, y.PC), cmp.Compare(x.ID, y.ID), cmp.Compare(x.Text, y.Text))
	})
	return a.found
}

// check holds an instruction to the rules, given what is known before it.
func (a *auditor) check(p flow.Point, s *flow.State) {
	in := a.Insns[p.PC]
	for _, r := range flow.Reads(in) {
		if s.Reg(r).Kind == flow.Uninit {
			a.add(Malformed, p.PC, "%v reads r%d, which may have no value", in, r)
		}
	}
	switch in.Class() {
	case insn.ClassLD:
		if in.Src != insn.PseudoNone && in.Imm != 0 {
			a.add(OtherMap, p.PC, "it uses the map at index %d of fd_array, which is the host's choice", in.Imm)
		}
	case insn.ClassLDX:
		a.checkLoad(p, s.Reg(in.Src))
	case insn.ClassST, insn.ClassSTX:
		a.checkStore(p, s.Reg(in.Dst))
	case insn.ClassJMP, insn.ClassJMP32:
		switch in.Op {
		case insn.Call:
			a.checkCall(p, s)
		case insn.Exit:
			a.checkExit(p, s)
		default:
			if c, ok := a.Comparison(p); ok && c.Off < uapi.BPFMapExcl && c.With != c.Want {
				a.add(WrongDigest, p.PC, "%v compares bytes %d to %d of the digest with other ones than the blob's", in, c.Off, c.Off+c.Size-1)
			}
		}
	}
}

// What of the context a loader may read: where to log (log_level, log_size, log_buf of struct bpf_loader_ctx).
const (
	ctxLog    = bundle.CtxLogLevel
	ctxLogEnd = bundle.CtxHeaderSize
)

func (a *auditor) checkLoad(p flow.Point, at flow.Value) {
	in := a.Insns[p.PC]
	off, size := at.N+int64(in.Off), int64(in.MemSize())
	switch at.Kind {
	case flow.CtxPtr:
		if off < ctxLog || off+size > ctxLogEnd {
			a.add(HostContext, p.PC, "%v reads %d bytes of the context at %d, which the host fills in", in, size, off)
		}
	case flow.MapPtr:
		if !flow.IsField(off, size) || off == uapi.BPFMapExcl && !a.attestation.LoaderChecks {
			a.add(UnknownField, p.PC, "%v reads %d bytes at offset %d of struct bpf_map", in, size, off)
		}
	case flow.BlobPtr, flow.InBlob, flow.StackPtr:
	case flow.Uninit: // said already
	default:
		a.add(UnknownPointer, p.PC, "%v: it is not known what r%d points at", in, in.Src)
	}
}

func (a *auditor) checkStore(p flow.Point, at flow.Value) {
	in := a.Insns[p.PC]
	switch at.Kind {
	case flow.BlobPtr, flow.InBlob, flow.StackPtr, flow.CtxPtr, flow.Uninit:
	default:
		a.add(UnknownPointer, p.PC, "%v: it is not known what r%d points at", in, in.Dst)
	}
}

func (a *auditor) checkCall(p flow.Point, s *flow.State) {
	fn := uapi.Helper(a.Insns[p.PC].Imm)
	n, ok := fn.Args()
	if !ok {
		a.add(UnknownHelper, p.PC, "no loader needs %v", fn)
	}
	for r := insn.R1; r < insn.R1+n; r++ {
		switch s.Reg(uint8(r)).Kind {
		case flow.Uninit:
			a.add(Malformed, p.PC, "the argument in r%d may have no value", r)
		case flow.CtxPtr:
			a.add(HostContext, p.PC, "a helper gets the context, which the host fills in")
		}
	}
	memory := func(r int) {
		switch s.Reg(uint8(r)).Kind {
		case flow.BlobPtr, flow.InBlob, flow.StackPtr, flow.CtxPtr, flow.Uninit:
		default:
			a.add(UnknownPointer, p.PC, "it is not known what the argument in r%d points at", r)
		}
	}
	switch fn {
	case uapi.HelperSysBPF:
		memory(insn.R2)
		if c := s.Reg(insn.R1); c.Kind != flow.Constant || c.N != int64(uint32(c.N)) || !uapi.Cmd(c.N).Known() {
			a.add(UnknownHelper, p.PC, "the command of bpf_sys_bpf is not known")
		}
	case uapi.HelperBTFFindByNameKind:
		memory(insn.R1)
	case uapi.HelperKallsymsLookupName:
		memory(insn.R1)
		memory(insn.R4)
	case uapi.HelperTracePrintk:
		memory(insn.R1)
		return // prints
	case uapi.HelperSysClose:
		switch s.Reg(insn.R1).Kind {
		case flow.Field, flow.MapPtr, flow.BlobPtr, flow.InBlob, flow.StackPtr:
			a.add(Malformed, p.PC, "bpf_sys_close gets what is no descriptor")
		}
		if !a.attested(p.Facts) {
			a.add(UnverifiedClose, p.PC, "a descriptor is closed before the checks have passed")
		}
		return
	case uapi.HelperProbeReadKernel:
		memory(insn.R1)
		if from := s.Reg(insn.R3); from != (flow.Value{Kind: flow.Constant}) {
			a.add(HostMemory, p.PC, "bpf_probe_read_kernel reads from an address that is not 0")
		}
		return // zeroes
	case uapi.HelperCopyFromUser:
		a.add(HostMemory, p.PC, "bpf_copy_from_user reads what the host puts there")
		return
	}
	a.acts = true
	if a.attested(p.Facts) {
		return
	}
	if p.Facts&flow.HasExcl == 0 {
		a.add(NoExclusivityCheck, p.PC, "the loader acts here although the metadata map may not be exclusive to it: "+
			"another program may have changed it after it was hashed (CVE-2026-80675)")
	}
	if missing := flow.HasDigest &^ p.Facts; missing != 0 {
		a.add(NoDigestCheck, p.PC, "the loader acts here although %s of the metadata map's digest were not compared", bytesOf(missing))
	}
}

// attested says whether what a loader acts on is proven: by the loader's own checks, or by the kernel.
func (a *auditor) attested(f flow.Facts) bool { return !a.attestation.LoaderChecks || f == flow.HasAll }

// bytesOf says in words which bytes of the digest a set has.
func bytesOf(set flow.Facts) string {
	if set == flow.HasDigest {
		return "all bytes"
	}
	text := "bytes"
	for i := 0; i < sha256.Size; i++ {
		if set>>i&1 == 0 {
			continue
		}
		first := i
		for i+1 < sha256.Size && set>>(i+1)&1 == 1 {
			i++
		}
		text += fmt.Sprintf(" %d-%d", first, i)
	}
	return text
}

// checkLoops looks for circles where not all is checked yet. Behind the checks the kernel's verifier is good enough.
func (a *auditor) checkLoops() {
	const following, done = 1, 2
	visit := map[flow.Point]int{}
	path := []flow.Point{{}} // the points that are being followed, and between them those that wait
	for len(path) > 0 {
		p := path[len(path)-1]
		if visit[p] != 0 || a.attested(p.Facts) { // all that comes behind it was followed
			visit[p] = done
			path = path[:len(path)-1]
			continue
		}
		visit[p] = following
		for _, e := range a.Step(p) {
			switch visit[e.To] {
			case following:
				a.add(Loop, p.PC, "%v goes back to %d, from where it was reached, before the checks have passed", a.Insns[p.PC], e.To.PC)
			case 0:
				path = append(path, e.To)
			}
		}
	}
}

func (a *auditor) checkExit(p flow.Point, s *flow.State) {
	if a.attested(p.Facts) {
		return
	}
	r0 := s.Reg(insn.R0)
	if r0.Kind == flow.Negative || r0.Kind == flow.Constant && int32(r0.N) < 0 && r0.N >= math.MinInt32 && r0.N <= math.MaxUint32 {
		return
	}
	a.add(RefusalSucceeds, p.PC, "the loader may end here without having checked the metadata map and without an error")
}
