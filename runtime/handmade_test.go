//go:build linux

package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// The loaders of these tests are assembled by hand, so that they prove something of the runtime without the generator
// that it is shipped with: one array map, one socket filter.

// Pseudo sources of LD_IMM64: include/uapi/linux/bpf.h.
const (
	pseudoMapIdx      = asm.Register(5) // BPF_PSEUDO_MAP_IDX
	pseudoMapIdxValue = asm.Register(6) // BPF_PSEUDO_MAP_IDX_VALUE
)

// Where things are in the blob of a handmade loader, in bytes.
const (
	handMapAttr  = bundle.ContractSize
	handProgAttr = handMapAttr + 72
	handInsns    = handProgAttr + 72
	handLicense  = handInsns + 16
	handEnd      = handLicense + 8
	handAttrSize = 72
)

// handmade is a loader to be assembled.
type handmade struct {
	scheme bundle.Scheme
	// unchecked leaves the check of exclusivity out, as generators did before CVE-2026-80675.
	unchecked bool
	// badProgram makes a program that the verifier refuses.
	badProgram bool
	// extraMap makes a second map, of which the bundle says nothing.
	extraMap bool
	// noEntries makes the map without room for entries, which the kernel refuses.
	noEntries bool
	// result is returned at once, if not 0.
	result int32
	// change changes the contract before the bundle is sealed and, for scheme map-hash, its digest baked in.
	change func(*bundle.Contract)
}

// handName is what this process's handmade map and program are called, unlike those of others on the same machine.
func handName() string { return fmt.Sprintf("hm_%d", os.Getpid()) }

// handBlobSize makes a metadata map recognizable as this process's.
func handBlobSize() int { return handEnd + 8*(1+os.Getpid()%64) }

func (h handmade) blob() []byte {
	b := make([]byte, handBlobSize())
	u32 := func(off int, v uint32) { binary.NativeEndian.PutUint32(b[off:], v) }
	u32(handMapAttr, uint32(ebpf.Array))
	u32(handMapAttr+4, 4)
	u32(handMapAttr+8, 8)
	if !h.noEntries {
		u32(handMapAttr+12, 3)
	}
	copy(b[handMapAttr+28:], handName())
	u32(handProgAttr, uint32(ebpf.SocketFilter))
	u32(handProgAttr+4, 2)
	copy(b[handProgAttr+48:], handName())
	insns := asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	if h.badProgram {
		insns[0] = asm.Mov.Reg(asm.R0, asm.R5)
	}
	copy(b[handInsns:], assemble(insns))
	copy(b[handLicense:], "GPL")
	return b
}

func assemble(insns asm.Instructions) []byte {
	var buf bytes.Buffer
	order := binary.ByteOrder(binary.LittleEndian)
	if hostBigEndian() {
		order = binary.BigEndian
	}
	if err := insns.Marshal(&buf, order); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func loadImm64(dst, src asm.Register, lower, upper uint32) asm.Instruction {
	return asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: dst, Src: src, Constant: int64(uint64(upper)<<32 | uint64(lower))}
}

func blobAddress(dst asm.Register, off uint32) asm.Instruction {
	return loadImm64(dst, pseudoMapIdxValue, 0, off)
}

