package proof_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Where things are in the blob of the hand-made loaders, in bytes.
const (
	atGuard    = 0
	atSlot     = 4 // of the map, which is fd_array[0], too
	atProgSlot = 8
	atState    = 12 // what an evil loader keeps from one run to the next
	atMap      = 16
	atUpdate   = 96
	atProg     = 128
	atInsns    = 272
	atOther    = 304 // other instructions
	atLicense  = 336
	atKey      = 344
	atValue    = 352
	atFormat   = 368
	blobSize   = 384
)

// handmade is a loader in the making: one array map with contents, frozen, and one program that uses it.
type handmade struct {
	order binary.ByteOrder
	insns []insn.Insn
	blob  []byte
	fails []int // jumps to the clean-up
	bad   int   // the instruction that the finding has to be about
}

func (h *handmade) emit(list ...insn.Insn) { h.insns = append(h.insns, list...) }

// evil emits an instruction that the finding has to be about.
func (h *handmade) evil(list ...insn.Insn) {
	h.bad = len(h.insns)
	h.emit(list...)
}

func mov(reg uint8, v int32) insn.Insn  { return insn.Insn{Op: insn.MovK, Dst: reg, Imm: v} }
func movR(reg, from uint8) insn.Insn    { return insn.Insn{Op: insn.MovX, Dst: reg, Src: from} }
func call(fn uapi.Helper) insn.Insn     { return insn.Insn{Op: insn.Call, Imm: int32(fn)} }
func addK(reg uint8, v int32) insn.Insn { return insn.Insn{Op: insn.AddK, Dst: reg, Imm: v} }
func ctxWord(reg uint8, at int16) insn.Insn {
	return insn.Insn{Op: insn.LoadW, Dst: reg, Src: insn.R6, Off: at}
}

func ctxLong(reg uint8, at int16) insn.Insn {
	return insn.Insn{Op: insn.LoadDW, Dst: reg, Src: insn.R6, Off: at}
}

func blobWord(reg uint8, at int16) insn.Insn {
	return insn.Insn{Op: insn.LoadW, Dst: reg, Src: insn.R8, Off: at}
}

func storeW(at int, reg uint8) insn.Insn {
	return insn.Insn{Op: insn.StoreW, Dst: insn.R8, Src: reg, Off: int16(at)}
}

func storeLong(at int, reg uint8) insn.Insn {
	return insn.Insn{Op: insn.StoreDW, Dst: insn.R8, Src: reg, Off: int16(at)}
}

// pointer stores the address of a place in the blob.
func (h *handmade) pointer(field, to int) {
	h.emit(movR(insn.R1, insn.R8), addK(insn.R1, int32(to)), storeLong(field, insn.R1))
}

// sys calls bpf(2), and the clean-up if it fails.
func (h *handmade) sys(cmd uapi.Cmd, attr, size int) (at int) {
	h.emit(mov(insn.R1, int32(cmd)), movR(insn.R2, insn.R8), addK(insn.R2, int32(attr)), mov(insn.R3, int32(size)))
	at = len(h.insns)
	h.emit(call(uapi.HelperSysBPF))
	h.orFail()
	return at
}

func (h *handmade) orFail() {
	h.fails = append(h.fails, len(h.insns))
	h.emit(insn.Insn{Op: insn.JsltK, Dst: insn.R0})
}

// step is a part of the loader that an evil one may have otherwise.
type step string

const (
	atStart    step = "start" // behind the checks
	guarded    step = "guarded"
	createMap  step = "create"
	keepMap    step = "keep"
	fillMap    step = "fill"
	freezeMap  step = "freeze"
	loadProg   step = "load"
	keepProg   step = "keep program"
	succeed    step = "succeed"
	cleanUp    step = "clean up"
	refuseExit step = "refuse" // what a map-hash loader returns when its checks fail
	tooEarly   step = "early"  // before the checks
)

