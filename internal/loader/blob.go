package loader

import "encoding/binary"

// blob is the metadata map's value in the making. Offsets are in bytes from its start.
type blob struct {
	order   binary.ByteOrder
	data    []byte
	limit   int    // of data
	dropped uint64 // how many bytes were not added, because they do not fit
	strings map[string]uint32
	records map[string]uint32 // by their bytes
	zero    *uint32           // where the key of four zero bytes is, once it was asked for
}

// add appends data at a multiple of align and returns where. What goes beyond the limit is only counted.
func (b *blob) add(data []byte, align int) uint32 {
	for len(b.data)%align != 0 {
		b.data = append(b.data, 0)
	}
	if len(data) > b.limit-len(b.data) {
		b.dropped += uint64(len(data))
		return 0
	}
	off := uint32(len(b.data))
	b.data = append(b.data, data...)
	return off
}

// str adds a string with its final zero, once, however often it is asked for.
func (b *blob) str(s string) uint32 {
	off, ok := b.strings[s]
	if !ok {
		off = b.add(append([]byte(s), 0), 1)
		b.strings[s] = off
	}
	return off
}

// shared adds data that nothing writes to, once for all that ask for the same bytes.
func (b *blob) shared(data []byte, align int) uint32 {
	off, ok := b.records[string(data)]
	if !ok {
		off = b.add(data, align)
		b.records[string(data)] = off
	}
	return off
}

// zeroKey returns where four zero bytes are: the key of an array's first element. They are added once.
func (b *blob) zeroKey() uint32 {
	if b.zero == nil {
		off := b.add(make([]byte, 4), 1)
		b.zero = &off
	}
	return *b.zero
}
