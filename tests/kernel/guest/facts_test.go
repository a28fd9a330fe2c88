//go:build linux

package guest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// release returns the kernel's release, as 7.3.4+deb13-cloud-amd64, and its
// series, 7.3.
func release(t *testing.T) (release, series string) {
	t.Helper()
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	release = unix.ByteSliceToString(uts.Release[:])
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 3 {
		t.Fatalf("strange release %q", release)
	}
	return release, parts[0] + "." + parts[1]
}

// TestMachine checks that the guest is what tests may rely on.
func TestMachine(t *testing.T) {
	r, _ := release(t)
	t.Logf("%s, %s", r, runtime.GOARCH)

	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"/proc proc", "/sys sysfs", "/dev devtmpfs", "/tmp tmpfs", "/run tmpfs", "/sys/fs/bpf bpf",
		"/sys/fs/cgroup cgroup2", "/sys/kernel/security securityfs", "/sys/kernel/debug debugfs", "/sys/kernel/tracing tracefs",
	} {
		if !strings.Contains(string(mounts), " "+want+" ") {
			t.Errorf("not mounted: %s", want)
		}
	}
	flags, err := os.ReadFile("/sys/class/net/lo/flags")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(flags)); got != "0x9" { // IFF_LOOPBACK|IFF_UP
		t.Errorf("flags of lo are %s, want 0x9", got)
	}
}

// TestFacts reads from the kernel's BTF which way it attests signed loaders.
func TestFacts(t *testing.T) {
	r, series := release(t)
	spec, err := btf.LoadKernelSpec()
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, btf.ErrNotSupported) {
		t.Skipf("%s has no BTF: %v", r, err)
	}
	if err != nil {
		t.Fatal(err)
	}

	sha := member(t, spec, "bpf_map", "sha")
	if sha == nil {
		t.Fatal("struct bpf_map has no member sha")
	}
	if size, err := btf.Sizeof(sha.Type); err != nil || sha.Offset != 0 || size != sha256.Size {
		t.Errorf("bpf_map.sha: %d bytes at %d (%v), want 32 at 0", size, sha.Offset.Bytes(), err)
	}
	excl := member(t, spec, "bpf_map", "excl")
	if excl != nil {
		if size, err := btf.Sizeof(excl.Type); err != nil || excl.Offset.Bytes() != 32 || size != 4 {
			t.Errorf("bpf_map.excl: %d bytes at %d (%v), want 4 at 32", size, excl.Offset.Bytes(), err)
		}
	}
	sig := member(t, spec, "bpf_prog_aux", "sig")

	scheme := "none"
	switch {
	case excl != nil:
		scheme = "A"
	case sig != nil:
		scheme = "B"
	}
	t.Logf("%s: bpf_map.excl: %t, bpf_prog_aux.sig: %t: scheme %s", r, excl != nil, sig != nil, scheme)

	// What a series may have: stable kernels get scheme A by backports.
	expected := map[string][]string{
		"6.18": {"none", "A"},
		"6.19": {"none", "A"},
		"7.0":  {"none", "A"},
		"7.1":  {"none", "A"},
		"7.2":  {"A"},
		"7.3":  {"B"},
	}
	if want, ok := expected[series]; ok && !slices.Contains(want, scheme) {
		t.Errorf("scheme %s, want one of %s", scheme, want)
	}
}

// member returns the member of a kernel's struct, or nil if it has none.
func member(t *testing.T, spec *btf.Spec, structure, name string) *btf.Member {
	t.Helper()
	var s *btf.Struct
	if err := spec.TypeByName(structure, &s); err != nil {
		t.Fatalf("struct %s: %v", structure, err)
	}
	i := slices.IndexFunc(s.Members, func(m btf.Member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Members[i]
}

// TestExclusiveMap checks that a program other than the one that an exclusive
// map was made for cannot have the map.
func TestExclusiveMap(t *testing.T) {
	good, other := reader(0), reader(1)
	hash := sha256.Sum256(good)

	m, err := exclusiveMap(hash[:])
	if err != nil {
		t.Fatal("create an exclusive map:", err)
	}
	defer unix.Close(m)

	if fd, err := load(good, m); err != nil {
		t.Error("load the map's program:", err)
	} else {
		unix.Close(fd)
	}
	if fd, err := load(other, m); !errors.Is(err, unix.EACCES) {
		t.Errorf("load another program: fd %d, error %v, want EACCES", fd, err)
	}
	if fd, err := exclusiveMap(hash[:31]); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a hash of 31 bytes: fd %d, error %v, want EINVAL", fd, err)
	}
}

// nativeEndian is binary.NativeEndian, in the words that package asm knows.
var nativeEndian = func() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}()

// reader returns the instructions of a program that has the map with index 0 in
// its fd_array and returns ret.
func reader(ret int64) []byte {
	load := asm.LoadImm(asm.R1, 0, asm.DWord)
	load.Src = 5 // BPF_PSEUDO_MAP_IDX
	var b strings.Builder
	for _, ins := range (asm.Instructions{load, asm.Mov.Imm(asm.R0, int32(ret)), asm.Return()}) {
		if _, err := ins.Marshal(&b, nativeEndian); err != nil {
			panic(err)
		}
	}
	return []byte(b.String())
}

// The heads of union bpf_attr that the tests need.
type (
	mapCreate struct {
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
	}
	progLoad struct {
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
	}
)

// exclusiveMap creates an array that only the program with the hash may have.
func exclusiveMap(hash []byte) (int, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := mapCreate{
		mapType: unix.BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: 8, maxEntries: 1,
		exclProgHash: address(&pin, hash), exclProgHashSize: uint32(len(hash)),
	}
	return bpf(unix.BPF_MAP_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// load loads a program that can be run by a system call and has a map.
func load(insns []byte, mapFD int) (int, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	attr := progLoad{
		progType: unix.BPF_PROG_TYPE_SYSCALL, flags: unix.BPF_F_SLEEPABLE,
		insnCount: uint32(len(insns) / 8), insns: address(&pin, insns),
		license: address(&pin, []byte("GPL\x00")), fdArray: address(&pin, []int32{int32(mapFD)}),
	}
	return bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// address returns where a slice is, and keeps it there.
func address[T any](pin *runtime.Pinner, s []T) uint64 {
	p := unsafe.SliceData(s)
	pin.Pin(p)
	return uint64(uintptr(unsafe.Pointer(p)))
}

func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
