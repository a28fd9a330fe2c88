//go:build linux

package guest

import (
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/vm/guest"
	bpfruntime "github.com/rules-bpf/rules_bpf/runtime"
)

// The seed's attack, with a signed loader: the host makes the metadata map without excl_prog_hash, freezes it, has it
// hashed while it is what the signer saw, and changes it with another program that holds the map. Kernels of scheme A
// load the loader, which refuses to run; those of scheme B refuse to load it. Either way nothing is made.
func TestMapThatIsNotExclusive(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	b := readBundle(t, guest.DataDir+"/features/data.bpfl")
	enroll(t)

	for _, change := range []bool{false, true} {
		m := metadataMap(t, b, nil)
		qt.Assert(t, qt.IsNil(m.Freeze()))
		hash(t, m)
		if change {
			rewrite(t, m, len(b.Blob)-8)
		}
		before := objects(t)
		prog, err := loadLoader(b, s, m)
		if s == bundle.Payload {
			qt.Check(t, qt.ErrorIs(err, unix.EPERM))
			nothingLeft(t, before)
			continue
		}
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(runLoader(t, b, prog), -int32(unix.EINVAL)), qt.Commentf("changed: %v", change))
		prog.Close()
		nothingLeft(t, before)
	}
}

// The same with an exclusive map that was never hashed: scheme A's loader sees no digest, scheme B's kernel hashes itself.
func TestMapThatIsNotHashed(t *testing.T) {
	if scheme(t) != bundle.MapHash {
		t.Skip("only loaders of scheme A need the host to have the map hashed")
	}
	b := readBundle(t, guest.DataDir+"/features/data.bpfl")
	enroll(t)
	h := b.Loader(bundle.MapHash).ProgHash()
	m := metadataMap(t, b, h[:])
	qt.Assert(t, qt.IsNil(m.Freeze()))
	before := objects(t)
	prog, err := loadLoader(b, bundle.MapHash, m)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(runLoader(t, b, prog), -int32(unix.EINVAL)))
	prog.Close()
	nothingLeft(t, before)
}

// With an exclusive map the other program is not let in the first place.
func TestExclusiveMapKeepsOthersOut(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	b := readBundle(t, guest.DataDir+"/features/data.bpfl")
	h := b.Loader(s).ProgHash()
	m := metadataMap(t, b, h[:])
	_, err := writer(m, 0)
	qt.Check(t, qt.ErrorIs(err, unix.EACCES))
}

func enroll(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // a session keyring belongs to a thread
	t.Cleanup(runtime.UnlockOSThread)
	_, err := unix.AddKey("asymmetric", "", guest.ReadData(t, "cert.der"), int(bpfruntime.KeyringSession))
	qt.Assert(t, qt.IsNil(err))
}

// metadataMap makes a map with a bundle's blob, exclusive to the program with a hash unless that is nil.
func metadataMap(t *testing.T, b *bundle.Bundle, hash []byte) *ebpf.Map {
	t.Helper()
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := mapCreate{mapType: unix.BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: uint32(len(b.Blob)), maxEntries: 1}
	if hash != nil {
		attr.exclProgHash, attr.exclProgHashSize = address(&pin, hash), uint32(len(hash))
	}
	fd, err := bpf(unix.BPF_MAP_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	qt.Assert(t, qt.IsNil(err))
	m, err := ebpf.NewMapFromFD(fd)
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { m.Close() })
	qt.Assert(t, qt.IsNil(m.Put(uint32(0), b.Blob)))
	return m
}

// mapInfo is struct bpf_map_info, as far as the hash.
type mapInfo struct {
	_        [88]byte
	hash     uint64
	hashSize uint32
	_        uint32
}

// hash has the kernel hash a frozen map, which is what fills map->sha.
func hash(t *testing.T, m *ebpf.Map) {
	t.Helper()
	var pin runtime.Pinner
	defer pin.Unpin()
	info := mapInfo{hash: address(&pin, make([]byte, 32)), hashSize: 32}
	pin.Pin(&info)
	attr := struct {
		fd, size uint32
		info     uint64
	}{uint32(m.FD()), uint32(unsafe.Sizeof(info)), uint64(uintptr(unsafe.Pointer(&info)))}
	_, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	qt.Assert(t, qt.IsNil(err))
}

// writer loads a program of the host's own that overwrites 8 bytes of the map's value.
func writer(m *ebpf.Map, at int) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Syscall, Flags: unix.BPF_F_SLEEPABLE, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMapValue(asm.R1, m.FD(), uint32(at)),
			asm.Mov.Imm(asm.R2, -1),
			asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	})
}

// rewrite changes a frozen map: freezing keeps user space out, not programs.
func rewrite(t *testing.T, m *ebpf.Map, at int) {
	t.Helper()
	p, err := writer(m, at)
	qt.Assert(t, qt.IsNil(err))
	defer p.Close()
	_, err = p.Run(&ebpf.RunOptions{})
	qt.Assert(t, qt.IsNil(err))
	value, err := m.LookupBytes(uint32(0))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(value[at:at+8], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}))
}

// signedLoad is the rest of union bpf_attr for BPF_PROG_LOAD.
type signedLoad struct {
	progLoad
	coreRelos     uint64
	_             [3]uint32 // core_relo_rec_size, log_true_size, prog_token_fd
	fdArrayCnt    uint32
	signature     uint64
	signatureSize uint32
	keyring       int32
}

// loadLoader loads a bundle's loader with its signature and a metadata map of the host's choice.
func loadLoader(b *bundle.Bundle, s bundle.Scheme, m *ebpf.Map) (*ebpf.Program, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	l := b.Loader(s)
	attr := signedLoad{
		progLoad: progLoad{
			progType: unix.BPF_PROG_TYPE_SYSCALL, flags: unix.BPF_F_SLEEPABLE,
			insnCount: uint32(len(l.Insns) / bundle.InsnSize), insns: address(&pin, l.Insns),
			license: address(&pin, []byte("Dual BSD/GPL\x00")), fdArray: address(&pin, []int32{int32(m.FD())}),
		},
		signature: address(&pin, l.Signatures[0].CMS), signatureSize: uint32(len(l.Signatures[0].CMS)),
		keyring: int32(bpfruntime.KeyringSession),
	}
	if s == bundle.Payload {
		attr.fdArrayCnt = 1
	}
	for range 10 { // a signal, of which Go sends many, interrupts the verifier
		fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return ebpf.NewProgramFromFD(fd)
	}
	return nil, unix.EAGAIN
}

// runLoader runs a loader and returns what it returns.
func runLoader(t *testing.T, b *bundle.Bundle, p *ebpf.Program) int32 {
	t.Helper()
	ret, err := p.Run(&ebpf.RunOptions{Context: make([]byte, b.CtxSize)})
	qt.Assert(t, qt.IsNil(err))
	return int32(ret)
}
