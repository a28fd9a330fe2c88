package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
)

// Sign returns the signature of a message's digest by the certificate's key, in DER. Equal input gives equal bytes where
// the signer is a Go key: ECDSA is then deterministic (RFC 6979).
//
// A signer that returns something else than asked for (another key, RSA-PSS) is an error. The fitness of the certificate
// is CheckCertificate's.
func Sign(signer crypto.Signer, cert *x509.Certificate, hash crypto.Hash, digest []byte) ([]byte, error) {
	if err := CheckPair(signer.Public(), cert); err != nil {
		return nil, err
	}
	if err := CheckHash(hash); err != nil {
		return nil, err
	}
	raw, err := signer.Sign(random(signer), digest, hash)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := verifyRaw(cert.PublicKey, hash, digest, raw); err != nil {
		return nil, fmt.Errorf("the signer's answer: %w", err)
	}
	return Assemble(cert, hash, raw)
}

// random returns the source of randomness to hand to a signer: none to Go's own ECDSA keys, which makes them
// deterministic; others may need one.
func random(signer crypto.Signer) io.Reader {
	if _, ok := signer.(*ecdsa.PrivateKey); ok {
		return nil
	}
	return rand.Reader
}
