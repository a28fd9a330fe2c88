package loader

import (
	"encoding/binary"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

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
		a.reserve(off + uapi.ObjNameLen)
		copy(a.data[off:off+uapi.ObjNameLen-1], s)
	}
}
