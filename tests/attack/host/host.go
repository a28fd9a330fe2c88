//go:build linux

// Package host is what an untrusted host can do to a signed loader: it calls bpf(2) as it likes. It is the tests' own, so
// that nothing here depends on what the runtime thinks that a host should do.
package host

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// SessionKeyring is KEY_SPEC_SESSION_KEYRING.
const SessionKeyring = -3

// Enroll adds a certificate to the session keyring, which belongs to the calling thread: see runtime.LockOSThread.
func Enroll(certificate []byte) error {
	_, err := unix.AddKey("asymmetric", "", certificate, SessionKeyring)
	return err
}

// bpf is the system call.
func bpf[T any](cmd uintptr, attr *T) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// address returns where a slice is, and keeps it there.
func address[T any](pin *runtime.Pinner, s []T) uint64 {
	if len(s) == 0 {
		return 0
	}
	p := unsafe.SliceData(s)
	pin.Pin(p)
	return uint64(uintptr(unsafe.Pointer(p)))
}

// MapSpec is what BPF_MAP_CREATE is asked for.
type MapSpec struct {
	Type, KeySize, ValueSize, MaxEntries, Flags uint32
	// InnerFD is the template of a map of maps.
	InnerFD int
	// ExclProgHash is the digest of the only program that may have the map, nil for any.
	ExclProgHash []byte
}

// CreateMap creates a map.
func CreateMap(spec MapSpec) (*ebpf.Map, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := struct {
		mapType, keySize, valueSize, maxEntries uint32
		flags, innerMapFD, numaNode             uint32
		name                                    [16]byte
		ifindex, btfFD, btfKeyType, btfValType  uint32
		btfVmlinuxValType                       uint32
		mapExtra                                uint64
		valueTypeBTFObjFD, mapTokenFD           uint32
		exclProgHash                            uint64
		exclProgHashSize                        uint32
		_                                       uint32
	}{
		mapType: spec.Type, keySize: spec.KeySize, valueSize: spec.ValueSize, maxEntries: spec.MaxEntries, flags: spec.Flags,
		innerMapFD: uint32(spec.InnerFD), exclProgHash: address(&pin, spec.ExclProgHash), exclProgHashSize: uint32(len(spec.ExclProgHash)),
	}
	fd, err := bpf(unix.BPF_MAP_CREATE, &attr)
	if err != nil {
		return nil, err
	}
	return ebpf.NewMapFromFD(fd)
}

// Metadata creates a metadata map with a blob in it, exclusive to the program with a digest unless that is nil.
func Metadata(blob, exclProgHash []byte) (*ebpf.Map, error) {
	m, err := CreateMap(MapSpec{
		Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: uint32(len(blob)), MaxEntries: 1, ExclProgHash: exclProgHash,
	})
	if err != nil {
		return nil, fmt.Errorf("create the metadata map: %w", err)
	}
	if err := m.Put(uint32(0), blob); err != nil {
		m.Close()
		return nil, fmt.Errorf("fill the metadata map: %w", err)
	}
	return m, nil
}

// updateElem is BPF_MAP_UPDATE_ELEM of one element.
func updateElem[K, V any](m *ebpf.Map, key []K, value []V) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	_, err := bpf(unix.BPF_MAP_UPDATE_ELEM, &struct {
		fd, _             uint32
		key, value, flags uint64
	}{fd: uint32(m.FD()), key: address(&pin, key), value: address(&pin, value)})
	return err
}

// Hash has the kernel hash a frozen map, which is what fills map->sha. The buffer is as long as the caller says: 32 is right.
func Hash(m *ebpf.Map, buffer int) ([]byte, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	sum := make([]byte, buffer)
	info := struct { // bpf_map_info
		_        [88]byte
		hash     uint64
		hashSize uint32
		_        uint32
	}{hash: address(&pin, sum), hashSize: uint32(len(sum))}
	pin.Pin(&info)
	_, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, &struct {
		fd, size uint32
		info     uint64
	}{uint32(m.FD()), uint32(unsafe.Sizeof(info)), uint64(uintptr(unsafe.Pointer(&info)))})
	return sum, err
}

// Load is a BPF_PROG_LOAD of a syscall program.
type Load struct {
	Insns []byte
	// FDArray are the descriptors in fd_array, FDArrayCnt how many of them the kernel is told of: 0 makes it sparse.
	FDArray    []int32
	FDArrayCnt uint32
	// Signature may be empty and yet have a size.
	Signature     []byte
	SignatureSize uint32
	Keyring       int32
	// Log gets what the verifier says.
	Log []byte
}