// insns assembles the loader for a blob. Its tag is this process's, because of a constant that nothing reads.
func (h handmade) insns(blob []byte) []byte {
	insns := asm.Instructions{asm.Mov.Imm(asm.R0, int32(os.Getpid())), asm.Mov.Reg(asm.R6, asm.R1)}
	if h.scheme == bundle.MapHash {
		insns = append(insns, loadImm64(asm.R1, pseudoMapIdx, 0, 0), asm.Mov.Imm(asm.R0, -int32(unix.EINVAL)))
		if !h.unchecked {
			insns = append(insns, asm.LoadMem(asm.R2, asm.R1, 32, asm.Word), asm.JNE.Imm(asm.R2, 1, "exit"))
		}
		sha := sha256.Sum256(blob)
		for i := 0; i < len(sha); i += 8 {
			word := binary.NativeEndian.Uint64(sha[i:])
			insns = append(insns, asm.LoadMem(asm.R2, asm.R1, int16(i), asm.DWord),
				loadImm64(asm.R3, 0, uint32(word), uint32(word>>32)), asm.JNE.Reg(asm.R2, asm.R3, "exit"))
		}
	}
	if h.result != 0 {
		// If ctx->sz is not 0, which the verifier cannot know: it refuses code that can never run.
		insns = append(insns, asm.Mov.Imm(asm.R0, h.result), asm.LoadMem(asm.R2, asm.R6, 0, asm.Word), asm.JNE.Imm(asm.R2, 0, "exit"))
	}
	sysBPF := func(cmd int32, attr uint32) {
		insns = append(insns, asm.Mov.Imm(asm.R1, cmd), blobAddress(asm.R2, attr), asm.Mov.Imm(asm.R3, handAttrSize), asm.FnSysBpf.Call())
	}
	const mapCreate, progLoad = 0, 5
	sysBPF(mapCreate, handMapAttr)
	insns = append(insns, asm.JSLT.Imm(asm.R0, 0, "exit"), asm.Mov.Reg(asm.R7, asm.R0), asm.StoreMem(asm.R6, 24, asm.R0, asm.Word))
	if h.extraMap {
		sysBPF(mapCreate, handMapAttr)
		insns = append(insns, asm.StoreMem(asm.R6, 32, asm.R0, asm.Word))
	}
	insns = append(insns, blobAddress(asm.R8, handProgAttr),
		blobAddress(asm.R1, handInsns), asm.StoreMem(asm.R8, 8, asm.R1, asm.DWord),
		blobAddress(asm.R1, handLicense), asm.StoreMem(asm.R8, 16, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, 8, asm.DWord), asm.StoreMem(asm.R8, 24, asm.R1, asm.DWord),
		asm.LoadMem(asm.R1, asm.R6, 16, asm.DWord), asm.StoreMem(asm.R8, 32, asm.R1, asm.DWord))
	sysBPF(progLoad, handProgAttr)
	insns = append(insns, asm.JSLT.Imm(asm.R0, 0, "failed"), asm.StoreMem(asm.R6, 28, asm.R0, asm.Word), asm.Mov.Imm(asm.R0, 0), asm.Return(),
		asm.Mov.Reg(asm.R9, asm.R0).WithSymbol("failed"), asm.Mov.Reg(asm.R1, asm.R7), asm.FnSysClose.Call(), asm.Mov.Reg(asm.R0, asm.R9),
		asm.Return().WithSymbol("exit"))
	return assemble(insns)
}

// bundle makes a bundle of loaders for the schemes, or only for h's.
func (h handmade) bundle(schemes ...bundle.Scheme) *bundle.Bundle {
	sum := sha256.Sum256([]byte("no object"))
	b := &bundle.Bundle{
		Contract: bundle.Contract{
			Object:  bundle.Object{Name: "handmade", SHA256: sum[:], BigEndian: hostBigEndian(), License: "GPL"},
			CtxSize: 40,
			Maps: []bundle.Map{{Name: "counts", Ctx: 24, MapAttributes: bundle.MapAttributes{
				Kernel: handName(), Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 3,
			}}},
			Programs: []bundle.Program{{Name: handName(), Section: "socket", Type: uint32(ebpf.SocketFilter),
				Insns: bundle.Range{Offset: handInsns, Size: 16}, Ctx: 28}},
		},
		Blob: h.blob(),
	}
	if h.change != nil {
		h.change(&b.Contract)
	}
	if err := b.Seal(); err != nil {
		panic(err)
	}
	if len(schemes) == 0 {
		schemes = []bundle.Scheme{h.scheme}
	}
	for _, s := range schemes {
		h.scheme = s
		b.Loaders = append(b.Loaders, bundle.Loader{Scheme: s, Insns: h.insns(b.Blob)})
	}
	return b
}

