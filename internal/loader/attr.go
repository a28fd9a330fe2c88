package loader

import "encoding/binary"

// Commands of bpf(2) (enum bpf_cmd, include/uapi/linux/bpf.h).
const (
	cmdMapCreate     = 0
	cmdMapUpdateElem = 2
	cmdProgLoad      = 5
	cmdBTFLoad       = 18
	cmdMapFreeze     = 22
)

// Where the fields of union bpf_attr are, in bytes.
const (
	// BPF_MAP_CREATE
	mapCreateType           = 0
	mapCreateKeySize        = 4
	mapCreateValueSize      = 8
	mapCreateMaxEntries     = 12
	mapCreateFlags          = 16
	mapCreateInnerMapFD     = 20
	mapCreateNUMANode       = 24
	mapCreateName           = 28
	mapCreateBTFFD          = 48
	mapCreateKeyType        = 52
	mapCreateValueType      = 56
	mapCreateVmlinuxValue   = 60
	mapCreateExtra          = 64
	mapCreateValueTypeBTFFD = 72

	// BPF_MAP_UPDATE_ELEM; the descriptor of BPF_MAP_FREEZE is at 0, too.
	mapUpdateMapFD = 0
	mapUpdateKey   = 8
	mapUpdateValue = 16
	mapUpdateFlags = 24

	// BPF_PROG_LOAD
	progLoadType            = 0
	progLoadInsnCnt         = 4
	progLoadInsns           = 8
	progLoadLicense         = 16
	progLoadLogLevel        = 24 // and log_size, right behind it
	progLoadLogBuf          = 32
	progLoadFlags           = 44
	progLoadName            = 48
	progLoadAttachType      = 68
	progLoadBTFFD           = 72
	progLoadFuncInfoRecSize = 76
	progLoadFuncInfo        = 80
	progLoadFuncInfoCnt     = 88
	progLoadLineInfoRecSize = 92
	progLoadLineInfo        = 96
	progLoadLineInfoCnt     = 104
	progLoadAttachBTFID     = 108
	progLoadAttachBTFObjFD  = 112
	progLoadCORECnt         = 116
	progLoadFDArray         = 120
	progLoadCORE            = 128
	progLoadCORERecSize     = 136

	// BPF_BTF_LOAD
	btfLoadBTF  = 0
	btfLoadSize = 16
)

// Where the fields of a loader's context are, in bytes (struct bpf_loader_ctx, tools/lib/bpf/skel_internal.h).
const (
	ctxLogLevel = 8 // and log_size, right behind it
	ctxLogBuf   = 16
)

// nameLen is BPF_OBJ_NAME_LEN.
const nameLen = 16

// attr is a union bpf_attr in the making: fields are set in any order, and it is as long as it needs to be.
type attr struct {
	order binary.ByteOrder
	data  []byte
}

// reserve makes the attribute reach to end, in bytes.
func (a *attr) reserve(end int) {
	for len(a.data) < end {
		a.data = append(a.data, 0)
	}
}

// u32 sets a field; a zero needs no bytes, the kernel takes what is missing for zeros.
func (a *attr) u32(off int, v uint32) {
	if v != 0 {
		a.reserve(off + 4)
		a.order.PutUint32(a.data[off:], v)
	}
}

func (a *attr) u64(off int, v uint64) {
	if v != 0 {
		a.reserve(off + 8)
		a.order.PutUint64(a.data[off:], v)
	}
}

func (a *attr) name(off int, s string) {
	if s != "" {
		a.reserve(off + nameLen)
		copy(a.data[off:off+nameLen-1], s)
	}
}
