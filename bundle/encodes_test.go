package bundle

import (
	"testing"

	"github.com/go-quicktest/qt"
)

// The comparison that Decode makes in place is that with what Encode writes, at every length of a length.
func TestEncodesTo(t *testing.T) {
	for _, n := range []int{1, 23, 24, 255, 256, 65535, 65536, 100_000} {
		b := &Bundle{Blob: make([]byte, n)}
		b.Blob[n-1] = 1
		data := write(t, b)
		contract, err := b.Contract.encode()
		qt.Assert(t, qt.IsNil(err))
		same, err := b.encodesTo(data, contract)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.IsTrue(same), qt.Commentf("%d bytes", n))
		for _, i := range []int{0, len(data) - n - 1, len(data) - n, len(data) - 1} {
			data[i] ^= 1
			same, err := b.encodesTo(data, contract)
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.IsFalse(same), qt.Commentf("%d bytes, byte %d changed", n, i))
			data[i] ^= 1
		}
		for _, other := range [][]byte{data[:len(data)-1], append(data[:len(data):len(data)], 0)} {
			same, err := b.encodesTo(other, contract)
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.IsFalse(same))
		}
	}
}
