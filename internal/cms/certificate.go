package cms

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// CheckCertificate returns what makes a certificate unfit for signing loaders at a time, all of it at once: ErrNoKeyID,
// ErrKeyUsage, ErrExtKeyUsage, ErrExpired, ErrNotYetValid and ErrUnsupportedKey can be in the error's chain.
func CheckCertificate(cert *x509.Certificate, now time.Time) error {
	errs := []error{CheckUsage(cert)}
	if len(cert.SubjectKeyId) == 0 {
		errs = append(errs, ErrNoKeyID)
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

// CheckUsage returns ErrKeyUsage and ErrExtKeyUsage if a certificate's key is for other things than signing code.
func CheckUsage(cert *x509.Certificate) error {
	var errs []error
	if cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		errs = append(errs, ErrKeyUsage)
	}
	if !mayExtKeyUsage(cert) {
		errs = append(errs, ErrExtKeyUsage)
	}
	return errors.Join(errs...)
}

// mayExtKeyUsage reports whether the extension, if there is one, allows code signing (RFC 5280, section 4.2.1.12).
func mayExtKeyUsage(cert *x509.Certificate) bool {
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.ContainsFunc(cert.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		return u == x509.ExtKeyUsageCodeSigning || u == x509.ExtKeyUsageAny
	})
}

// CheckPair returns ErrKeyMismatch if a public key is not the certificate's.
func CheckPair(pub crypto.PublicKey, cert *x509.Certificate) error {
	if k, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(pub) {
		return ErrKeyMismatch
	}
	return nil
}
