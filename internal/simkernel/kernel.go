// Package simkernel runs gen-loaders without a kernel: an interpreter for their BPF instructions, with a model of what
// the kernel does for and against them behind it.
//
// It is strict where a kernel is, and stricter: an access outside of the blob, the stack or the context, a register or
// stack byte without a value, an unknown helper, a descriptor that is closed twice or left open is a fault with the number
// of the instruction. What it does not model is the programs that a loader loads: their attributes are decoded and
// checked, their instructions are not verified.
package simkernel

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// Config describes a kernel, and what goes wrong on it.
type Config struct {
	Attest Attestation
	// BigEndian says that it is one for a big-endian machine.
	BigEndian bool
	// Verify checks a signature over signed; nil takes any.
	Verify func(signed, signature []byte, keyring int32) Errno
	// Lookup says whether the kernel knows a name, as a BTF type of that kind or, for kind 0, in kallsyms, and which module
	// has it, if one has. nil knows all names, in the kernel itself.
	Lookup func(name string, kind uint32) (module string, found bool)
	// Prototype is what the kernel's function of a name takes and returns, nil if any prototype is fine. A nil function knows none.
	Prototype func(name string) *Prototype
	// User is what bpf_copy_from_user can read, by address.
	User map[uint64][]byte
	// Seed chooses the numbers of descriptors.
	Seed uint64
	// FailCall makes a loader's n-th call that may fail (Event.N) fail, with FailErrno or ENOMEM. 0 for none.
	FailCall  int
	FailErrno Errno
	// MaxSteps is after how many instructions a program that has not ended is at fault; 0 for some millions.
	MaxSteps int
}

// Kernel is a simulated kernel as one process sees it.
type Kernel struct {
	Config
	fds     fdTable
	symbols map[symbolKey]*Symbol
	user    memory
}

type symbolKey struct {
	name string
	kind uint32
}

// New boots a kernel.
func New(cfg Config) *Kernel {
	k := &Kernel{Config: cfg, fds: newFDTable(cfg.Seed), symbols: map[symbolKey]*Symbol{}}
	for addr, data := range cfg.User {
		k.user.add(&region{name: "user memory", base: addr, data: data})
	}
	return k
}

func (k *Kernel) bigEndian() bool { return k.Config.BigEndian }

