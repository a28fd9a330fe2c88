package loads

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// byteOrder is the running machine's; the loaders are for little-endian ones.
var byteOrder = binary.NativeEndian

// Where the fields of union bpf_attr are that loaders do not use, in bytes (include/uapi/linux/bpf.h).
const (
	// BPF_PROG_RUN
	runProgFD  = 0
	runRetval  = 4
	runCtxSize = 40
	runCtx     = 48

	// BPF_OBJ_GET_INFO_BY_FD
	infoFD   = 0
	infoSize = 4
	info     = 8
)

// Where the fields of struct bpf_map_info are for the hash, in bytes.
const (
	mapInfoHash     = 88
	mapInfoHashSize = 96
	mapInfoEnd      = 104
)

// attr is a union bpf_attr: numbers at offsets. What pointers in it point at is kept alive by keep.
type attr struct {
	b    [168]byte // sizeof(union bpf_attr), Linux 7.3
	keep []any
}

func (a *attr) u32(off int, v uint32) *attr {
	byteOrder.PutUint32(a.b[off:], v)
	return a
}

func (a *attr) bytes(off int, b []byte) *attr {
	if len(b) > 0 {
		a.keep = append(a.keep, &b[0])
		byteOrder.PutUint64(a.b[off:], uint64(uintptr(unsafe.Pointer(&b[0]))))
	}
	return a
}

func (a *attr) call(cmd uapi.Cmd) (int, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, k := range a.keep {
		pin.Pin(k)
	}
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(&a.b)), unsafe.Sizeof(a.b))
		switch errno {
		case 0:
			return int(r), nil
		case unix.EAGAIN: // the verifier was interrupted by a signal
			continue
		}
		return 0, errno
	}
}

// Enroll puts the test's certificate where Real has signatures looked for.
func Enroll() error {
	_, err := unix.AddKey("asymmetric", "rules_bpf test", certDER, unix.KEY_SPEC_SESSION_KEYRING)
	return err
}

// Real returns the outcome of a case in the running kernel, as Simulate does.
func Real(c Case) (string, error) {
	for {
		got, err := real(c)
		// A signal, and Go's runtime sends itself many, interrupts the verifier; for programs that the loader loads it
		// is too late to try again.
		if got != "run "+simkernel.Errno(unix.EAGAIN).String() {
			return got, err
		}
	}
}

func real(c Case) (string, error) {
	insns, blob := slices.Clone(c.Loader.Insns), slices.Clone(c.Loader.Blob)
	switch c.Scenario {
	case simkernel.TamperedBlob:
		blob[len(blob)-1] ^= 1
	case simkernel.TamperedInsns:
		insns[len(insns)-1] ^= 1
	}
	create := (&attr{}).u32(uapi.MapCreateType, uint32(uapi.MapTypeArray)).u32(uapi.MapCreateKeySize, 4).
		u32(uapi.MapCreateValueSize, uint32(len(blob))).u32(uapi.MapCreateMaxEntries, 1)
	signed := c.Loader.Scheme != 0
	if signed && c.Scenario != simkernel.NonExclusive && c.Scenario != simkernel.StaleHash {
		hash := sha256.Sum256(insns)
		if c.Scenario == simkernel.WrongProgram {
			hash[0] ^= 1
		}
		create.bytes(uapi.MapCreateExclProgHash, hash[:]).u32(uapi.MapCreateExclProgHashSize, sha256.Size)
	}
	m, err := create.call(uapi.CmdMapCreate)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		return "", ErrNoBPF
	}
	if err != nil {
		return outcome("host", err)
	}
	defer unix.Close(m)
	update := (&attr{}).u32(uapi.MapUpdateMapFD, uint32(m)).bytes(uapi.MapUpdateKey, make([]byte, 4)).bytes(uapi.MapUpdateValue, blob)
	if _, err := update.call(uapi.CmdMapUpdateElem); err != nil {
		return outcome("host", err)
	}
	if signed && c.Scenario != simkernel.NotFrozen {
		if _, err := (&attr{}).u32(uapi.MapFreezeMapFD, uint32(m)).call(uapi.CmdMapFreeze); err != nil {
			return outcome("host", err)
		}
	}
	if c.Loader.Scheme == bundle.MapHash && c.Scenario != simkernel.NotHashed {
		if err := haveHashed(m); err != nil && c.Scenario != simkernel.NotFrozen {
			return outcome("host", err)
		}
	}
	if c.Scenario == simkernel.StaleHash {
		if err := rewrite(m, len(blob)-1); err != nil {
			return outcome("host", err)
		}
	}
	fds := byteOrder.AppendUint32(nil, uint32(m))
	load := progLoad(insns).bytes(uapi.ProgLoadFDArray, fds)
	if c.Signature != nil {
		load.bytes(uapi.ProgLoadSignature, c.Signature).u32(uapi.ProgLoadSignatureSize, uint32(len(c.Signature))).
			u32(uapi.ProgLoadKeyringID, 0xffffffff&uint32(keyring))
	}
	if c.Loader.Scheme == bundle.Payload {
		load.u32(uapi.ProgLoadFDArrayCnt, 1)
	}
	prog, err := load.call(uapi.CmdProgLoad)
	if err != nil {
		return outcome("load", err)
	}
	defer unix.Close(prog)
	ctx := make([]byte, c.Loader.CtxSize)
	byteOrder.PutUint32(ctx, uint32(len(ctx)))
	ret, err := run(prog, ctx)
	switch {
	case err != nil:
		return outcome("run", err)
	case ret < 0:
		return outcome("run", unix.Errno(-ret))
	}
	for off := bundle.CtxHeaderSize; off+4 <= len(ctx); off += 4 { // our descriptors are here, bpftool's between other fields
		if fd := int(byteOrder.Uint32(ctx[off:])); fd > 0 && fd < 1<<16 {
			unix.Close(fd)
		}
	}
	return "run ok", nil
}

