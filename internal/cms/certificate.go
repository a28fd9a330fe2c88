package cms

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// CheckCertificate returns what makes a certificate unfit for signing loaders at a time, all of it at once: ErrNoKeyID,
// ErrKeyUsage, ErrExpired, ErrNotYetValid and ErrUnsupportedKey can be in the error's chain.
func CheckCertificate(cert *x509.Certificate, now time.Time) error {
	var errs []error
	if len(cert.SubjectKeyId) == 0 {
		errs = append(errs, ErrNoKeyID)
	}
	if cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		errs = append(errs, ErrKeyUsage)
	}
	if now.After(cert.NotAfter) {
		errs = append(errs, fmt.Errorf("%w (not after %s)", ErrExpired, cert.NotAfter.UTC().Format(time.RFC3339)))
	}
	if now.Before(cert.NotBefore) {
		errs = append(errs, fmt.Errorf("%w (not before %s)", ErrNotYetValid, cert.NotBefore.UTC().Format(time.RFC3339)))
	}
	if _, err := KeyAlgorithm(cert.PublicKey); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// CheckPair returns ErrKeyMismatch if a public key is not the certificate's.
func CheckPair(pub crypto.PublicKey, cert *x509.Certificate) error {
	if k, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(pub) {
		return ErrKeyMismatch
	}
	return nil
}
