package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// loadImm64 is BPF_LD | BPF_IMM | BPF_DW, the first of the two slots that load a 64-bit number.
const loadImm64 = 0x18

// HoldsDigest reports whether the instructions of b's loader l load the four words of the blob's SHA-256 digest, in their order,
// as a loader does that compares the metadata map with what the signer saw. It reads the instructions one after the other and
// does not follow them: of instructions that a trusted key signed it says which blob they were signed with.
func (b *Bundle) HoldsDigest(l *Loader) bool {
	var order binary.ByteOrder = binary.LittleEndian
	if b.Object.BigEndian {
		order = binary.BigEndian
	}
	// The kernel hashes whole array elements, which are multiples of 8 bytes (array_map_get_hash).
	digest := sha256.Sum256(append(bytes.Clone(b.Blob), make([]byte, -len(b.Blob)&7)...))
	want := digest[:]
	for i := 0; i+2*InsnSize <= len(l.Insns) && len(want) > 0; i += InsnSize {
		if l.Insns[i] != loadImm64 {
			continue
		}
		// The word is compared as it is in memory; of the immediate, the lower half comes first.
		lower, upper := order.Uint32(l.Insns[i+4:]), order.Uint32(l.Insns[i+InsnSize+4:])
		if order.Uint64(want) == uint64(upper)<<32|uint64(lower) {
			want = want[8:]
		}
		i += InsnSize
	}
	return len(want) == 0
}