// make builds the loader; change has the steps that are otherwise.
func (h *handmade) make(scheme bundle.Scheme, change map[step]func(h *handmade)) {
	do := func(s step, usual func()) {
		if f := change[s]; f != nil {
			f(h)
		} else {
			usual()
		}
	}
	h.emit(movR(insn.R6, insn.R1))
	do(tooEarly, func() {})
	if scheme == bundle.MapHash {
		h.checks(func() { do(refuseExit, func() { h.emit(mov(insn.R0, -22)) }) })
	}
	h.emit(insn.Insn{Op: insn.LoadImm64, Dst: insn.R8, Src: insn.PseudoMapIdxValue}, insn.Insn{})
	do(guarded, func() {
		h.emit(mov(insn.R1, 1), insn.Insn{Op: insn.AtomicW, Dst: insn.R8, Src: insn.R1, Off: atGuard, Imm: insn.AtomicXchg},
			insn.Insn{Op: insn.JeqK, Dst: insn.R1, Off: 2}, mov(insn.R0, -114), insn.Insn{Op: insn.Exit})
	})
	do(atStart, func() {})
	do(createMap, func() { h.sys(uapi.CmdMapCreate, atMap, 72) })
	do(keepMap, func() {
		h.emit(storeW(atSlot, insn.R0), insn.Insn{Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 24}, storeW(atUpdate, insn.R0))
	})
	do(fillMap, func() {
		h.pointer(atUpdate+uapi.MapUpdateKey, atKey)
		h.pointer(atUpdate+uapi.MapUpdateValue, atValue)
		h.sys(uapi.CmdMapUpdateElem, atUpdate, 32)
	})
	do(freezeMap, func() { h.sys(uapi.CmdMapFreeze, atSlot, 4) })
	do(loadProg, func() {
		h.program(func() { h.pointer(atProg+uapi.ProgLoadInsns, atInsns) })
		if at := h.sys(uapi.CmdProgLoad, atProg, 140); h.bad == -1 {
			h.bad = at
		}
	})
	do(keepProg, func() {
		h.emit(storeW(atProgSlot, insn.R0), insn.Insn{Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 28})
	})
	do(succeed, func() { h.emit(mov(insn.R0, 0)) })
	h.emit(insn.Insn{Op: insn.Exit})
	for _, at := range h.fails {
		h.insns[at].Off = int16(len(h.insns) - at - 1)
	}
	h.emit(movR(insn.R7, insn.R0))
	do(cleanUp, func() {
		for _, at := range []int16{atSlot, atProgSlot} {
			h.emit(blobWord(insn.R1, at), call(uapi.HelperSysClose))
		}
	})
	h.emit(movR(insn.R0, insn.R7), insn.Insn{Op: insn.Exit})
}

// program fills in the attributes of the program; insns the address of the instructions.
func (h *handmade) program(insns func()) {
	insns()
	h.pointer(atProg+uapi.ProgLoadLicense, atLicense)
	h.pointer(atProg+uapi.ProgLoadFDArray, atSlot)
	h.emit(ctxLong(insn.R4, 8), storeLong(atProg+uapi.ProgLoadLogLevel, insn.R4), ctxLong(insn.R5, 16), storeLong(atProg+uapi.ProgLoadLogBuf, insn.R5))
}

// checks emits those of a map-hash loader; refuse sets R0 when one fails.
func (h *handmade) checks(refuse func()) {
	sum := sha256.Sum256(h.blob)
	h.emit(insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, insn.Insn{},
		insn.Insn{Op: insn.LoadW, Dst: insn.R2, Src: insn.R1, Off: uapi.BPFMapExcl})
	jumps := []int{len(h.insns)}
	h.emit(insn.Insn{Op: insn.JneK, Dst: insn.R2, Imm: 1})
	for i := 0; i < len(sum); i += 8 {
		word := h.order.Uint64(sum[i:])
		h.emit(insn.Insn{Op: insn.LoadDW, Dst: insn.R2, Src: insn.R1, Off: int16(i)},
			insn.Insn{Op: insn.LoadImm64, Dst: insn.R3, Imm: int32(word)}, insn.Insn{Imm: int32(word >> 32)})
		jumps = append(jumps, len(h.insns))
		h.emit(insn.Insn{Op: insn.JneX, Dst: insn.R2, Src: insn.R3})
	}
	over := len(h.insns)
	h.emit(insn.Insn{Op: insn.Ja})
	for _, at := range jumps {
		h.insns[at].Off = int16(len(h.insns) - at - 1)
	}
	refuse()
	h.emit(insn.Insn{Op: insn.Exit})
	h.insns[over].Off = int16(len(h.insns) - over - 1)
}

