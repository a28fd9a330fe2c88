package bundle

import (
	"fmt"
	"math"
)

// malformed returns an error about a bundle that breaks the format's rules.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
}

// check holds a bundle to the rules that its types cannot express.
func (b *Bundle) check() error {
	switch {
	case len(b.Blob) < ContractOffset+ContractSize:
		return malformed("the blob has %d bytes and no room for the contract's digest", len(b.Blob))
	case len(b.Blob) > math.MaxInt32:
		return malformed("the blob has %d bytes, more than a map's value can have", len(b.Blob))
	case len(b.Loaders) == 0:
		return malformed("no loader")
	}
	c := checker{Contract: &b.Contract, blob: uint64(len(b.Blob))}
	if err := c.check(); err != nil {
		return err
	}
	return b.checkLoaders()
}

// checkLoaders holds the loaders and their signatures to the rules.
func (b *Bundle) checkLoaders() error {
	last := Scheme(0)
	for _, l := range b.Loaders {
		attestation, err := l.Scheme.Attestation()
		switch {
		case err != nil:
			return malformed("%w", err)
		case l.Scheme <= last:
			return malformed("two loaders for scheme %v, or loaders out of order", l.Scheme)
		case len(l.Insns) == 0 || len(l.Insns)%InsnSize != 0 || len(l.Insns)/InsnSize > MaxInsns:
			return malformed("the %v loader has %d bytes: not 1 to %d instructions", l.Scheme, len(l.Insns), MaxInsns)
		case attestation.SignsMap && len(l.Insns)+len(b.Blob) > MaxPayload:
			return malformed("instructions and blob have %d bytes, and the signature of scheme %v covers %d at most: "+
				"make the object's data smaller, or generate the bundle without scheme %v", len(l.Insns)+len(b.Blob), l.Scheme, MaxPayload, l.Scheme)
		}
		last = l.Scheme
		for _, s := range l.Signatures {
			_, err := ParseKind(string(s.Kind))
			switch {
			case len(s.CMS) == 0 || len(s.CMS) > MaxSignature:
				return malformed("a signature of %d bytes for scheme %v, want 1 to %d", len(s.CMS), l.Scheme, MaxSignature)
			case len(s.KeyID) == 0 || len(s.KeyID) > 64:
				return malformed("a key id of %d bytes for scheme %v, want 1 to 64", len(s.KeyID), l.Scheme)
			case err != nil:
				return malformed("a signature for scheme %v: %w", l.Scheme, err)
			}
		}
	}
	return nil
}
