package proof

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// field is a field of union bpf_attr: where it is and how large, in bytes.
type field struct{ off, size int64 }

// The fields that loaders set.
var (
	mapType        = field{uapi.MapCreateType, 4}
	mapKeySize     = field{uapi.MapCreateKeySize, 4}
	mapValueSize   = field{uapi.MapCreateValueSize, 4}
	mapMaxEntries  = field{uapi.MapCreateMaxEntries, 4}
	mapFlags       = field{uapi.MapCreateFlags, 4}
	mapInner       = field{uapi.MapCreateInnerMapFD, 4}
	mapNUMANode    = field{uapi.MapCreateNUMANode, 4}
	mapName        = field{uapi.MapCreateName, uapi.ObjNameLen}
	mapIfIndex     = field{uapi.MapCreateIfIndex, 4}
	mapBTF         = field{uapi.MapCreateBTFFD, 4}
	mapKeyType     = field{uapi.MapCreateKeyTypeID, 4}
	mapValueType   = field{uapi.MapCreateValueTypeID, 4}
	mapKernelValue = field{uapi.MapCreateKernelValueTypeID, 4}
	mapExtra       = field{uapi.MapCreateExtra, 8}
	mapValueModule = field{uapi.MapCreateValueTypeBTFFD, 4}

	elemMap   = field{uapi.MapUpdateMapFD, 4}
	elemKey   = field{uapi.MapUpdateKey, 8}
	elemValue = field{uapi.MapUpdateValue, 8}
	elemFlags = field{uapi.MapUpdateFlags, 8}

	frozenMap = field{uapi.MapFreezeMapFD, 4}

	progType       = field{uapi.ProgLoadType, 4}
	progInsnCnt    = field{uapi.ProgLoadInsnCnt, 4}
	progInsns      = field{uapi.ProgLoadInsns, 8}
	progLicense    = field{uapi.ProgLoadLicense, 8}
	progLogLevel   = field{uapi.ProgLoadLogLevel, 4}
	progLogSize    = field{uapi.ProgLoadLogSize, 4}
	progLogBuf     = field{uapi.ProgLoadLogBuf, 8}
	progVersion    = field{uapi.ProgLoadKernVersion, 4}
	progFlags      = field{uapi.ProgLoadFlags, 4}
	progName       = field{uapi.ProgLoadName, uapi.ObjNameLen}
	progIfIndex    = field{uapi.ProgLoadIfIndex, 4}
	progAttachType = field{uapi.ProgLoadAttachType, 4}
	progBTF        = field{uapi.ProgLoadBTFFD, 4}
	progFuncRec    = field{uapi.ProgLoadFuncInfoRecSize, 4}
	progFunc       = field{uapi.ProgLoadFuncInfo, 8}
	progFuncCnt    = field{uapi.ProgLoadFuncInfoCnt, 4}
	progLineRec    = field{uapi.ProgLoadLineInfoRecSize, 4}
	progLine       = field{uapi.ProgLoadLineInfo, 8}
	progLineCnt    = field{uapi.ProgLoadLineInfoCnt, 4}
	progAttachID   = field{uapi.ProgLoadAttachBTFID, 4}
	progAttachBTF  = field{uapi.ProgLoadAttachBTFObjFD, 4}
	progCORECnt    = field{uapi.ProgLoadCOREReloCnt, 4}
	progFDArray    = field{uapi.ProgLoadFDArray, 8}
	progCORE       = field{uapi.ProgLoadCORERelos, 8}
	progCORERec    = field{uapi.ProgLoadCOREReloRecSize, 4}
	progLogTrue    = field{uapi.ProgLoadLogTrueSize, 4}

	btfData     = field{uapi.BTFLoadBTF, 8}
	btfLogBuf   = field{uapi.BTFLoadLogBuf, 8}
	btfSize     = field{uapi.BTFLoadSize, 4}
	btfLogSize  = field{uapi.BTFLoadLogSize, 4}
	btfLogLevel = field{uapi.BTFLoadLogLevel, 4}
	btfLogTrue  = field{uapi.BTFLoadLogTrueSize, 4}
)

// maxAttr is more than sizeof(union bpf_attr) of any kernel, in bytes.
const maxAttr = 4096