// newHandmade fills the blob.
func newHandmade(order binary.ByteOrder) *handmade {
	h := &handmade{order: order, blob: make([]byte, blobSize), bad: -1}
	u32 := func(at int, v uint32) { order.PutUint32(h.blob[at:], v) }
	u32(atSlot, 0xffffffff)
	u32(atProgSlot, 0xffffffff)
	u32(atMap+uapi.MapCreateType, uint32(uapi.MapTypeArray))
	u32(atMap+uapi.MapCreateKeySize, 4)
	u32(atMap+uapi.MapCreateValueSize, 8)
	u32(atMap+uapi.MapCreateMaxEntries, 1)
	copy(h.blob[atMap+uapi.MapCreateName:], "table")
	u32(atProg+uapi.ProgLoadType, uint32(uapi.ProgTypeSocketFilter))
	u32(atProg+uapi.ProgLoadInsnCnt, 4)
	copy(h.blob[atProg+uapi.ProgLoadName:], "filter")
	for _, at := range []int{atInsns, atOther} {
		copy(h.blob[at:], insn.Append(nil, order, insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, insn.Insn{}, mov(insn.R0, int32(at)),
			insn.Insn{Op: insn.Exit}))
	}
	copy(h.blob[atLicense:], "GPL")
	copy(h.blob[atValue:], "contents")
	copy(h.blob[atFormat:], "%s\x00")
	return h
}