// Loader is the load of a bundle's loader as an honest host does it, with the last of its signatures if there is any.
func Loader(b *bundle.Bundle, s bundle.Scheme, m *ebpf.Map) Load {
	l := b.Loader(s)
	load := Load{Insns: l.Insns, FDArray: []int32{int32(m.FD())}}
	if n := len(l.Signatures); n > 0 {
		load.Signature, load.Keyring = l.Signatures[n-1].CMS, SessionKeyring
		load.SignatureSize = uint32(len(load.Signature))
		if s == bundle.Payload {
			load.FDArrayCnt = 1
		}
	}
	return load
}

// Do does it.
func (l Load) Do() (*ebpf.Program, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := struct {
		progType, insnCount        uint32
		insns, license             uint64
		logLevel, logSize          uint32
		logBuf                     uint64
		kernVersion, flags         uint32
		name                       [16]byte
		ifindex, attachType, btfFD uint32
		funcInfoRecSize            uint32
		funcInfo                   uint64
		funcInfoCount              uint32
		lineInfoRecSize            uint32
		lineInfo                   uint64
		lineInfoCount              uint32
		attachBTFID, attachProgFD  uint32
		coreReloCount              uint32
		fdArray                    uint64
		coreRelos                  uint64
		_                          [3]uint32 // core_relo_rec_size, log_true_size, prog_token_fd
		fdArrayCnt                 uint32
		signature                  uint64
		signatureSize              uint32
		keyring                    int32
	}{
		progType: unix.BPF_PROG_TYPE_SYSCALL, flags: unix.BPF_F_SLEEPABLE, license: address(&pin, []byte("Dual BSD/GPL\x00")),
		insnCount: uint32(len(l.Insns) / bundle.InsnSize), insns: address(&pin, l.Insns),
		fdArray: address(&pin, l.FDArray), fdArrayCnt: l.FDArrayCnt,
		signature: address(&pin, l.Signature), signatureSize: l.SignatureSize, keyring: l.Keyring,
		logSize: uint32(len(l.Log)), logBuf: address(&pin, l.Log),
	}
	copy(attr.name[:], "__loader.prog")
	if len(l.Log) > 0 {
		attr.logLevel = 1
	}
	for range 10 { // a signal, of which Go sends many, interrupts the verifier
		fd, err := bpf(unix.BPF_PROG_LOAD, &attr)
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

// Run runs a program once and returns what it returns. The kernel changes the context.
func Run(p *ebpf.Program, context []byte) (int32, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := struct {
		progFD, retval    uint32
		_                 [8]uint32 // data_size_in to duration
		ctxSize, ctxSize2 uint32
		ctx               uint64
		_                 [6]uint32 // ctx_out to padding
	}{progFD: uint32(p.FD()), ctxSize: uint32(len(context)), ctx: address(&pin, context)}
	_, err := bpf(unix.BPF_PROG_RUN, &attr)
	return int32(attr.retval), err
}

// Writer loads a program of the host's own that has a map and overwrites 8 bytes of its value with a word.
func Writer(m *ebpf.Map, at int, word uint64) (*ebpf.Program, error) {
	return program(asm.Instructions{
		asm.LoadMapValue(asm.R1, m.FD(), uint32(at)),
		asm.LoadImm(asm.R2, int64(word), asm.DWord),
		asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
	})
}

// InnerWriter is a Writer to the map that is the first in an array of maps. It returns 1 once it has written.
func InnerWriter(outer *ebpf.Map, at int, word uint64) (*ebpf.Program, error) {
	lookup := func(next string) asm.Instructions {
		return asm.Instructions{
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, next),
		}
	}
	insns := asm.Instructions{asm.StoreImm(asm.RFP, -4, 0, asm.Word), asm.LoadMapPtr(asm.R1, outer.FD())}
	insns = append(insns, lookup("none")...)
	insns = append(insns, asm.Mov.Reg(asm.R1, asm.R0))
	insns = append(insns, lookup("none")...)
	return program(append(insns,
		asm.LoadImm(asm.R2, int64(word), asm.DWord),
		asm.StoreMem(asm.R0, int16(at), asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("none"),
		asm.Return(),
	))
}

func program(insns asm.Instructions) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Syscall, Flags: unix.BPF_F_SLEEPABLE, License: "GPL", Instructions: insns})
}

// Contents returns a metadata map's contents and their digest, as they are now and not when the kernel last hashed them.
func Contents(m *ebpf.Map) ([]byte, [sha256.Size]byte, error) {
	value, err := m.LookupBytes(uint32(0))
	if err == nil && value == nil {
		err = ebpf.ErrKeyNotExist
	}
	return value, sha256.Sum256(value), err
}
