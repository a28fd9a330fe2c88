//go:build linux

package guest

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"
)

// program is what the kernel tells of one, less what is of a single load: ids, addresses, times.
type program struct {
	Name, Type   string
	Tag          string // the digest of its instructions as they were loaded, functions included
	Instructions int    // after the verifier's changes
	Verified     int
	GPL          bool
	Functions    int
	Lines        int
	Maps         int
	AttachTo     string // the BTF type's id and name
}

// bpfMap is what the kernel tells of a map.
type bpfMap struct {
	Name, Type                  string
	KeySize, ValueSize, Entries int
	Flags                       uint32
	Extra                       uint64
	Key, Value                  string // the types that its BTF gives
	KernelValue                 uint32 // the type of a struct_ops map's value, in the kernel's BTF
	Contents                    string // of a data section
}

// progInfo is the first part of struct bpf_prog_info, include/uapi/linux/bpf.h.
type progInfo struct {
	Type, ID                              uint32
	Tag                                   [8]byte
	JitedLen, XlatedLen                   uint32
	Jited, Xlated, LoadTime               uint64
	UID, Maps                             uint32
	MapIDs                                uint64
	Name                                  [16]byte
	Ifindex, GPL                          uint32
	NetnsDev, NetnsIno                    uint64
	JitedSyms, JitedLens                  uint32
	JitedSymsAddr, JitedLensAddr          uint64
	BTF, FuncSize                         uint32
	FuncInfo                              uint64
	Funcs, Lines                          uint32
	LineInfo, JitedLineInfo               uint64
	JitedLines, LineSize, JitedSize, Tags uint32
	TagsAddr, RunTime, RunCount, Missed   uint64
	Verified, AttachBTFObj, AttachBTF     uint32
	_                                     uint32
}

// mapInfo is struct bpf_map_info.
type mapInfo struct {
	Type, ID, KeySize, ValueSize, Entries, Flags uint32
	Name                                         [16]byte
	Ifindex, KernelValue                         uint32
	NetnsDev, NetnsIno                           uint64
	BTF, Key, Value, KernelBTF                   uint32
	Extra                                        uint64
}

// get is BPF_OBJ_GET_INFO_BY_FD.
func get[T any](t *testing.T, fd int, info *T) {
	t.Helper()
	attr := struct {
		fd, size uint32
		info     uint64
	}{uint32(fd), uint32(unsafe.Sizeof(*info)), address(t, info)}
	_, err := bpf(15, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	qt.Assert(t, qt.IsNil(err))
}

func programOf(t *testing.T, fd int) program {
	t.Helper()
	var i progInfo
	get(t, fd, &i)
	attach := ""
	if i.AttachBTF != 0 {
		attach = fmt.Sprintf("%d of BTF %d", i.AttachBTF, i.AttachBTFObj)
		if spec, err := btf.LoadKernelSpec(); err == nil && i.AttachBTFObj == 1 {
			typ, err := spec.TypeByID(btf.TypeID(i.AttachBTF))
			qt.Assert(t, qt.IsNil(err))
			attach = typ.TypeName()
		}
	}
	return program{
		Name: unix.ByteSliceToString(i.Name[:]), Type: ebpf.ProgramType(i.Type).String(), Tag: fmt.Sprintf("%x", i.Tag),
		Instructions: int(i.XlatedLen) / 8, Verified: int(i.Verified), GPL: i.GPL&1 == 1,
		Functions: int(i.Funcs), Lines: int(i.Lines), Maps: int(i.Maps), AttachTo: attach,
	}
}

func mapOf(t *testing.T, fd int) bpfMap {
	t.Helper()
	var i mapInfo
	get(t, fd, &i)
	m := bpfMap{
		Name: unix.ByteSliceToString(i.Name[:]), Type: ebpf.MapType(i.Type).String(),
		KeySize: int(i.KeySize), ValueSize: int(i.ValueSize), Entries: int(i.Entries), Flags: i.Flags, Extra: i.Extra,
		KernelValue: i.KernelValue,
	}
	if i.BTF != 0 {
		handle, err := btf.NewHandleFromID(btf.ID(i.BTF))
		qt.Assert(t, qt.IsNil(err))
		defer handle.Close()
		spec, err := handle.Spec(nil)
		qt.Assert(t, qt.IsNil(err))
		m.Key, m.Value = typeText(t, spec, i.Key), typeText(t, spec, i.Value)
	}
	_, section, isData := bytes.Cut(i.Name[:], []byte("."))
	// What is not known at build time is declared to us, and looked up by bpftool.
	if isData && ebpf.MapType(i.Type) == ebpf.Array && !bytes.HasPrefix(section, []byte("kconf")) {
		value := make([]byte, i.ValueSize)
		key := make([]byte, 4)
		attr := struct {
			fd         uint32
			_          uint32
			key, value uint64
			flags      uint64
		}{fd: uint32(fd), key: address(t, &key[0]), value: address(t, &value[0])}
		_, err := bpf(1, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		qt.Assert(t, qt.IsNil(err))
		m.Contents = fmt.Sprintf("%x", value)
	}
	return m
}

func typeText(t *testing.T, spec *btf.Spec, id uint32) string {
	t.Helper()
	if id == 0 {
		return ""
	}
	typ, err := spec.TypeByID(btf.TypeID(id))
	qt.Assert(t, qt.IsNil(err))
	size, _ := btf.Sizeof(typ)
	return fmt.Sprintf("%v, %d bytes: %s", typ, size, members(typ))
}

// members lists what a type consists of, one level deep: enough to tell that it is the same.
func members(typ btf.Type) string {
	switch t := btf.UnderlyingType(typ).(type) {
	case *btf.Struct:
		return fmt.Sprint(names(t.Members))
	case *btf.Union:
		return fmt.Sprint(names(t.Members))
	case *btf.Datasec:
		var list []string
		for _, v := range t.Vars {
			list = append(list, fmt.Sprintf("%s@%d+%d", v.Type.TypeName(), v.Offset, v.Size))
		}
		return fmt.Sprint(list)
	}
	return ""
}

func names(members []btf.Member) (list []string) {
	for _, m := range members {
		list = append(list, fmt.Sprintf("%s@%d", m.Name, m.Offset))
	}
	return list
}
