package cms

import (
	"crypto"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// version is that of both SignedData and SignerInfo where the signer is named by SubjectKeyIdentifier (RFC 5652,
// sections 5.1 and 5.3).
const version = 3

var (
	tagContext0 = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagContext1 = cbasn1.Tag(1).ContextSpecific().Constructed()
	// tagKeyID is SignerIdentifier's [0] IMPLICIT OCTET STRING.
	tagKeyID = cbasn1.Tag(0).ContextSpecific()
)

// Assemble returns the signature, in DER, whose value was made elsewhere, by a hardware module or a signing service:
// the PKCS#1 v1.5 block for RSA, the DER of ECDSA-Sig-Value (RFC 3279, section 2.2.3) for ECDSA. It does not
// verify the value: Verify does.
func Assemble(cert *x509.Certificate, hash crypto.Hash, rawSignature []byte) ([]byte, error) {
	if len(cert.SubjectKeyId) == 0 {
		return nil, ErrNoKeyID
	}
	algorithm, err := KeyAlgorithm(cert.PublicKey)
	if err != nil {
		return nil, err
	}
	digestOID, signatureOID, err := digestOIDs(hash)
	if err != nil {
		return nil, err
	}
	if algorithm == RSA {
		signatureOID = oidRSA
	}

	digestAlgorithm := func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(digestOID) // without parameters: RFC 5754, section 2
		})
	}
	signatureAlgorithm := func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(signatureOID)
			if algorithm == RSA {
				b.AddASN1NULL() // RFC 3370, section 3.2; ECDSA has no parameters
			}
		})
	}
	signerInfo := func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1(tagKeyID, func(b *cryptobyte.Builder) { b.AddBytes(cert.SubjectKeyId) })
		digestAlgorithm(b)
		signatureAlgorithm(b)
		b.AddASN1OctetString(rawSignature)
	}
	signedData := func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1(cbasn1.SET, digestAlgorithm)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidData) })
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, signerInfo) })
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(tagContext0, func(b *cryptobyte.Builder) { b.AddASN1(cbasn1.SEQUENCE, signedData) })
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("assemble the signature: %w", err)
	}
	return der, nil
}
