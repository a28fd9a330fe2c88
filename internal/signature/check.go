// Package signature is about the signatures of a bundle's loaders, for those who sign and those who verify: it checks one,
// adds one and removes them.
package signature

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
)

// What can be wrong besides what package cms finds.
var (
	// ErrScheme: the bundle has no loader for a scheme.
	ErrScheme = errors.New("scheme missing")
	// ErrOtherScheme: the signature is good, but it was made for the other scheme's bytes.
	ErrOtherScheme = errors.New("the signature was made for another scheme")
	// ErrBlob: the signature of the instructions is good, and they check another blob than the bundle's. Somebody changed the blob:
	// the programs, their data, or the contract's digest.
	ErrBlob = errors.New("the blob is not the one that the signed instructions check")
)

// Check returns nil if der is the signature of b's loader l by the certificate's key, and vouches for b's blob. Otherwise the
// error says why, and has a sentinel of this package, of package cms or bundle.ErrUnknownScheme in its chain.
func Check(b *bundle.Bundle, l *bundle.Loader, der []byte, cert *x509.Certificate) error {
	sd, err := cms.Parse(der)
	if err != nil {
		return err
	}
	signed, err := b.SignedBytes(l)
	if err != nil {
		return err
	}
	err = sd.Verify(cert, signed)
	if errors.Is(err, cms.ErrWrongBytes) || errors.Is(err, cms.ErrBadSignature) {
		if other := otherScheme(b, l, sd, cert); other != 0 {
			return fmt.Errorf("%w: %v, and this is the loader for %v", ErrOtherScheme, other, l.Scheme)
		}
	}
	if err != nil {
		return err
	}
	return checkBlob(b, l)
}

// checkBlob returns an error unless what l's signature covers says which blob it is: the blob itself, or its digest in the
// instructions.
func checkBlob(b *bundle.Bundle, l *bundle.Loader) error {
	attestation, err := l.Scheme.Attestation()
	if err != nil {
		return err
	}
	if !attestation.SignsMap && !b.HoldsDigest(l) {
		return ErrBlob
	}
	return nil
}

// otherScheme returns the scheme that a signature was made for if it was not l's, or 0.
func otherScheme(b *bundle.Bundle, l *bundle.Loader, sd *cms.SignedData, cert *x509.Certificate) bundle.Scheme {
	signs := func(o *bundle.Loader) bool {
		signed, err := b.SignedBytes(o)
		return err == nil && sd.Verify(cert, signed) == nil
	}
	for i := range b.Loaders {
		if o := &b.Loaders[i]; o.Scheme != l.Scheme && signs(o) {
			return o.Scheme
		}
	}
	// The bundle may have no loader for the other scheme, and what was signed is l's instructions as that scheme signs them.
	for _, s := range bundle.Schemes {
		o := *l
		o.Scheme = s
		if s != l.Scheme && signs(&o) {
			return s
		}
	}
	return 0
}