// attribute is a union bpf_attr that the kernel is about to read.
type attribute struct {
	p    *prover
	cmd  uapi.Cmd
	s    *state
	pc   int
	r    region
	at   int64
	size int64
	seen map[field]bool
	ok   bool
}

// sysBPF follows a call of bpf(2).
func (p *prover) sysBPF(pc int, s *state, args [5]*value) bool {
	cmd, at, size := args[0], args[1], args[2]
	if cmd.kind != kConst {
		p.add(UnknownCommand, pc, "the command of bpf_sys_bpf is %v", cmd)
		return false
	}
	if size.kind != kConst || uint32(size.n) > maxAttr {
		return p.bad(pc, "the size of the attributes", size)
	}
	r, off, ok := p.source(pc, at, int64(uint32(size.n)), "the attributes")
	if !ok {
		return false
	}
	a := &attribute{p: p, cmd: uapi.Cmd(cmd.n), s: s, pc: pc, r: r, at: off, size: int64(uint32(size.n)), seen: map[field]bool{}, ok: true}
	var c *call
	switch a.cmd {
	case uapi.CmdMapCreate:
		c = a.mapCreate()
	case uapi.CmdMapUpdateElem:
		c = a.mapUpdate()
	case uapi.CmdMapFreeze:
		c = a.mapFreeze()
	case uapi.CmdBTFLoad:
		c = a.btfLoad()
	case uapi.CmdProgLoad:
		c = a.progLoad()
	default:
		p.add(UnknownCommand, pc, "no loader needs command %v of bpf(2)", a.cmd)
		return false
	}
	a.restZero()
	if !a.ok {
		return false
	}
	c.fn, c.trial = uapi.HelperSysBPF, c.prog != nil && isTrial(c.prog)
	c.needed = !c.trial
	p.acts = true
	p.remember(pc, s, c)
	return true
}

// name is the kernel's name of a field.
func (a *attribute) name(f field) string { return a.cmd.FieldName(f.off) }

// value of a field.
func (a *attribute) value(f field) *value {
	a.seen[f] = true
	if f.off >= a.size {
		return zero
	}
	v, ok := a.p.view(a.s, a.r, a.at+f.off, min(f.size, a.size-f.off))
	if v.kind == kUninit {
		a.p.add(Malformed, a.pc, "%s has bytes of the stack that may have no value", a.name(f))
		a.ok = false
		return zero
	}
	if !ok {
		v = top
	}
	return v
}

func (a *attribute) bad(f field, v *value) {
	a.p.bad(a.pc, a.name(f), v)
	a.ok = false
}

// number is a field that has to be a constant.
func (a *attribute) number(f field) uint64 {
	v := a.value(f)
	if v.kind != kConst {
		a.bad(f, v)
		return 0
	}
	return uint64(v.n)
}

func (a *attribute) u32(f field) uint32 { return uint32(a.number(f)) }

// text is a name: constant bytes up to a NUL.
func (a *attribute) text(f field) string {
	a.seen[f] = true
	n := min(f.size, a.size-f.off)
	if n <= 0 {
		return ""
	}
	b, ok := a.p.constantBytes(a.pc, a.s, pointer(a.r, a.at+f.off), n, a.name(f))
	a.ok = a.ok && ok
	name, _, _ := bytes.Cut(b, []byte{0})
	return string(name)
}

// descriptor is a field that holds 0 or a descriptor that this run has got.
func (a *attribute) descriptor(f field, want ...object) *value {
	v := a.value(f)
	if !v.all(func(x *value) bool { return x.is(0) || a.p.held(a.s, x, want...) }) {
		if v.has(kConst) {
			a.p.add(HostDescriptor, a.pc, "%s is %v: descriptors have to come from calls of this run", a.name(f), v)
			a.ok = false
		} else {
			a.bad(f, v)
		}
	}
	return v
}

// needs says that a field is 0, which is the host's descriptor, unless something else was said.
func (a *attribute) needs(f field) {
	if a.ok {
		a.p.add(HostDescriptor, a.pc, "%s is 0: descriptors have to come from calls of this run", a.name(f))
	}
	a.ok = false
}

