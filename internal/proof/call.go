package proof

import (
	"bytes"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// object is what a call returns a descriptor of.
type object uint8

const (
	noObject object = iota
	aMap
	aProgram
	aBTF
	aModule // the BTF of a module, of which bpf_btf_find_by_name_kind returns a descriptor
)

func (o object) String() string {
	return [...]string{"nothing", "a map", "a program", "BTF", "a module's BTF"}[o]
}

// call is a call of a helper that the kernel may answer differently from run to run.
type call struct {
	index int // among all
	pc    int
	fn    uapi.Helper
	makes object
	// needed is set for a call without which the loader has not made what it should.
	needed bool
	// trial is set for a program that a loader may load just to see whether the verifier accepts it.
	trial bool
	text  string // what it is about
	// what a call of bpf(2) did, by command
	m    *Map
	prog *Program
	btf  *BTF
	up   *Update
	of   *call // whose map is updated or frozen
}

func (c *call) String() string { return c.text }

// good is what the call returns when it succeeds.
func (c *call) good() *value {
	switch {
	case c.fn == uapi.HelperBTFFindByNameKind:
		return &value{kind: kFound, call: c}
	case c.makes != noObject:
		return &value{kind: kFD, call: c}
	}
	return zero
}

// helper follows a call of a helper. It returns false if the path need not be followed any further.
func (p *prover) helper(pc int, s *state, fn uapi.Helper) bool {
	n, known := fn.Args()
	if !known {
		p.add(UnknownHelper, pc, "no loader needs helper %d", fn)
		return false
	}
	for r := insn.R1; r < insn.R1+n; r++ {
		if s.regs[r].kind == kUninit {
			p.add(Malformed, pc, "the argument in r%d may have no value", r)
			return false
		}
	}
	args := [5]*value(s.regs[insn.R1 : insn.R5+1])
	for r := insn.R0; r <= insn.R5; r++ {
		s.regs[r] = uninit
	}
	s.regs[insn.R0] = top
	switch fn {
	case uapi.HelperProbeReadKernel:
		return p.zeroMemory(pc, s, args)
	case uapi.HelperSysClose:
		p.close(pc, s, args[0])
		return true
	case uapi.HelperCopyFromUser:
		p.add(HostMemory, pc, "bpf_copy_from_user reads what the host puts there")
		return false
	}
	if !p.attested(s) {
		p.actsUnverified(pc, s)
		return false
	}
	switch fn {
	case uapi.HelperTracePrintk:
		return p.print(pc, s, args)
	case uapi.HelperBTFFindByNameKind:
		return p.findBTF(pc, s, args)
	case uapi.HelperKallsymsLookupName:
		return p.findAddress(pc, s, args)
	}
	return p.sysBPF(pc, s, args)
}

// actsUnverified says what was not checked before the loader does something.
func (p *prover) actsUnverified(pc int, s *state) {
	p.acts = true
	if s.facts&hasExcl == 0 {
		p.add(NoExclusivityCheck, pc, "the loader acts here although the metadata map may not be exclusive to it: "+
			"another program may have changed it after it was hashed (CVE-2026-80675)")
	}
	if missing := hasDigest &^ s.facts; missing != 0 {
		p.add(NoDigestCheck, pc, "the loader acts here although %s of the metadata map's digest were not compared", bytesOf(missing))
	}
}

// bytesOf says in words which bytes of the digest a set has.
func bytesOf(set facts) string {
	if set == hasDigest {
		return "all bytes"
	}
	text := "bytes"
	for i := 0; i < uapi.BPFMapExcl; i++ {
		if set>>i&1 == 0 {
			continue
		}
		first := i
		for i+1 < uapi.BPFMapExcl && set>>(i+1)&1 == 1 {
			i++
		}
		text += fmt.Sprintf(" %d-%d", first, i)
	}
	return text
}

// remember returns the call at an instruction, which make describes when it is met first.
func (p *prover) remember(pc int, s *state, c *call) *call {
	if old := p.callAt[pc]; old != nil {
		if old.text != c.text || old.details() != c.details() {
			p.add(UnknownValue, pc, "what the call is about depends on the path that leads here: %s, or %s", old.details(), c.details())
		}
		c = old
	} else {
		c.index, c.pc = len(p.calls), pc
		p.calls = append(p.calls, c)
		p.callAt[pc] = c
	}
	if s.status(c)&(open|pending) != 0 {
		p.add(LostDescriptor, pc, "%v is done twice", c)
	}
	s.setStatus(c, pending)
	s.regs[insn.R0] = &value{kind: kRet, call: c}
	return c
}

// bad says why a value is not one that the kernel may be given.
func (p *prover) bad(pc int, what string, v *value) bool {
	switch {
	case v.has(kInput):
		p.add(HostContext, pc, "%s is %v, which the host fills in", what, v)
	case v.has(kStale):
		p.add(SecondRun, pc, "%s is %v", what, v)
	case !v.all(func(a *value) bool { return a.kind != kPtr || a.reg != rCtx }):
		p.add(HostMemory, pc, "%s is %v, which the host fills in", what, v)
	case v.has(kFD):
		p.add(UnknownValue, pc, "%s is %v, which may not be open here, or is of the wrong kind", what, v)
	default:
		p.add(UnknownValue, pc, "%s is %v", what, v)
	}
	return false
}

// constantBytes reads bytes that have to be constants.
func (p *prover) constantBytes(pc int, s *state, at *value, size int64, what string) ([]byte, bool) {
	r, off, ok := p.source(pc, at, size, what)
	if !ok {
		return nil, false
	}
	out := make([]byte, size)
	if r == rBlob {
		copy(out, p.blob[off:])
	}
	return out, p.eachByte(pc, s, r, off, size, what, func(i int64, c cell) bool {
		if c.v.kind != kConst {
			return p.bad(pc, fmt.Sprintf("byte %d of %s", i, what), c.v)
		}
		out[i] = byte(c.v.n)
		return true
	})
}

// source resolves an address from which the kernel reads.
func (p *prover) source(pc int, at *value, size int64, what string) (r region, off int64, ok bool) {
	switch {
	case at.kind != kPtr:
		return 0, 0, p.bad(pc, "the address of "+what, at)
	case at.reg == rCtx:
		p.add(HostMemory, pc, "%s is in the context, which the host fills in", what)
		return 0, 0, false
	}
	r, off, ok = p.place(pc, at, 0, size, what)
	if ok && r == rMap {
		p.add(UnknownPointer, pc, "%s is in struct bpf_map", what)
		return 0, 0, false
	}
	return r, off, ok
}

// eachByte calls f for the bytes of a range that are not as the signer has put them there, with their offset in the range.
func (p *prover) eachByte(pc int, s *state, r region, off, size int64, what string, f func(i int64, c cell) bool) bool {
	next, ok := off, true
	s.mem[r].visit(off, size, func(at int64, c cell) {
		switch {
		case r == rStack && at != next, ok && c.v.kind == kUninit:
			p.add(Malformed, pc, "%s has bytes of the stack that may have no value", what)
			ok = false
		case ok:
			ok = f(at-off, c)
		}
		next = at + 1
	})
	if ok && r == rStack && next != off+size {
		p.add(Malformed, pc, "%s has bytes of the stack that may have no value", what)
		return false
	}
	return ok
}

// zeroMemory follows bpf_probe_read_kernel, which generators use to zero memory: there is nothing at 0 to be read.
func (p *prover) zeroMemory(pc int, s *state, args [5]*value) bool {
	to, size, from := args[0], args[1], args[2]
	if !from.is(0) {
		p.add(HostMemory, pc, "bpf_probe_read_kernel reads from an address that is not 0")
		return false
	}
	if size.kind != kConst {
		return p.bad(pc, "the size of what is zeroed", size)
	}
	r, at, ok := p.place(pc, to, 0, int64(uint32(size.n)), "what is zeroed")
	switch {
	case !ok:
		return false
	case r == rBlob && (!p.attested(s) || p.overlapsGuard(at, int64(uint32(size.n)))), r == rCtx, r == rMap:
		p.add(UnknownPointer, pc, "it zeroes %v", r)
		return false
	}
	cells := make([]cell, uint32(size.n))
	p.spread(cells, zero)
	if r == rBlob {
		p.wrote(s)
	}
	s.mem[r].store(at, cells)
	return true
}

// close follows bpf_sys_close. A negative number stands for no descriptor.
func (p *prover) close(pc int, s *state, v *value) {
	var fd *call
	v.each(func(a *value) {
		switch {
		case a.kind == kNeg, a.kind == kConst && int32(a.n) < 0:
		case a.kind == kStale && !p.attested(s):
			p.add(UnverifiedClose, pc, "a descriptor is closed whose number comes from a metadata map that was not checked")
		case a.kind == kStale:
			p.add(StaleClose, pc, "a descriptor is closed whose number an earlier run may have left in the blob")
		case a.kind == kFD && (v.kind == kFD || v.own == a.call):
			fd = a.call
		case a.kind == kFD: // one of several, and it cannot be told whether it is open
			p.add(ClosedTwice, pc, "the descriptor of %v may be closed, or may have been closed before", a.call)
			s.setStatus(a.call, s.status(a.call)|closed)
		case a.kind == kInput:
			p.add(HostContext, pc, "a descriptor is closed that %v names", a)
		case a.kind == kConst:
			p.add(LostDescriptor, pc, "it closes descriptor %d, which is the host's", int32(a.n))
		case a.isModule():
			p.add(LostDescriptor, pc, "it closes %v, which may be 0, the host's", a)
		default:
			p.add(LostDescriptor, pc, "it closes %v, and it is not known whether that is open", a)
		}
	})
	if fd == nil {
		return
	}
	st := s.status(fd)
	if st&closed != 0 || st&(open|pending) == 0 {
		p.add(ClosedTwice, pc, "the descriptor of %v may be closed twice", fd)
	}
	s.setStatus(fd, st&^(open|pending)|closed)
}

// print follows bpf_trace_printk. What it prints has no effect, as long as the format asks for numbers only.
func (p *prover) print(pc int, s *state, args [5]*value) bool {
	if args[1].kind != kConst {
		return p.bad(pc, "the size of a format", args[1])
	}
	format, ok := p.constantBytes(pc, s, args[0], int64(uint32(args[1].n)), "the format")
	if !ok {
		return false
	}
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		for i++; i < len(format) && format[i] == 'l'; i++ {
		}
		if i == len(format) || !bytes.ContainsRune([]byte("diux%"), rune(format[i])) {
			p.add(HostMemory, pc, "bpf_trace_printk is asked for more than numbers: %q", format)
			return false
		}
	}
	return true
}

