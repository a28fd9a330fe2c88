//go:build linux

// Package sys is all use that the runtime makes of bpf(2) and keyrings itself: as few commands as a load needs. It knows
// nothing of bundles, and can be exchanged for cilium/ebpf's own wrappers once these take signatures.
package sys

import (
	"bytes"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Cmd is a command of bpf(2): enum bpf_cmd, include/uapi/linux/bpf.h.
type Cmd int

// The commands that a load uses.
const (
	MapCreateCmd  Cmd = 0  // BPF_MAP_CREATE
	MapUpdateCmd  Cmd = 2  // BPF_MAP_UPDATE_ELEM
	ProgLoadCmd   Cmd = 5  // BPF_PROG_LOAD
	ProgRunCmd    Cmd = 10 // BPF_PROG_RUN, also called BPF_PROG_TEST_RUN
	ObjGetInfoCmd Cmd = 15 // BPF_OBJ_GET_INFO_BY_FD
	MapFreezeCmd  Cmd = 22 // BPF_MAP_FREEZE
)

// Numbers of include/uapi/linux/bpf.h.
const (
	MapTypeArray    = 2      // BPF_MAP_TYPE_ARRAY
	ProgTypeSyscall = 31     // BPF_PROG_TYPE_SYSCALL
	FlagSleepable   = 1 << 4 // BPF_F_SLEEPABLE
	HashSize        = 32     // SHA256_DIGEST_SIZE
)

// Kernel is the system calls that a load makes. Every error is a unix.Errno. Tests put something else in its place.
type Kernel interface {
	// BPF is bpf(2), without retries: attr points to a *Attr of this package and stays valid during the call.
	BPF(cmd Cmd, attr unsafe.Pointer, size uintptr) (int, error)
	// Close is close(2).
	Close(fd int) error
	// AddKey is add_key(2): it adds an asymmetric key, here a DER certificate, to a keyring.
	AddKey(certificate []byte, keyring int) error
	// FindKeyring is keyctl(KEYCTL_GET_KEYRING_ID): it returns the serial of a keyring that exists.
	FindKeyring(id int) (int, error)
}

// Native is the kernel that the process runs on.
type Native struct{}

// BPF implements Kernel.
func (Native) BPF(cmd Cmd, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// Close implements Kernel. It is never retried: Linux has released the descriptor whatever close(2) returns.
func (Native) Close(fd int) error { return unix.Close(fd) }

// AddKey implements Kernel. The kernel takes the description from the certificate.
func (Native) AddKey(certificate []byte, keyring int) error {
	_, err := unix.AddKey("asymmetric", "", certificate, keyring)
	return err
}

// FindKeyring implements Kernel.
func (Native) FindKeyring(id int) (int, error) { return unix.KeyctlGetKeyringID(id, false) }

// attempts bounds the retries of an interrupted call. The first retry nearly always succeeds, because signals are blocked.
const attempts = 10

// call runs a command, and again when it was interrupted: the verifier returns EAGAIN when a signal is pending.
func call[T any](k Kernel, cmd Cmd, attr *T) (int, error) {
	if cmd == ProgLoadCmd || cmd == ProgRunCmd {
		defer blockSignals()()
	}
	for i := 1; ; i++ {
		fd, err := k.BPF(cmd, unsafe.Pointer(attr), unsafe.Sizeof(*attr))
		again := err == unix.EINTR && cmd != ProgRunCmd || err == unix.EAGAIN && cmd == ProgLoadCmd
		if !again || i == attempts {
			return fd, err
		}
	}
}

// blockSignals keeps signals from the calling thread until the returned function is called. The verifier gives up when
// one is pending (signal_pending in do_check, kernel/bpf/verifier.c), and the Go scheduler sends SIGURG to threads that
// are in a system call for more than 10 ms: without this, an object that takes longer to verify might never load.
// Signals to the process go to its other threads meanwhile.
func blockSignals() func() {
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	runtime.LockOSThread()
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return runtime.UnlockOSThread // a sandbox may forbid it: retries are left
	}
	return func() {
		// It cannot fail where it has just succeeded; if it does, the thread ends with its goroutine.
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil); err == nil {
			runtime.UnlockOSThread()
		}
	}
}

// Name is a kernel object's name, with at least one NUL at its end: char[BPF_OBJ_NAME_LEN].
type Name [16]byte

// NewName cuts s to what the kernel takes.
func NewName(s string) (n Name) {
	copy(n[:len(n)-1], s)
	return n
}

func (n Name) String() string {
	s, _, _ := bytes.Cut(n[:], []byte{0})
	return string(s)
}

// BytesPointer points to the bytes of b, which is nil when there are none.
func BytesPointer(b []byte) Pointer { return PointerTo(unsafe.SliceData(b)) }

// MapCreateAttr is bpf_attr for BPF_MAP_CREATE.
type MapCreateAttr struct {
	Type             uint32
	KeySize          uint32
	ValueSize        uint32
	MaxEntries       uint32
	Flags            uint32
	_                [2]uint32 // inner_map_fd, numa_node
	Name             Name
	_                [5]uint32 // map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id
	_                [2]uint32 // map_extra
	_                [2]uint32 // value_type_btf_obj_fd, map_token_fd
	ExclProgHash     Pointer
	ExclProgHashSize uint32
	_                uint32
}

// MapCreate creates a map. Its descriptor has close-on-exec set, as every descriptor of bpf(2).
func MapCreate(k Kernel, attr *MapCreateAttr) (int, error) { return call(k, MapCreateCmd, attr) }