// held reports whether a value is a descriptor of one of some kinds of objects that is open.
func (p *prover) held(s *state, v *value, want ...object) bool {
	if v.kind != kFD && !v.isModule() {
		return false
	}
	for _, o := range want {
		if v.call.makes == o {
			st := s.status(v.call)
			return st&closed == 0 && st&(open|pending) != 0
		}
	}
	return false
}

// only is the call whose descriptor is in a field; nil if that is 0.
func (a *attribute) only(f field, want object) *call {
	v := a.descriptor(f, want)
	switch {
	case !a.ok:
	case v.kind == kFD:
		return v.call
	case !v.is(0):
		a.bad(f, v)
	}
	return nil
}

// found is the lookup of the kernel's type whose id is in a field; nil if that is 0.
func (a *attribute) found(f field) *call {
	v := a.value(f)
	switch {
	case v.is(0):
	case v.kind == kPart && v.alts[0].kind == kFound && v.n == 0 && v.size == 4:
		return v.call
	default:
		a.bad(f, v)
	}
	return nil
}

// log is a field that says where the verifier's log goes, at an offset of the context, or a constant that asks for none.
func (a *attribute) log(f field, ctx int64) {
	v := a.value(f)
	if v.is(0) || v.kind == kInput && v.n == ctx && int64(v.size) == f.size {
		return
	}
	a.bad(f, v)
}

// constants is a part of the blob at a field's address, of constant bytes. An empty one needs no address.
func (a *attribute) constants(f field, size int64) bundle.Range {
	v := a.value(f)
	if size == 0 || !a.ok {
		return bundle.Range{}
	}
	if _, ok := a.p.constantBytes(a.pc, a.s, v, size, "what "+a.name(f)+" points at"); !ok || v.reg != rBlob {
		a.ok = false
		return bundle.Range{}
	}
	return bundle.Range{Offset: uint32(v.n), Size: uint32(size)}
}

// out is a field that the kernel writes to.
func (a *attribute) out(f field) {
	a.seen[f] = true
	if a.size < f.off+f.size {
		return
	}
	cells := make([]cell, f.size)
	for i := range cells {
		cells[i] = cell{v: output}
	}
	if a.r == rBlob {
		a.p.wrote(a.s)
	}
	a.s.mem[a.r].store(a.at+f.off, cells)
}

// restZero makes sure that nothing else is set.
func (a *attribute) restZero() {
	covered := make([]bool, a.size)
	for f := range a.seen {
		for i := f.off; i < min(f.off+f.size, a.size); i++ {
			covered[i] = true
		}
	}
	for i := int64(0); i < a.size; i++ {
		if covered[i] {
			continue
		}
		v, _ := a.p.view(a.s, a.r, a.at+i, 1)
		if !v.is(0) {
			a.p.add(UnknownAttribute, a.pc, "byte %d of the attributes, which no loader needs, is %v", i, v)
			a.ok = false
			return
		}
	}
}

func (a *attribute) mapCreate() *call {
	m := &Map{
		Type: uapi.MapType(a.u32(mapType)), KeySize: a.u32(mapKeySize), ValueSize: a.u32(mapValueSize), MaxEntries: a.u32(mapMaxEntries),
		NUMANode: a.u32(mapNUMANode), IfIndex: a.u32(mapIfIndex), Name: a.text(mapName), Extra: a.number(mapExtra),
		KeyType: a.u32(mapKeyType), ValueType: a.u32(mapValueType), Ctx: -1,
	}
	if c := a.only(mapInner, aMap); c != nil {
		m.Inner = c.m
	}
	if c := a.only(mapBTF, aBTF); c != nil {
		m.BTF = c.btf
	}
	flags, module := a.value(mapFlags), a.descriptor(mapValueModule, aModule)
	switch c := a.found(mapKernelValue); {
	case c != nil:
		m.KernelValue = c.text
		a.valueModule(m, c, flags, module)
	case flags.kind != kConst:
		a.bad(mapFlags, flags)
	case !module.is(0):
		a.bad(mapValueModule, module)
	default:
		m.Flags = uapi.MapFlags(flags.n)
	}
	return &call{makes: aMap, text: fmt.Sprintf("map %q", m.Name), m: m}
}