// symbol reads the name that a lookup is about.
func (p *prover) symbol(pc int, s *state, name, size *value) (string, bool) {
	if size.kind != kConst {
		return "", p.bad(pc, "the size of a name", size)
	}
	const maxName = 512 // KSYM_NAME_LEN, include/linux/kallsyms.h
	n := int64(uint32(size.n))
	if n < 2 || n > maxName {
		p.add(UnknownValue, pc, "a name of %d bytes", n)
		return "", false
	}
	b, ok := p.constantBytes(pc, s, name, n, "the name")
	if !ok {
		return "", false
	}
	if b[n-1] != 0 { // the kernel refuses it
		p.add(UnknownValue, pc, "a name of %d bytes, the last of which is not zero", n)
		return "", false
	}
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text), true
}

func (p *prover) findBTF(pc int, s *state, args [5]*value) bool {
	name, ok := p.symbol(pc, s, args[0], args[1])
	switch {
	case !ok:
		return false
	case args[2].kind != kConst:
		return p.bad(pc, "the kind of a BTF type", args[2])
	case !args[3].is(0):
		return p.bad(pc, "the flags of bpf_btf_find_by_name_kind", args[3])
	}
	p.remember(pc, s, &call{fn: uapi.HelperBTFFindByNameKind, makes: aModule, text: fmt.Sprintf("%s %s", kindName(args[2].n), name)})
	p.acts = true
	return true
}

