package simkernel

import (
	"encoding/binary"
	"fmt"
)

// The address space: regions far apart, so that an address says which region it was meant for even when it is outside of
// it. The program sees the first ones; user memory is for bpf_copy_from_user alone.
const (
	regionSpan = 1 << 40

	ctxBase   = 0xffff_8100_0000_0000
	blobBase  = 0xffff_8200_0000_0000
	mapBase   = 0xffff_8300_0000_0000 // struct bpf_map of the metadata map
	stackBase = 0xffff_8400_0000_0000 // one span a frame
	ksymBase  = 0xffff_ffff_8100_0000 // what bpf_kallsyms_lookup_name answers; nothing can be read there
)

// region is a piece of memory with a name.
type region struct {
	name string
	base uint64
	data []byte
	// init marks the bytes that have a value; nil if all have.
	init []bool
	// readOnly regions are for the kernel to write.
	readOnly bool
	// wrote, if not nil, hears of every store of a program.
	wrote func(off, size int)
}

// memory is the address space of a run.
type memory struct {
	order   binary.ByteOrder
	regions []*region
}

func (m *memory) add(r *region) { m.regions = append(m.regions, r) }

// drop removes the region that was added last.
func (m *memory) drop() { m.regions = m.regions[:len(m.regions)-1] }

// find returns the region of size bytes at addr and the offset in it.
func (m *memory) find(addr, size uint64) (*region, int, error) {
	for _, r := range m.regions {
		off := addr - r.base
		if int64(off) < -regionSpan/2 || int64(off) >= regionSpan/2 {
			continue
		}
		if off > uint64(len(r.data)) || size > uint64(len(r.data))-off {
			return nil, 0, fmt.Errorf("%d bytes at %s%+d are outside of it: it has %d", size, r.name, int64(off), len(r.data))
		}
		return r, int(off), nil
	}
	return nil, 0, fmt.Errorf("%d bytes at address %#x, where nothing is", size, addr)
}

// read returns the bytes at an address, which all have a value. They alias the memory.
func (m *memory) read(addr, size uint64) ([]byte, error) {
	r, off, err := m.find(addr, size)
	if err != nil {
		return nil, err
	}
	if r.init != nil {
		for i := off; i < off+int(size); i++ {
			if !r.init[i] {
				return nil, fmt.Errorf("byte %d of %s has no value yet", i, r.name)
			}
		}
	}
	return r.data[off : off+int(size) : off+int(size)], nil
}

// write returns the bytes at an address for a program's store of size bytes, and marks them as having a value.
func (m *memory) write(addr, size uint64) ([]byte, error) {
	r, off, err := m.find(addr, size)
	if err != nil {
		return nil, err
	}
	if r.readOnly {
		return nil, fmt.Errorf("%s is read-only", r.name)
	}
	if r.init != nil {
		for i := off; i < off+int(size); i++ {
			r.init[i] = true
		}
	}
	if r.wrote != nil {
		r.wrote(off, int(size))
	}
	return r.data[off : off+int(size) : off+int(size)], nil
}

// cstring returns the text at an address up to its NUL, which must be among the first max bytes.
func (m *memory) cstring(addr uint64, max int) (string, bool) {
	var text []byte
	for i := range max {
		b, err := m.read(addr+uint64(i), 1)
		if err != nil {
			return "", false
		}
		if b[0] == 0 {
			return string(text), true
		}
		text = append(text, b[0])
	}
	return "", false
}

// load reads an unsigned integer of 1, 2, 4 or 8 bytes.
func load(order binary.ByteOrder, b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(order.Uint16(b))
	case 4:
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

// store writes the low bytes of v over b, which has 1, 2, 4 or 8.
func store(order binary.ByteOrder, b []byte, v uint64) {
	switch len(b) {
	case 1:
		b[0] = byte(v)
	case 2:
		order.PutUint16(b, uint16(v))
	case 4:
		order.PutUint32(b, uint32(v))
	default:
		order.PutUint64(b, v)
	}
}
