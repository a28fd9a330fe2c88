//go:build linux

package sys

import (
	"testing"
	"unsafe"

	"github.com/go-quicktest/qt"
)

// The layouts of include/uapi/linux/bpf.h, held at compile time: a difference is a negative constant of an unsigned
// type, so that `GOARCH=arm go vet` fails for each platform without running there.
const (
	_ = -(unsafe.Sizeof(Pointer{}) ^ 8)

	_ = -unsafe.Offsetof(MapCreateAttr{}.Type)
	_ = -(unsafe.Offsetof(MapCreateAttr{}.Flags) ^ 16)
	_ = -(unsafe.Offsetof(MapCreateAttr{}.Name) ^ 28)
	_ = -(unsafe.Offsetof(MapCreateAttr{}.ExclProgHash) ^ 80)
	_ = -(unsafe.Offsetof(MapCreateAttr{}.ExclProgHashSize) ^ 88)
	_ = -(unsafe.Sizeof(MapCreateAttr{}) ^ 96)

	_ = -(unsafe.Offsetof(mapElemAttr{}.Key) ^ 8)
	_ = -(unsafe.Offsetof(mapElemAttr{}.Value) ^ 16)
	_ = -(unsafe.Offsetof(mapElemAttr{}.Flags) ^ 24)
	_ = -(unsafe.Sizeof(mapElemAttr{}) ^ 32)

	_ = -(unsafe.Offsetof(infoAttr{}.InfoLen) ^ 4)
	_ = -(unsafe.Offsetof(infoAttr{}.Info) ^ 8)
	_ = -(unsafe.Sizeof(infoAttr{}) ^ 16)

	_ = -(unsafe.Offsetof(MapInfo{}.Flags) ^ 20)
	_ = -(unsafe.Offsetof(MapInfo{}.Name) ^ 24)
	_ = -(unsafe.Offsetof(MapInfo{}.Hash) ^ 88)
	_ = -(unsafe.Offsetof(MapInfo{}.HashSize) ^ 96)
	_ = -(unsafe.Sizeof(MapInfo{}) ^ 104)

	_ = -(unsafe.Offsetof(ProgInfo{}.Tag) ^ 8)
	_ = -(unsafe.Offsetof(ProgInfo{}.Name) ^ 64)
	_ = -(unsafe.Sizeof(ProgInfo{}) ^ 80)

	_ = -(unsafe.Offsetof(ProgLoadAttr{}.Insns) ^ 8)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.License) ^ 16)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.LogLevel) ^ 24)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.LogBuf) ^ 32)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.Flags) ^ 44)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.Name) ^ 48)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.FDArray) ^ 120)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.CORESize) ^ 136)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.FDArrayCnt) ^ 148)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.Signature) ^ 152)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.SignatureSize) ^ 160)
	_ = -(unsafe.Offsetof(ProgLoadAttr{}.KeyringID) ^ 164)
	_ = -(unsafe.Sizeof(ProgLoadAttr{}) ^ 168)

	_ = -(unsafe.Offsetof(progRunAttr{}.Retval) ^ 4)
	_ = -(unsafe.Offsetof(progRunAttr{}.CtxSizeIn) ^ 40)
	_ = -(unsafe.Offsetof(progRunAttr{}.CtxIn) ^ 48)
	_ = -(unsafe.Sizeof(progRunAttr{}) ^ 80)
)

func TestPointer(t *testing.T) {
	var x uint32
	p := PointerTo(&x)
	qt.Assert(t, qt.Equals(*(*uint64)(unsafe.Pointer(&p)), uint64(uintptr(unsafe.Pointer(&x)))))
	qt.Assert(t, qt.Equals(BytesPointer(nil), Pointer{}))
}

func TestName(t *testing.T) {
	qt.Assert(t, qt.Equals(NewName("events").String(), "events"))
	qt.Assert(t, qt.Equals(NewName("a_name_that_is_too_long").String(), "a_name_that_is_"))
}
