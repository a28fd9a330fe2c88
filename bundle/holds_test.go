package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/go-quicktest/qt"
)

// Instructions hold a blob's digest if they load all four of its words in their order, in the object's byte order.
func TestHoldsDigest(t *testing.T) {
	blob := []byte("a blob, 20 bytes long") // and a multiple of 8 when the kernel hashes it
	digest := sha256.Sum256(append(append([]byte{}, blob...), 0, 0, 0))
	load := func(order binary.ByteOrder, words ...int) []byte {
		var insns []byte
		for _, w := range words {
			word := order.Uint64(digest[8*w:])
			slots := make([]byte, 2*InsnSize)
			slots[0] = loadImm64
			order.PutUint32(slots[4:], uint32(word))
			order.PutUint32(slots[InsnSize+4:], uint32(word>>32))
			insns = append(insns, slots...)
			insns = append(insns, make([]byte, InsnSize)...) // what is between two loads
		}
		return insns
	}
	le, be := binary.LittleEndian, binary.BigEndian
	for _, c := range []struct {
		name      string
		insns     []byte
		bigEndian bool
		want      bool
	}{
		{"little-endian", load(le, 0, 1, 2, 3), false, true},
		{"big-endian", load(be, 0, 1, 2, 3), true, true},
		{"the other byte order", load(be, 0, 1, 2, 3), false, false},
		{"a word less", load(le, 0, 1, 2), false, false},
		{"another order", load(le, 0, 2, 1, 3), false, false},
		{"a number between", load(le, 0, 0, 1, 1, 2, 3), false, true},
		{"half a load at the end", load(le, 0, 1, 2, 3)[:4*3*InsnSize-2*InsnSize], false, false},
		{"nothing", nil, false, false},
	} {
		b := &Bundle{Blob: blob}
		b.Object.BigEndian = c.bigEndian
		qt.Check(t, qt.Equals(b.HoldsDigest(&Loader{Insns: c.insns}), c.want), qt.Commentf("%s", c.name))
	}
	other := &Bundle{Blob: append([]byte{'A'}, blob[1:]...)}
	qt.Check(t, qt.IsFalse(other.HoldsDigest(&Loader{Insns: load(le, 0, 1, 2, 3)})))
}