func (k *Kernel) order() binary.ByteOrder {
	if k.Config.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// firstID is the BTF id of the first type that a loader asks for.
const firstID = 1000

// symbol looks a name up. What is not found has a symbol too, to say what was looked for.
func (k *Kernel) symbol(name string, kind uint32) (*Symbol, bool) {
	key := symbolKey{name, kind}
	if s := k.symbols[key]; s != nil {
		return s, true
	}
	s := &Symbol{Name: name, Kind: kind}
	if k.Lookup != nil {
		var found bool
		if s.Module, found = k.Lookup(name, kind); !found {
			return s, false
		}
	}
	n := uint32(len(k.symbols))
	s.id, s.addr = firstID+n, ksymBase+uint64(n)*64
	k.symbols[key] = s
	return s, true
}

func (k *Kernel) symbolByID(id uint32, module string) *Symbol {
	for _, s := range k.symbols {
		if s.id == id && s.Kind != 0 && s.Module == module {
			return s
		}
	}
	return nil
}

// symbolByFD finds a type by its id and the descriptor of its BTF, 0 for the kernel's.
func (k *Kernel) symbolByFD(id, fd int32) (*Symbol, Errno) {
	module := ""
	if fd != 0 {
		btf, e := get[*BTF](&k.fds, fd)
		if e != 0 {
			return nil, e
		}
		module = btf.Module
	}
	s := k.symbolByID(uint32(id), module)
	if s == nil {
		return nil, EINVAL
	}
	return s, 0
}

func (k *Kernel) symbolByAddr(addr uint64) *Symbol {
	for _, s := range k.symbols {
		if s.addr == addr && s.Kind == 0 {
			return s
		}
	}
	return nil
}

// CreateMap creates a map for the loading process. Of m it takes the attributes; arrays of one element get its value
// from updateMap.
func (k *Kernel) CreateMap(m *Map) (fd int32, e Errno) {
	if e := m.check(); e != 0 {
		return 0, e
	}
	if m.ExclProgHash != nil && len(m.ExclProgHash) != sha256.Size {
		return 0, EINVAL
	}
	if m.Type == mapArray && m.MaxEntries == 1 {
		m.value = make([]byte, (int(m.ValueSize)+7)&^7)
	}
	return k.fds.add(file{object: m, host: true}), 0
}

// updateMap sets the value of an array of one element.
func (k *Kernel) updateMap(fd int32, value []byte) Errno {
	m, e := get[*Map](&k.fds, fd)
	switch {
	case e != 0:
		return e
	case m.Frozen:
		return EPERM
	case len(value) != int(m.ValueSize):
		return EFAULT
	}
	copy(m.value, value)
	return 0
}

// freezeMap is BPF_MAP_FREEZE.
func (k *Kernel) freezeMap(fd int32) Errno {
	m, e := get[*Map](&k.fds, fd)
	switch {
	case e != 0:
		return e
	case m.Frozen:
		return EBUSY
	}
	m.Frozen = true
	return 0
}

// hashMap is BPF_OBJ_GET_INFO_BY_FD with a place for the hash. The digest covers the kernel's array, whose elements are a
// multiple of 8 bytes long.
func (k *Kernel) hashMap(fd int32) (sha [sha256.Size]byte, e Errno) {
	m, e := get[*Map](&k.fds, fd)
	switch {
	case e != 0:
		return sha, e
	case m.value == nil:
		return sha, EINVAL
	case !m.Frozen:
		return sha, EPERM
	}
	m.sha = sha256.Sum256(m.value)
	return m.sha, 0
}

// rewriteMap is what another BPF program can do, the one with the digest prog: change the value of a map that is frozen
// for everyone but programs. Of an exclusive map that is not its own the kernel does not let it get hold.
func (k *Kernel) rewriteMap(fd int32, prog [sha256.Size]byte, rewrite func(value []byte)) Errno {
	m, e := get[*Map](&k.fds, fd)
	switch {
	case e != 0:
		return e
	case m.ExclProgHash != nil && !slices.Equal(m.ExclProgHash, prog[:]):
		return EACCES
	}
	rewrite(m.value[:m.ValueSize])
	return 0
}

// LoadAttr is what BPF_PROG_LOAD is told of a gen-loader.
type LoadAttr struct {
	Insns []byte
	// FDArray holds the descriptors of maps. FDArrayCnt is their number where the array is declared continuous, else 0.
	FDArray    []int32
	FDArrayCnt int
	// Signature, if not nil, is the signature.
	Signature []byte
	Keyring   int32
}

// Load loads a gen-loader. The text says why it was refused, in the words of this package.
func (k *Kernel) Load(a LoadAttr) (fd int32, e Errno, why string) {
	l, e, why := k.load(a)
	if e != 0 {
		return 0, e, why
	}
	return k.fds.add(file{object: l, host: true}), 0, ""
}

func (k *Kernel) load(a LoadAttr) (l *loader, e Errno, why string) {
	model, err := k.model()
	if err != nil {
		return nil, EOPNOTSUPP, err.Error()
	}
	payload := a.Signature != nil && model.checksPayload
	insns, err := insn.Decode(a.Insns, k.order())
	switch {
	case err != nil:
		return nil, EINVAL, err.Error()
	case len(insns) == 0 || len(insns) > bundle.MaxInsns:
		return nil, E2BIG, fmt.Sprintf("%d instructions", len(insns))
	case a.Signature != nil && len(a.Signature) > bundle.MaxSignature, payload && len(a.Signature) == 0:
		return nil, EINVAL, fmt.Sprintf("a signature of %d bytes", len(a.Signature))
	}
	if a.Signature != nil && !payload {
		if e := k.verify(a.Insns, a); e != 0 {
			return nil, e, "the signature is not one of the instructions"
		}
	}

	used := a.FDArray
	if payload {
		used = used[:min(a.FDArrayCnt, len(used))]
	}
	var maps []*Map
	for _, fd := range used {
		m, e := get[*Map](&k.fds, fd)
		switch {
		case payload && e == EINVAL:
			return nil, EACCES, "a signed program may have no BTF in its fd_array"
		case e != 0:
			return nil, e, "fd_array holds what is no map"
		case m.ExclProgHash != nil && a.Signature == nil && a.FDArrayCnt > 0:
			// It is compared with the program's digest, which is not computed yet.
			return nil, EACCES, fmt.Sprintf("map %q is exclusive, and a program without a signature may not bind it by a continuous fd_array", m.Name)
		case m.ExclProgHash != nil && sha256.Sum256(a.Insns) != [sha256.Size]byte(m.ExclProgHash):
			return nil, EACCES, fmt.Sprintf("map %q is exclusive to another program", m.Name)
		}
		maps = append(maps, m)
	}
	if payload {
		if e, why := k.verifyPayload(a, maps); e != 0 {
			return nil, e, why
		}
	}
	for _, in := range insns {
		if in.IsLoadImm64() && (in.Src == insn.PseudoMapIdx || in.Src == insn.PseudoMapIdxValue) &&
			(in.Imm < 0 || int(in.Imm) >= len(maps)) {
			if payload && a.FDArrayCnt == 0 {
				return nil, EACCES, "a signed program's fd_array must be continuous"
			}
			return nil, EPROTO, fmt.Sprintf("fd_array has no element %d", in.Imm)
		}
	}
	if len(maps) != 1 || maps[0].value == nil {
		return nil, EINVAL, "a loader has one map, an array of one element"
	}
	if e, why := checkInsns(insns, maps[0], payload); e != 0 {
		return nil, e, why
	}
	return &loader{slices.Clone(a.Insns), maps[0]}, 0, ""
}

// checkInsns is the part of the verifier that looks at instructions one by one.
func checkInsns(insns []insn.Insn, meta *Map, payload bool) (Errno, string) {
	bad := func(i int, format string, args ...any) (Errno, string) {
		return EINVAL, fmt.Sprintf("instruction %d (%v): %s", i, insns[i], fmt.Sprintf(format, args...))
	}
	second := secondSlots(insns)
	for i := 0; i < len(insns); i++ {
		in := insns[i]
		if in.IsLoadImm64() {
			if i+1 == len(insns) {
				return bad(i, "half an instruction")
			}
			next := insns[i+1]
			switch {
			case next.Op != 0 || next.Dst != 0 || next.Src != 0 || next.Off != 0 || in.Off != 0:
				return bad(i, "not a 64-bit load")
			case in.Src == insn.PseudoMapIdx && next.Imm != 0:
				return bad(i, "an offset in a map's descriptor")
			case in.Src == insn.PseudoMapIdxValue && uint32(next.Imm) >= meta.ValueSize:
				return bad(i, "offset %d in a map of %d bytes", uint32(next.Imm), meta.ValueSize)
			case in.Src != insn.PseudoNone && in.Src != insn.PseudoMapIdx && in.Src != insn.PseudoMapIdxValue:
				return bad(i, "a loader's maps come from its fd_array")
			}
			i++
			continue
		}
		if reserved(in) {
			return bad(i, "reserved fields are not zero")
		}
		if !in.Class().IsJump() {
			continue
		}
		switch op := in.JumpOp(); {
		case op == insn.JumpExit:
		case op == insn.JumpCall && in.Src == insn.CallHelper:
			if _, ok := helpers[in.Imm]; !ok {
				return bad(i, "unknown helper")
			}
		default:
			to := i + 1 + int(in.Off)
			if op == insn.JumpCall || op == insn.JumpAlways && in.Op == insn.JaLong {
				to = i + 1 + int(in.Imm)
			}
			if to < 0 || to >= len(insns) || second[to] {
				return bad(i, "no instruction begins at %d", to)
			}
		}
	}
	if last := insns[len(insns)-1].Op; last != insn.Exit && last != insn.Ja && last != insn.JaLong {
		return bad(len(insns)-1, "the last instruction is neither exit nor jump")
	}
	return 0, ""
}

// reserved says whether a field of an instruction that it has no use for is not zero.
func reserved(in insn.Insn) bool {
	class, register := in.Class(), in.SourceIsReg()
	switch class {
	case insn.ClassLDX:
		return in.Imm != 0
	case insn.ClassST:
		return in.Src != 0
	case insn.ClassSTX:
		return in.Imm != 0 && in.Mode() == insn.ModeMem
	case insn.ClassALU, insn.ClassALU64:
		switch op := in.ALUOp(); {
		case op == insn.ALUNeg:
			return register || in.Src != 0 || in.Off != 0 || in.Imm != 0
		case op == insn.ALUEnd:
			return in.Src != 0 || in.Off != 0
		case in.Off != 0 && op != insn.ALUMov && op != insn.ALUDiv && op != insn.ALUMod:
			return true
		}
	case insn.ClassJMP, insn.ClassJMP32:
		narrow := class == insn.ClassJMP32
		switch in.JumpOp() {
		case insn.JumpAlways:
			return register || in.Src != 0 || in.Dst != 0 || !narrow && in.Imm != 0 || narrow && in.Off != 0
		case insn.JumpCall:
			return register || in.Dst != 0 || in.Off != 0 || narrow
		case insn.JumpExit:
			return register || in.Src != 0 || in.Dst != 0 || in.Imm != 0 || narrow
		}
	default:
		return false
	}
	if register {
		return in.Imm != 0
	}
	return in.Src != 0
}

// secondSlots marks the second slots of 64-bit loads.
func secondSlots(insns []insn.Insn) []bool {
	second := make([]bool, len(insns))
	for i := 0; i+1 < len(insns); i++ {
		if insns[i].IsLoadImm64() {
			i++
			second[i] = true
		}
	}
	return second
}