// valueModule looks at the flags and the module of a map whose values have a type that was looked up. A flag says that there is a module.
func (a *attribute) valueModule(m *Map, c *call, flags, module *value) {
	inKernel, inModule, ok := a.p.byModule(flags, c)
	switch {
	case !a.p.isModuleOf(module, c):
		a.bad(mapValueModule, module)
	case !ok || inKernel.kind != kConst || !inModule.is(inKernel.n|int64(uapi.MapFlagValueTypeBTFObjFD)):
		a.bad(mapFlags, flags)
	default:
		m.Flags = uapi.MapFlags(inKernel.n)
	}
}

func (a *attribute) mapUpdate() *call {
	c := a.only(elemMap, aMap)
	key, val, flags := a.value(elemKey), a.value(elemValue), a.number(elemFlags)
	if !a.ok || c == nil {
		a.needs(elemMap)
		return nil
	}
	u := &Update{Flags: flags}
	m := c.m
	switch m.Type {
	case uapi.MapTypePerCPUArray, uapi.MapTypePerCPUHash, uapi.MapTypeLRUPerCPUHash, uapi.MapTypePerCPUCgroupStorage:
		if uapi.UpdateFlags(flags)&uapi.UpdateFlagAllCPUs == 0 {
			a.p.add(UnknownPointer, a.pc, "the kernel reads a value of map %q for each CPU that the host has", m.Name)
			a.ok = false
			return nil
		}
	}
	var ok bool
	if u.Key, ok = a.p.constantBytes(a.pc, a.s, key, int64(m.KeySize), "the key"); !ok {
		a.ok = false
		return nil
	}
	r, off, ok := a.p.source(a.pc, val, int64(m.ValueSize), "the value")
	if !ok {
		a.ok = false
		return nil
	}
	if r == rBlob {
		u.Value = bundle.Range{Offset: uint32(off), Size: m.ValueSize}
	}
	a.ok = a.p.updateValue(a.pc, a.s, m, u, r, off)
	return &call{text: fmt.Sprintf("an update of map %q", m.Name), up: u, of: c}
}

// updateValue looks at the value that is put into a map: constants, but for descriptors where the kernel takes them for such.
func (p *prover) updateValue(pc int, s *state, m *Map, u *Update, r region, off int64) bool {
	fd := func(at int64, want object) (*call, bool) {
		v, _ := p.view(s, r, off+at, 4)
		if v.kind != kFD || !p.held(s, v, want) {
			if v.kind == kConst {
				p.add(HostDescriptor, pc, "the value at %d is descriptor %v: descriptors have to come from calls of this run", at, v)
				return nil, false
			}
			return nil, p.bad(pc, "the value", v)
		}
		return v.call, true
	}
	switch m.Type {
	case uapi.MapTypeProgArray, uapi.MapTypeArrayOfMaps, uapi.MapTypeHashOfMaps:
		want := aMap
		if m.Type == uapi.MapTypeProgArray {
			want = aProgram
		}
		if m.ValueSize != 4 {
			p.add(UnknownValue, pc, "values of %d bytes in map %q", m.ValueSize, m.Name)
			return false
		}
		c, ok := fd(0, want)
		if ok {
			u.Puts = append(u.Puts, Put{0, c.m, c.prog})
			u.Value = bundle.Range{}
		}
		return ok
	}
	next := int64(0) // behind a descriptor that was looked at
	return p.eachByte(pc, s, r, off, int64(m.ValueSize), "the value", func(i int64, c cell) bool {
		switch {
		case i < next:
			return true
		case c.v.kind == kConst:
			if r != rBlob || byte(c.v.n) != p.blob[off+i] {
				u.Patches = append(u.Patches, Patch{int(i), byte(c.v.n)})
			}
			return true
		case m.Type != uapi.MapTypeStructOps:
			return p.bad(pc, fmt.Sprintf("byte %d of the value", i), c.v)
		}
		prog, ok := fd(i, aProgram)
		if !ok {
			return false
		}
		u.Puts = append(u.Puts, Put{int(i), nil, prog.prog})
		next = i + 4
		return true
	})
}

func (a *attribute) mapFreeze() *call {
	c := a.only(frozenMap, aMap)
	if c == nil {
		a.needs(frozenMap)
		return nil
	}
	return &call{text: fmt.Sprintf("the freezing of map %q", c.m.Name), of: c}
}

