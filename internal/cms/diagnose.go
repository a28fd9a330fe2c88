package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// diagnoseRSA says why a value is not the PKCS#1 v1.5 signature of digest. RSA shows what was signed, so most mistakes
// can be named.
func diagnoseRSA(pub *rsa.PublicKey, hash crypto.Hash, digest, signature []byte) error {
	if len(signature) != pub.Size() {
		return fmt.Errorf("%w: %d bytes, and the key's signatures have %d", ErrBadSignature, len(signature), pub.Size())
	}
	for _, d := range digests {
		if signed, ok := signedDigest(pub, d.hash, signature); ok {
			if d.hash != hash {
				return fmt.Errorf("%w: it is of a digest by %v, and %v is wanted", ErrBadSignature, d.hash, hash)
			}
			return &WrongBytesError{Hash: hash, Signed: signed, Have: digest}
		}
	}
	if rsa.VerifyPSS(pub, hash, digest, signature, nil) == nil {
		return ErrPSS
	}
	return ErrBadSignature
}

// signedDigest returns the digest in an RSA PKCS#1 v1.5 signature, if it is one by pub with the digest algorithm h.
func signedDigest(pub *rsa.PublicKey, h crypto.Hash, signature []byte) ([]byte, bool) {
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(pub.N) >= 0 {
		return nil, false
	}
	em := s.Exp(s, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, pub.Size()))
	digest := em[len(em)-h.Size():]
	// The check of the padding is the library's.
	return bytes.Clone(digest), rsa.VerifyPKCS1v15(pub, h, digest, signature) == nil
}

// diagnoseECDSA says why a value is not an ECDSA signature of a digest. It does not show what was signed.
func diagnoseECDSA(pub *ecdsa.PublicKey, signature []byte) error {
	var (
		in   = cryptobyte.String(signature)
		seq  cryptobyte.String
		r, s big.Int
	)
	if in.ReadASN1(&seq, cbasn1.SEQUENCE) && in.Empty() && seq.ReadASN1Integer(&r) && seq.ReadASN1Integer(&s) && seq.Empty() {
		return ErrBadSignature
	}
	size := (pub.Curve.Params().BitSize + 7) / 8
	if len(signature) == 2*size {
		return fmt.Errorf("%w: it is r and s side by side (IEEE P1363), and CMS wants the DER of SEQUENCE {r, s}", ErrBadSignature)
	}
	return fmt.Errorf("%w: it is not the DER of SEQUENCE {r, s} but %d other bytes", ErrBadSignature, len(signature))
}
