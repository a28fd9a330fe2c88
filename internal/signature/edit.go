package signature

import (
	"bytes"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Put adds a signature to a loader, or replaces the one by the same key.
func Put(l *bundle.Loader, s bundle.Signature) {
	if i := find(l, s.KeyID); i >= 0 {
		l.Signatures[i] = s
		return
	}
	l.Signatures = append(l.Signatures, s)
}

// Has reports whether a loader has a signature by a key.
func Has(l *bundle.Loader, keyID []byte) bool { return find(l, keyID) >= 0 }

func find(l *bundle.Loader, keyID []byte) int {
	return slices.IndexFunc(l.Signatures, func(s bundle.Signature) bool { return bytes.Equal(s.KeyID, keyID) })
}

// Strip removes a bundle's signatures by a key, or all of them if keyID is nil. It returns how many there were.
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