// kindName names a kind of BTF types that loaders look up.
func kindName(kind int64) string {
	switch kind {
	case int64(btf.Struct):
		return "struct"
	case int64(btf.Union):
		return "union"
	case int64(btf.Typedef):
		return "typedef"
	case int64(btf.Func):
		return "function"
	case int64(btf.Var):
		return "variable"
	}
	return fmt.Sprintf("BTF kind %d", kind)
}

func (p *prover) findAddress(pc int, s *state, args [5]*value) bool {
	name, ok := p.symbol(pc, s, args[0], args[1])
	if !ok {
		return false
	}
	if !args[2].is(0) {
		return p.bad(pc, "the flags of bpf_kallsyms_lookup_name", args[2])
	}
	const size = 8
	r, at, ok := p.place(pc, args[3], 0, size, "the result of bpf_kallsyms_lookup_name")
	if !ok {
		return false
	}
	if r == rCtx || r == rMap || p.overlapsGuard(at, size) && r == rBlob {
		p.add(UnknownPointer, pc, "bpf_kallsyms_lookup_name writes to %v", r)
		return false
	}
	c := p.remember(pc, s, &call{fn: uapi.HelperKallsymsLookupName, text: "symbol " + name})
	cells := make([]cell, size)
	p.spread(cells, &value{kind: kAddr, call: c})
	if r == rBlob {
		p.wrote(s)
	}
	s.mem[r].store(at, cells)
	p.acts = true
	return true
}

// exit follows the end of a path.
func (p *prover) exit(pc int, s *state) {
	p.leaves(s)
	v := s.regs[insn.R0]
	refuses := v.all(func(a *value) bool {
		return a.kind == kNeg || a.kind == kConst && int32(a.n) < 0 && int32(a.n) >= -maxErrno
	})
	switch {
	case refuses:
		p.nothingLeft(pc, s)
	case !p.attested(s):
		p.add(RefusalSucceeds, pc, "the loader may end here without having checked the metadata map and without an error")
	case v.kind == kConst && uint32(v.n) == 0:
		p.succeeds(pc, s)
	default:
		p.add(RefusalSucceeds, pc, "it is not known whether this is success: the loader returns %v, of which the host sees 32 bits", v)
	}
}

// nothingLeft makes sure that a loader that fails leaves nothing open.
func (p *prover) nothingLeft(pc int, s *state) {
	for _, c := range p.calls {
		if c.makes == noObject {
			continue
		}
		if st := s.status(c); st&(open|pending) != 0 {
			p.add(LeftOpen, pc, "the loader may fail here and leave the descriptor of %v open", c)
			return
		}
	}
}