// seen are the newest ids of which it is known that nothing of this process's is left.
var seen struct {
	m ebpf.MapID
	p ebpf.ProgramID
}

// leftovers lists what this process's loaders have in the kernel now, and returns the newest ids.
func leftovers(t testing.TB) (found []string, newest struct {
	m ebpf.MapID
	p ebpf.ProgramID
}) {
	t.Helper()
	newest = seen
	for {
		id, err := ebpf.MapGetNextID(newest.m)
		if err != nil {
			break
		}
		newest.m = id
		if m, err := ebpf.NewMapFromID(id); err == nil {
			info, err := sys.GetMapInfo(sys.Native{}, m.FD())
			name := info.Name.String()
			if err == nil && (name == handName() || name == loaderMap && int(info.ValueSize) == handBlobSize() && freesLoaders()) {
				found = append(found, fmt.Sprintf("map %d %s", id, name))
			}
			m.Close()
		}
	}
	for {
		id, err := ebpf.ProgramGetNextID(newest.p)
		if err != nil {
			break
		}
		newest.p = id
		if p, err := ebpf.NewProgramFromID(id); err == nil {
			info, err := sys.GetProgInfo(sys.Native{}, p.FD())
			if name := info.Name.String(); err == nil && name == handName() {
				found = append(found, fmt.Sprintf("program %d %s", id, name))
			}
			p.Close()
		}
	}
	return found, newest
}

// freesLoaders says whether this kernel frees sleepable programs, and with them the maps that they use: not when a grace
// period of RCU Tasks Trace hangs, as it does for ever once a loader had the kernel refuse a local storage map after its
// allocation (bpf_local_storage_map_free waits for the loader that waits for it).
var freesLoaders = sync.OnceValue(func() bool {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return false
	}
	info, err := m.Info()
	if err != nil {
		return false
	}
	id, _ := info.ID()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Syscall, Flags: sys.FlagSleepable, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		return false
	}
	p.Close()
	m.Close()
	for range 500 {
		time.Sleep(10 * time.Millisecond)
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return true
		}
		m.Close()
	}
	return false
})

// openFiles lists this process's descriptors of BPF objects.
func openFiles(t testing.TB) (found []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	qt.Assert(t, qt.IsNil(err))
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && bytes.Contains([]byte(link), []byte("bpf-")) {
			found = append(found, e.Name()+" -> "+link)
		}
	}
	return found
}

// assertNothingLeft waits for the kernel to free what is not referenced any more, which it does after a grace period.
func assertNothingLeft(t testing.TB) {
	t.Helper()
	qt.Assert(t, qt.HasLen(openFiles(t), 0))
	if !freesLoaders() {
		t.Log("this kernel does not free sleepable programs: metadata maps are not counted")
	}
	var found []string
	for range 200 {
		more, now := leftovers(t)
		if found = more; len(found) == 0 {
			seen = now
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("left in the kernel: %v", found)
}

// needBPF skips a test that the machine does not allow.
func needBPF(t testing.TB) {
	t.Helper()
	if missing := missingCapabilities(programCapabilities); len(missing) > 0 {
		t.Skipf("needs root, or %v", missing)
	}
	if !initialUserNamespace() {
		t.Skip("needs the initial user namespace, whose capabilities bpf(2) asks for")
	}
}

// needMapHash skips a test of the map-hash scheme's checks on a kernel where they cannot run.
func needMapHash(t testing.TB) {
	t.Helper()
	needBPF(t)
	if s := kernelTypes().scheme(); s != bundle.MapHash {
		t.Skipf("needs a kernel that attests with scheme %v, and this one's is %v", bundle.MapHash, s)
	}
}
