package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// Verify returns nil if s is the signature of message by the certificate's key. Otherwise the error's chain has
// ErrWrongCertificate, ErrWrongBytes, ErrPSS or ErrBadSignature. The fitness of the certificate is CheckCertificate's.
func (s *SignedData) Verify(cert *x509.Certificate, message []byte) error {
	if err := CheckHash(s.Hash); err != nil {
		return err
	}
	h := s.Hash.New()
	h.Write(message)
	return s.VerifyDigest(cert, h.Sum(nil))
}

// VerifyDigest is Verify for a message whose digest by s.Hash is known.
func (s *SignedData) VerifyDigest(cert *x509.Certificate, digest []byte) error {
	if len(cert.SubjectKeyId) == 0 {
		return ErrNoKeyID
	}
	if !bytes.Equal(s.KeyID, cert.SubjectKeyId) {
		return fmt.Errorf("%w: signed by key %x, the certificate's key is %x", ErrWrongCertificate, s.KeyID, cert.SubjectKeyId)
	}
	algorithm, err := KeyAlgorithm(cert.PublicKey)
	if err != nil {
		return err
	}
	if algorithm != s.Algorithm {
		return fmt.Errorf("%w: it is an %v signature, the certificate's key is for %v", ErrWrongCertificate, s.Algorithm, algorithm)
	}
	return verifyRaw(cert.PublicKey, s.Hash, digest, s.Signature)
}

// verifyRaw verifies a signature's value, and says as well as can be told why it does not hold.
func verifyRaw(pub crypto.PublicKey, hash crypto.Hash, digest, signature []byte) error {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(pub, hash, digest, signature) == nil {
			return nil
		}
		return diagnoseRSA(pub, hash, digest, signature)
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(pub, digest, signature) {
			return nil
		}
		return diagnoseECDSA(pub, signature)
	}
	return fmt.Errorf("%T: %w", pub, ErrUnsupportedKey)
}
