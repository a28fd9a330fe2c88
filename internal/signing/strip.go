package signing

import (
	"bytes"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Strip takes the signatures by a key away, or all of them if keyID is nil. It returns how many there were.
func Strip(b *bundle.Bundle, keyID []byte) int {
	n := 0
	for i := range b.Loaders {
		l := &b.Loaders[i]
		before := len(l.Signatures)
		l.Signatures = slices.DeleteFunc(l.Signatures, func(s bundle.Signature) bool {
			return keyID == nil || bytes.Equal(s.KeyID, keyID)
		})
		n += before - len(l.Signatures)
	}
	return n
}
