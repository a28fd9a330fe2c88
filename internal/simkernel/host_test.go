package simkernel

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// TestHost is what the kernel makes of a host's calls.
func TestHost(t *testing.T) {
	k := New(Config{Attest: AttestPayload})
	_, e := k.CreateMap(&Map{Type: mapArray, KeySize: 4, ValueSize: 8})
	qt.Check(t, qt.Equals(e, EINVAL))
	_, e = k.CreateMap(&Map{Type: mapArray, KeySize: 4, ValueSize: 8, MaxEntries: 1, ExclProgHash: []byte{1}})
	qt.Check(t, qt.Equals(e, EINVAL))
	fd, e := k.CreateMap(&Map{Type: mapArray, KeySize: 4, ValueSize: 7, MaxEntries: 1, Name: "m"})
	qt.Assert(t, qt.Equals(e, 0))
	qt.Check(t, qt.Equals(k.updateMap(fd, make([]byte, 7)), 0))
	qt.Check(t, qt.Equals(k.updateMap(fd, make([]byte, 8)), EFAULT))
	qt.Check(t, qt.Equals(k.updateMap(9, nil), EBADF))
	_, e = k.hashMap(fd)
	qt.Check(t, qt.Equals(e, EPERM)) // not frozen
	qt.Check(t, qt.Equals(k.freezeMap(fd), 0))
	qt.Check(t, qt.Equals(k.freezeMap(fd), EBUSY))
	qt.Check(t, qt.Equals(k.updateMap(fd, make([]byte, 7)), EPERM))
	sum, e := k.hashMap(fd)
	qt.Check(t, qt.Equals(e, 0))
	// A value of 7 bytes takes 8 in the array, and all are hashed.
	qt.Check(t, qt.Equals(fmt.Sprintf("%.4x", sum), "af5570f5"))

	insns := insn.Append(nil, binary.LittleEndian, insn.Insn{Op: insn.MovK, Dst: insn.R0}, insn.Insn{Op: insn.Exit})
	array := func(n uint32) int32 {
		fd, e := k.CreateMap(&Map{Type: mapArray, KeySize: 4, ValueSize: 8, MaxEntries: n})
		qt.Assert(t, qt.Equals(e, 0))
		return fd
	}
	for _, test := range []struct {
		name string
		attr LoadAttr
		want Errno
	}{
		{"no map", LoadAttr{Insns: insns}, EINVAL},
		{"half", LoadAttr{Insns: insns[:12]}, EINVAL},
		{"nothing", LoadAttr{}, E2BIG},
		{"bad descriptor", LoadAttr{Insns: insns, FDArray: []int32{77}}, EBADF},
		{"empty signature", LoadAttr{Insns: insns, Signature: []byte{}, FDArray: []int32{fd}, FDArrayCnt: 1}, EINVAL},
		{"long signature", LoadAttr{Insns: insns, Signature: make([]byte, bundle.MaxSignature+1), FDArray: []int32{fd}, FDArrayCnt: 1}, EINVAL},
		{"not exclusive", LoadAttr{Insns: insns, Signature: []byte{1}, FDArray: []int32{fd}, FDArrayCnt: 1}, EPERM},
		{"not frozen", LoadAttr{Insns: insns, Signature: []byte{1}, FDArray: []int32{array(1)}, FDArrayCnt: 1}, EPERM},
		{"two elements", LoadAttr{Insns: insns, Signature: []byte{1}, FDArray: []int32{array(2)}, FDArrayCnt: 1}, EINVAL},
		{"unsigned", LoadAttr{Insns: insns, FDArray: []int32{fd}}, 0},
	} {
		_, e, _ := k.Load(test.attr)
		qt.Check(t, qt.Equals(e, test.want), qt.Commentf("%s", test.name))
	}
	qt.Check(t, qt.Equals(Errno(9999).Error(), "errno 9999"))
}