// keyring is where the certificate is looked for.
var keyring int32 = unix.KEY_SPEC_SESSION_KEYRING

// outcome names a result as package simkernel does.
func outcome(stage string, err error) (string, error) {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return "", err
	}
	return fmt.Sprint(stage, " ", simkernel.Errno(errno)), nil
}

func progLoad(insns []byte) *attr {
	return (&attr{}).u32(uapi.ProgLoadType, uint32(uapi.ProgTypeSyscall)).u32(uapi.ProgLoadFlags, uint32(uapi.ProgFlagSleepable)).
		u32(uapi.ProgLoadInsnCnt, uint32(len(insns)/insn.Size)).bytes(uapi.ProgLoadInsns, insns).
		bytes(uapi.ProgLoadLicense, []byte("Dual BSD/GPL\x00"))
}

func run(prog int, ctx []byte) (int32, error) {
	a := (&attr{}).u32(runProgFD, uint32(prog)).u32(runCtxSize, uint32(len(ctx))).bytes(runCtx, ctx)
	_, err := a.call(uapi.CmdProgRun)
	return int32(byteOrder.Uint32(a.b[runRetval:])), err
}

// haveHashed is BPF_OBJ_GET_INFO_BY_FD with a place for the hash.
func haveHashed(m int) error {
	mapInfo := make([]byte, mapInfoEnd)
	hash := make([]byte, sha256.Size)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&hash[0])
	byteOrder.PutUint64(mapInfo[mapInfoHash:], uint64(uintptr(unsafe.Pointer(&hash[0]))))
	byteOrder.PutUint32(mapInfo[mapInfoHashSize:], sha256.Size)
	_, err := (&attr{}).u32(infoFD, uint32(m)).u32(infoSize, uint32(len(mapInfo))).bytes(info, mapInfo).call(uapi.CmdObjGetInfoByFD)
	return err
}

// rewrite has another program flip a bit of a map's value.
func rewrite(m, off int) error {
	prog, err := progLoad(insn.Append(nil, byteOrder,
		insn.Insn{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapValue, Imm: int32(m)}, insn.Insn{Imm: int32(off)},
		insn.Insn{Op: insn.LoadB, Dst: insn.R2, Src: insn.R1}, insn.Insn{Op: 0xa7, Dst: insn.R2, Imm: 1}, // r2 ^= 1
		insn.Insn{Op: insn.StoreB, Dst: insn.R1, Src: insn.R2}, mov(0), exit)).call(uapi.CmdProgLoad)
	if err != nil {
		return err
	}
	defer unix.Close(prog)
	_, err = run(prog, nil)
	return err
}