// mapElemAttr is bpf_attr for BPF_MAP_*_ELEM and BPF_MAP_FREEZE.
type mapElemAttr struct {
	MapFD uint32
	_     uint32
	Key   Pointer
	Value Pointer
	Flags [2]uint32 // a u64
}

// MapUpdate sets the value of the 4-byte key.
func MapUpdate(k Kernel, mapFD int, key uint32, value []byte) error {
	_, err := call(k, MapUpdateCmd, &mapElemAttr{MapFD: uint32(mapFD), Key: PointerTo(&key), Value: BytesPointer(value)})
	return err
}

// MapFreeze makes a map read-only for user space.
func MapFreeze(k Kernel, mapFD int) error {
	_, err := call(k, MapFreezeCmd, &mapElemAttr{MapFD: uint32(mapFD)})
	return err
}

// infoAttr is bpf_attr for BPF_OBJ_GET_INFO_BY_FD.
type infoAttr struct {
	FD      uint32
	InfoLen uint32
	Info    Pointer
}

// MapInfo is struct bpf_map_info.
type MapInfo struct {
	Type       uint32
	ID         uint32
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uint32
	Name       Name
	_          [10]uint32 // ifindex to btf_vmlinux_id
	_          [2]uint32  // map_extra
	Hash       Pointer
	HashSize   uint32
	_          uint32
}

// MapHash makes the kernel hash a frozen map, which is how struct bpf_map gets its sha.
func MapHash(k Kernel, mapFD int) (hash [HashSize]byte, err error) {
	info := MapInfo{Hash: PointerTo(&hash), HashSize: HashSize}
	_, err = call(k, ObjGetInfoCmd, &infoAttr{FD: uint32(mapFD), InfoLen: uint32(unsafe.Sizeof(info)), Info: PointerTo(&info)})
	return hash, err
}

// GetMapInfo returns what the kernel knows of a map.
func GetMapInfo(k Kernel, mapFD int) (info MapInfo, err error) {
	_, err = call(k, ObjGetInfoCmd, &infoAttr{FD: uint32(mapFD), InfoLen: uint32(unsafe.Sizeof(info)), Info: PointerTo(&info)})
	return info, err
}

// ProgInfo is the beginning of struct bpf_prog_info.
type ProgInfo struct {
	Type uint32
	ID   uint32
	Tag  [8]byte
	_    [2]uint32 // jited_prog_len, xlated_prog_len
	_    [4]uint32 // jited_prog_insns, xlated_prog_insns
	_    [2]uint32 // load_time
	_    [2]uint32 // created_by_uid, nr_map_ids
	_    [2]uint32 // map_ids
	Name Name
}

// GetProgInfo returns what the kernel knows of a program.
func GetProgInfo(k Kernel, progFD int) (info ProgInfo, err error) {
	_, err = call(k, ObjGetInfoCmd, &infoAttr{FD: uint32(progFD), InfoLen: uint32(unsafe.Sizeof(info)), Info: PointerTo(&info)})
	return info, err
}

// ProgLoadAttr is bpf_attr for BPF_PROG_LOAD.
type ProgLoadAttr struct {
	Type          uint32
	InsnCnt       uint32
	Insns         Pointer
	License       Pointer
	LogLevel      uint32
	LogSize       uint32
	LogBuf        Pointer
	_             uint32 // kern_version
	Flags         uint32
	Name          Name
	_             [4]uint32 // prog_ifindex, expected_attach_type, prog_btf_fd, func_info_rec_size
	_             [2]uint32 // func_info
	_             [2]uint32 // func_info_cnt, line_info_rec_size
	_             [2]uint32 // line_info
	_             [4]uint32 // line_info_cnt, attach_btf_id, attach_prog_fd, core_relo_cnt
	FDArray       Pointer
	_             [2]uint32 // core_relos
	CORESize      uint32    // core_relo_rec_size
	_             [2]uint32 // log_true_size, prog_token_fd
	FDArrayCnt    uint32
	Signature     Pointer
	SignatureSize uint32
	KeyringID     int32
}

// ProgLoad verifies and loads a program, with its signature when attr has one.
func ProgLoad(k Kernel, attr *ProgLoadAttr) (int, error) { return call(k, ProgLoadCmd, attr) }

// progRunAttr is bpf_attr for BPF_PROG_RUN.
type progRunAttr struct {
	ProgFD    uint32
	Retval    uint32
	_         [2]uint32 // data_size_in, data_size_out
	_         [4]uint32 // data_in, data_out
	_         [2]uint32 // repeat, duration
	CtxSizeIn uint32
	_         uint32 // ctx_size_out
	CtxIn     Pointer
	_         [2]uint32 // ctx_out
	_         [4]uint32 // flags, cpu, batch_size, padding
}

// ProgRun runs a syscall program once. The kernel copies ctx, and copies the program's changes back into it
// (bpf_prog_test_run_syscall, net/bpf/test_run.c).
func ProgRun(k Kernel, progFD int, ctx []byte) (retval int32, err error) {
	attr := progRunAttr{ProgFD: uint32(progFD), CtxSizeIn: uint32(len(ctx)), CtxIn: BytesPointer(ctx)}
	_, err = call(k, ProgRunCmd, &attr)
	return int32(attr.Retval), err
}

// Address is where b is, for the places where the kernel wants a pointer in plain bytes. The caller keeps b alive, and
// b must be too large for a stack, which may move.
func Address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }
