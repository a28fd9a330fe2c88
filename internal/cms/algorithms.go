package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the digest algorithms below
	_ "crypto/sha512"
	"encoding/asn1"
	"fmt"
	"strings"
)

// Algorithm is a signature algorithm.
type Algorithm uint8

// The signature algorithms. ML-DSA (RFC 9882), which some kernels take, would be the next: it signs the message itself
// and not a digest.
const (
	RSA   Algorithm = 1 // PKCS#1 v1.5 (RFC 8017, section 8.2)
	ECDSA Algorithm = 2 // (RFC 5753, section 2.1)
)

// String returns the algorithm's name.
func (a Algorithm) String() string {
	switch a {
	case RSA:
		return "RSA"
	case ECDSA:
		return "ECDSA"
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}

// Sizes of RSA keys, in bits: shorter ones are weak, and the kernel's crypto/rsa.c ends at 4096.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

var (
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}  // RFC 5652, section 5.1
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}  // RFC 5652, section 4
	oidRSA        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}  // rsaEncryption: RFC 3370, section 3.2
	oidRSAPSS     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10} // RFC 4056, section 2.2
)

// digests are the digest algorithms (RFC 5754, section 2) with the identifiers of ECDSA over each (section 3.3).
var digests = []struct {
	hash  crypto.Hash
	oid   asn1.ObjectIdentifier
	ecdsa asn1.ObjectIdentifier
}{
	{crypto.SHA256, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
	{crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}},
	{crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}},
}

// ParseHash returns the digest algorithm that a flag names: "sha256", "sha384" or "sha512".
func ParseHash(name string) (crypto.Hash, error) {
	for _, d := range digests {
		if HashName(d.hash) == name {
			return d.hash, nil
		}
	}
	return 0, fmt.Errorf("%q: %w", name, ErrUnsupportedHash)
}

// HashName is the inverse of ParseHash.
func HashName(h crypto.Hash) string {
	return strings.ToLower(strings.ReplaceAll(h.String(), "-", ""))
}

// CheckHash returns ErrUnsupportedHash for digest algorithms that cannot be signed.
func CheckHash(h crypto.Hash) error {
	_, _, err := digestOIDs(h)
	return err
}

// digestOIDs returns the identifiers of a digest algorithm and of ECDSA over it.
func digestOIDs(h crypto.Hash) (digest, overECDSA asn1.ObjectIdentifier, err error) {
	for _, d := range digests {
		if d.hash == h {
			return d.oid, d.ecdsa, nil
		}
	}
	return nil, nil, fmt.Errorf("%v: %w", h, ErrUnsupportedHash)
}

// KeyAlgorithm returns the algorithm that a public key signs with, or ErrUnsupportedKey.
func KeyAlgorithm(pub crypto.PublicKey) (Algorithm, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
			return 0, fmt.Errorf("RSA of %d bits: %w", n, ErrUnsupportedKey)
		}
		return RSA, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return 0, fmt.Errorf("ECDSA on %s: %w", k.Curve.Params().Name, ErrUnsupportedKey)
		}
		return ECDSA, nil
	}
	return 0, fmt.Errorf("%T: %w", pub, ErrUnsupportedKey)
}