// evilLoaders are the ways in which a loader may do what the host wants, or something else than it seems to.
var evilLoaders = []struct {
	name   string
	want   proof.ID
	blob   func(h *handmade)
	change map[step]func(h *handmade)
	scheme bundle.Scheme // 0 for all
}{
	{name: "instructions in the context", want: proof.HostMemory, change: map[step]func(h *handmade){loadProg: func(h *handmade) {
		h.program(func() {
			h.emit(movR(insn.R1, insn.R6), addK(insn.R1, 32), storeLong(atProg+uapi.ProgLoadInsns, insn.R1))
		})
		h.bad = h.sys(uapi.CmdProgLoad, atProg, 140)
	}}},
	{name: "contents in the context", want: proof.HostMemory, change: map[step]func(h *handmade){fillMap: func(h *handmade) {
		h.pointer(atUpdate+uapi.MapUpdateKey, atKey)
		h.emit(movR(insn.R1, insn.R6), addK(insn.R1, 32), storeLong(atUpdate+uapi.MapUpdateValue, insn.R1))
		h.bad = h.sys(uapi.CmdMapUpdateElem, atUpdate, 32)
	}}},
	{name: "max_entries from log_size", want: proof.HostContext, change: map[step]func(h *handmade){createMap: func(h *handmade) {
		h.emit(ctxWord(insn.R1, 12), storeW(atMap+uapi.MapCreateMaxEntries, insn.R1))
		h.bad = h.sys(uapi.CmdMapCreate, atMap, 72)
	}}},
	{name: "max_entries from log_size if that is not zero", want: proof.HostContext, change: map[step]func(h *handmade){createMap: func(h *handmade) {
		h.emit(ctxWord(insn.R1, 12))
		h.evil(insn.Insn{Op: insn.JeqK, Dst: insn.R1, Off: 1})
		h.emit(storeW(atMap+uapi.MapCreateMaxEntries, insn.R1))
		h.sys(uapi.CmdMapCreate, atMap, 72)
	}}},
	{name: "other instructions for a magic log_level", want: proof.HostContext, change: map[step]func(h *handmade){loadProg: func(h *handmade) {
		h.program(func() {
			h.pointer(atProg+uapi.ProgLoadInsns, atInsns)
			h.emit(ctxWord(insn.R1, 8))
			h.evil(insn.Insn{Op: insn.JneK, Dst: insn.R1, Imm: 4711, Off: 3})
			h.emit(movR(insn.R1, insn.R8), addK(insn.R1, atOther), storeLong(atProg+uapi.ProgLoadInsns, insn.R1))
		})
		h.sys(uapi.CmdProgLoad, atProg, 140)
	}}},
	{name: "a constant descriptor in an instruction", want: proof.HostDescriptor, blob: func(h *handmade) {
		insn.Put(h.blob[atInsns:], h.order, insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapFD, Imm: 5})
	}},
	{name: "a constant descriptor in fd_array", want: proof.HostDescriptor, blob: func(h *handmade) { h.order.PutUint32(h.blob[atState:], 5) },
		change: map[step]func(h *handmade){loadProg: func(h *handmade) {
			h.program(func() { h.pointer(atProg+uapi.ProgLoadInsns, atInsns) })
			h.pointer(atProg+uapi.ProgLoadFDArray, atState)
			h.bad = h.sys(uapi.CmdProgLoad, atProg, 140)
		}}},
	{name: "a constant descriptor to freeze", want: proof.HostDescriptor, blob: func(h *handmade) { h.order.PutUint32(h.blob[atState:], 5) },
		change: map[step]func(h *handmade){freezeMap: func(h *handmade) { h.bad = h.sys(uapi.CmdMapFreeze, atState, 4) }}},
	{name: "log_buf as instructions", want: proof.HostContext, change: map[step]func(h *handmade){loadProg: func(h *handmade) {
		h.program(func() { h.emit(ctxLong(insn.R1, 16), storeLong(atProg+uapi.ProgLoadInsns, insn.R1)) })
		h.bad = h.sys(uapi.CmdProgLoad, atProg, 140)
	}}},
	{name: "log_buf as contents", want: proof.HostContext, change: map[step]func(h *handmade){fillMap: func(h *handmade) {
		h.pointer(atUpdate+uapi.MapUpdateKey, atKey)
		h.emit(ctxLong(insn.R1, 16), storeLong(atUpdate+uapi.MapUpdateValue, insn.R1))
		h.bad = h.sys(uapi.CmdMapUpdateElem, atUpdate, 32)
	}}},
	{name: "log_size as log_level", want: proof.HostContext, change: map[step]func(h *handmade){loadProg: func(h *handmade) {
		h.program(func() { h.pointer(atProg+uapi.ProgLoadInsns, atInsns) })
		h.emit(ctxWord(insn.R1, 12), storeW(atProg+uapi.ProgLoadLogLevel, insn.R1))
		h.bad = h.sys(uapi.CmdProgLoad, atProg, 140)
	}}},
	{name: "a map by an id from the context", want: proof.UnknownCommand, change: map[step]func(h *handmade){createMap: func(h *handmade) {
		h.emit(ctxWord(insn.R1, 12), storeW(atMap, insn.R1))
		h.bad = h.sys(uapi.CmdMapGetFDByID, atMap, 12)
	}}},
	{name: "a map by a constant id", want: proof.UnknownCommand, change: map[step]func(h *handmade){createMap: func(h *handmade) {
		h.bad = h.sys(uapi.CmdMapGetFDByID, atMap, 12)
	}}},
	{name: "a command from the context", want: proof.UnknownCommand, change: map[step]func(h *handmade){createMap: func(h *handmade) {
		h.emit(ctxWord(insn.R1, 8), movR(insn.R2, insn.R8), addK(insn.R2, atMap), mov(insn.R3, 72))
		h.evil(call(uapi.HelperSysBPF))
		h.orFail()
	}}},
	{name: "other instructions in a second run", want: proof.SecondRun, change: map[step]func(h *handmade){
		guarded: func(h *handmade) {},
		loadProg: func(h *handmade) {
			h.program(func() {
				h.pointer(atProg+uapi.ProgLoadInsns, atInsns)
				h.emit(blobWord(insn.R1, atState), insn.Insn{Op: insn.JneK, Dst: insn.R1, Imm: 1, Off: 3})
				h.emit(movR(insn.R1, insn.R8), addK(insn.R1, atOther), storeLong(atProg+uapi.ProgLoadInsns, insn.R1))
				h.emit(insn.Insn{Op: insn.StoreIW, Dst: insn.R8, Off: atState, Imm: 1})
			})
			h.sys(uapi.CmdProgLoad, atProg, 140)
			h.bad = -2
		},
	}},
	{name: "the first run's map in a second run", want: proof.SecondRun, change: map[step]func(h *handmade){
		guarded: func(h *handmade) {},
		createMap: func(h *handmade) { // unless there is one
			h.emit(blobWord(insn.R0, atSlot), insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Imm: -1}, insn.Insn{},
				insn.Insn{Op: insn.JneX, Dst: insn.R0, Src: insn.R1, Off: 6})
			h.insns[len(h.insns)-2] = insn.Insn{} // 0xffffffff
			h.sys(uapi.CmdMapCreate, atMap, 72)
			h.bad = -2
		},
	}},
	{name: "a state that is kept although there is a guard", want: proof.SecondRun, change: map[step]func(h *handmade){
		guarded: func(h *handmade) {
			h.emit(insn.Insn{Op: insn.StoreIW, Dst: insn.R8, Off: atState, Imm: 1}, mov(insn.R1, 1))
			h.evil(insn.Insn{Op: insn.AtomicW, Dst: insn.R8, Src: insn.R1, Off: atGuard, Imm: insn.AtomicXchg})
			h.emit(insn.Insn{Op: insn.JeqK, Dst: insn.R1, Off: 2}, mov(insn.R0, -114), insn.Insn{Op: insn.Exit})
		},
	}},
	{name: "a refusal that the host does not see", want: proof.RefusalSucceeds, scheme: bundle.MapHash, change: map[step]func(h *handmade){
		refuseExit: func(h *handmade) {
			h.emit(insn.Insn{Op: insn.LoadImm64, Dst: insn.R0}, insn.Insn{Imm: -1})
			h.bad = len(h.insns)
		},
	}},
	{name: "an error that the host does not see", want: proof.IgnoredFailure, change: map[step]func(h *handmade){
		cleanUp: func(h *handmade) {
			for _, at := range []int16{atSlot, atProgSlot} {
				h.emit(blobWord(insn.R1, at), call(uapi.HelperSysClose))
			}
			h.emit(insn.Insn{Op: insn.LoadImm64, Dst: insn.R7}, insn.Insn{Imm: -1})
			h.bad = -2
		},
	}},
	{name: "a string at a host's address, printed before the checks", want: proof.NoExclusivityCheck, scheme: bundle.MapHash, change: map[step]func(h *handmade){
		tooEarly: func(h *handmade) {
			h.emit(insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdxValue}, insn.Insn{Imm: atFormat}, mov(insn.R2, 3))
			h.evil(ctxLong(insn.R3, 16))
			h.emit(call(uapi.HelperTracePrintk))
		},
	}},
	{name: "a string at a host's address", want: proof.HostMemory, change: map[step]func(h *handmade){atStart: func(h *handmade) {
		h.emit(movR(insn.R1, insn.R8), addK(insn.R1, atFormat), mov(insn.R2, 3), ctxLong(insn.R3, 16))
		h.evil(call(uapi.HelperTracePrintk))
	}}},
	{name: "user memory", want: proof.HostMemory, change: map[step]func(h *handmade){fillMap: func(h *handmade) {
		h.emit(movR(insn.R1, insn.R8), addK(insn.R1, atValue), mov(insn.R2, 8), ctxLong(insn.R3, 16))
		h.evil(call(uapi.HelperCopyFromUser))
	}}},
	{name: "kernel memory", want: proof.HostMemory, change: map[step]func(h *handmade){fillMap: func(h *handmade) {
		h.emit(movR(insn.R1, insn.R8), addK(insn.R1, atValue), mov(insn.R2, 8), movR(insn.R3, insn.R6))
		h.evil(call(uapi.HelperProbeReadKernel))
	}}},
	{name: "attributes in the context", want: proof.HostMemory, change: map[step]func(h *handmade){createMap: func(h *handmade) {
		h.emit(mov(insn.R1, int32(uapi.CmdMapCreate)), movR(insn.R2, insn.R6), mov(insn.R3, 72))
		h.evil(call(uapi.HelperSysBPF))
		h.orFail()
	}}},
	{name: "a name in the context", want: proof.HostMemory, change: map[step]func(h *handmade){atStart: func(h *handmade) {
		h.emit(movR(insn.R1, insn.R6), mov(insn.R2, 8), mov(insn.R3, 12), mov(insn.R4, 0))
		h.evil(call(uapi.HelperBTFFindByNameKind))
	}}},
	{name: "a descriptor from the context", want: proof.HostContext, change: map[step]func(h *handmade){freezeMap: func(h *handmade) {
		h.evil(ctxWord(insn.R1, 24+8))
		h.emit(storeW(atState, insn.R1))
		h.sys(uapi.CmdMapFreeze, atState, 4)
	}}},
	{name: "a failed update that is ignored", want: proof.IgnoredFailure, change: map[step]func(h *handmade){fillMap: func(h *handmade) {
		h.pointer(atUpdate+uapi.MapUpdateKey, atKey)
		h.pointer(atUpdate+uapi.MapUpdateValue, atValue)
		h.emit(mov(insn.R1, int32(uapi.CmdMapUpdateElem)), movR(insn.R2, insn.R8), addK(insn.R2, atUpdate), mov(insn.R3, 32))
		h.evil(call(uapi.HelperSysBPF))
	}}},
	{name: "a descriptor that the context does not show", want: proof.LostDescriptor, change: map[step]func(h *handmade){
		keepProg: func(h *handmade) { h.emit(storeW(atProgSlot, insn.R0)); h.bad = len(h.insns) + 1 },
	}},
	{name: "a token", want: proof.UnknownAttribute, blob: func(h *handmade) { h.order.PutUint32(h.blob[atMap+uapi.MapCreateTokenFD:], 5) },
		change: map[step]func(h *handmade){createMap: func(h *handmade) { h.bad = h.sys(uapi.CmdMapCreate, atMap, 80) }}},
	{name: "a loop", want: proof.Loop, change: map[step]func(h *handmade){atStart: func(h *handmade) {
		h.emit(mov(insn.R1, 9), addK(insn.R1, -1))
		h.evil(insn.Insn{Op: insn.JneK, Dst: insn.R1, Off: -2})
	}}},
}