func (a *attribute) btfLoad() *call {
	a.log(btfLogLevel, ctxLogLevel)
	a.log(btfLogSize, ctxLogSize)
	a.log(btfLogBuf, ctxLogBuf)
	b := &BTF{Data: a.constants(btfData, int64(a.u32(btfSize)))}
	a.out(btfLogTrue)
	return &call{makes: aBTF, text: "BTF", btf: b}
}

func (a *attribute) progLoad() *call {
	pr := &Program{
		Type: uapi.ProgType(a.u32(progType)), Flags: uapi.ProgFlags(a.u32(progFlags)), AttachType: uapi.AttachType(a.u32(progAttachType)), Name: a.text(progName),
		IfIndex: a.u32(progIfIndex), Ctx: -1,
	}
	a.u32(progVersion)
	a.log(progLogLevel, ctxLogLevel)
	a.log(progLogSize, ctxLogSize)
	a.log(progLogBuf, ctxLogBuf)
	pr.License = a.cstring(progLicense)
	records := func(count, size, data field) Records {
		n, rec := a.u32(count), a.u32(size)
		total := int64(n) * int64(rec)
		return Records{Count: n, Size: rec, Data: a.constants(data, total)}
	}
	pr.FuncInfo = records(progFuncCnt, progFuncRec, progFunc)
	pr.LineInfo = records(progLineCnt, progLineRec, progLine)
	pr.CORE = records(progCORECnt, progCORERec, progCORE)
	if c := a.only(progBTF, aBTF); c != nil {
		pr.BTF = c.btf
	}
	module := a.descriptor(progAttachBTF, aModule)
	switch c := a.found(progAttachID); {
	case c != nil && a.p.isModuleOf(module, c):
		pr.AttachTo = c.text
	case c != nil, !module.is(0):
		a.bad(progAttachBTF, module)
	}
	insns, fdArray := a.value(progInsns), a.value(progFDArray)
	count := int64(a.u32(progInsnCnt))
	a.out(progLogTrue)
	c := &call{makes: aProgram, text: fmt.Sprintf("program %q", pr.Name), prog: pr}
	if !a.ok {
		return c
	}
	r, off, ok := a.p.source(a.pc, insns, count*insn.Size, "the instructions")
	switch {
	case !ok:
		a.ok = false
	case r != rBlob || count == 0:
		a.p.add(UnknownPointer, a.pc, "the instructions of program %q are not in the blob, or none", pr.Name)
		a.ok = false
	default:
		pr.Insns = bundle.Range{Offset: uint32(off), Size: uint32(count * insn.Size)}
		a.ok = a.p.programInsns(a.pc, a.s, pr, fdArray)
	}
	return c
}

// isTrial reports whether a program can be one that tells of a kernel function's prototype: one for before or after that function, which
// refers to nothing. Loading it does nothing; it is never attached, since a loader has no command for that.
func isTrial(pr *Program) bool {
	switch pr.AttachType {
	case uapi.AttachTraceFentry, uapi.AttachTraceFexit:
	default:
		return false
	}
	plain := pr.Flags == 0 && pr.IfIndex == 0 && pr.BTF == nil && len(pr.Refs) == 0
	return pr.Type == uapi.ProgTypeTracing && plain && strings.HasPrefix(pr.AttachTo, kindName(int64(btf.Func))+" ")
}

// cstring is the text at a field's address.
func (a *attribute) cstring(f field) string {
	const maxText = 128 // strncpy_from_bpfptr of the license in bpf_prog_load, kernel/bpf/syscall.c
	v := a.value(f)
	if v.kind != kPtr {
		a.bad(f, v)
		return ""
	}
	n := min(maxText, a.p.regionSize(v.reg)-v.n)
	for i := int64(0); i < n; i++ { // no further than the NUL
		c, ok := a.p.constantBytes(a.pc, a.s, pointer(v.reg, v.n+i), 1, a.name(f))
		if !ok {
			a.ok = false
			return ""
		}
		if c[0] == 0 {
			b, _ := a.p.constantBytes(a.pc, a.s, v, i, a.name(f))
			return string(b)
		}
	}
	a.p.add(UnknownValue, a.pc, "%s has no end", a.name(f))
	a.ok = false
	return ""
}