// forAll runs a test for the schemes and byte orders.
func forAll(t *testing.T, only bundle.Scheme, test func(t *testing.T, s bundle.Scheme, order binary.ByteOrder)) {
	for _, s := range bundle.Schemes {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			if only == 0 || only == s {
				t.Run(fmt.Sprintf("%v %v", s, order), func(t *testing.T) { test(t, s, order) })
			}
		}
	}
}

// The loader that the evil ones are made from is proven, and makes what it should.
func TestHandmade(t *testing.T) {
	forAll(t, 0, func(t *testing.T, s bundle.Scheme, order binary.ByteOrder) {
		h := newHandmade(order)
		h.make(s, nil)
		res := proof.Loader(s, order, insn.Append(nil, order, h.insns...), h.blob)
		qt.Assert(t, qt.HasLen(res.Findings, 0))
		qt.Check(t, qt.IsTrue(res.Guarded))
		qt.Check(t, qt.DeepEquals(res.Made.Lines(), []string{
			`map "table": array, key 4, value 8, entries 1, flags none, extra 0x0, at 24 of the context`,
			`map "table"[00000000] = 8 bytes at 352`,
			`map "table" is frozen`,
			`program "filter": socket_filter, flags none, attach type cgroup_inet_ingress, license "GPL", 4 instructions at 272; 0: map "table", at 28 of the context`,
		}))
	})
}

// Each evil loader is rejected, with the reason and the instruction.
func TestEvil(t *testing.T) {
	for _, e := range evilLoaders {
		t.Run(e.name, func(t *testing.T) {
			forAll(t, e.scheme, func(t *testing.T, s bundle.Scheme, order binary.ByteOrder) {
				h := newHandmade(order)
				if e.blob != nil {
					e.blob(h)
				}
				h.make(s, e.change)
				res := proof.Loader(s, order, insn.Append(nil, order, h.insns...), h.blob)
				qt.Check(t, qt.IsFalse(res.Proven()))
				qt.Check(t, qt.IsTrue(slices.ContainsFunc(res.Findings, func(f proof.Finding) bool {
					return f.ID == e.want && !f.Note && (h.bad == -2 || f.PC == h.bad)
				})), qt.Commentf("want %s at %d: %v", e.want, h.bad, res.Findings))
			})
		})
	}
}
