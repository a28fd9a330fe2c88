package cms

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of Parse, in bytes.
const (
	// MaxSize is KMALLOC_MAX_CACHE_SIZE with pages of 4 KiB: the kernel refuses a longer signature (kernel/bpf/syscall.c).
	MaxSize = 8192
	// MaxKeyID is the longest SubjectKeyIdentifier that is taken: twice as long as the usual digests.
	MaxKeyID = 64
)

// SignedData is a signature: who made it, how, and its value.
type SignedData struct {
	// KeyID is the SubjectKeyIdentifier of the signer's certificate.
	KeyID []byte
	// Hash is the digest algorithm, Algorithm the signature algorithm.
	Hash      crypto.Hash
	Algorithm Algorithm
	// Signature is the raw value, as Assemble takes it.
	Signature []byte
}

// Parse reads a signature of the one form that this package makes. Everything else is an error with ErrMalformed in its
// chain. The result shares no memory with der.
func Parse(der []byte) (*SignedData, error) {
	s, err := parse(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return s, nil
}

func parse(der []byte) (*SignedData, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%d bytes, and the kernel takes %d at the most", len(der), MaxSize)
	}
	if err := checkLength(der); err != nil {
		return nil, err
	}
	var (
		in                         = cryptobyte.String(der)
		contentInfo, explicit, sd  cryptobyte.String
		digestAlgs, content, infos cryptobyte.String
		contentType                asn1.ObjectIdentifier
		v                          int
	)
	// ContentInfo: RFC 5652, section 3.
	if !in.ReadASN1(&contentInfo, cbasn1.SEQUENCE) || !contentInfo.ReadASN1ObjectIdentifier(&contentType) {
		return nil, ErrNotDER
	}
	if !contentType.Equal(oidSignedData) {
		return nil, fmt.Errorf("%w: content type %v", ErrNotSignedData, contentType)
	}
	if !contentInfo.ReadASN1(&explicit, tagContext0) || !contentInfo.Empty() ||
		!explicit.ReadASN1(&sd, cbasn1.SEQUENCE) || !explicit.Empty() {
		return nil, ErrNotDER
	}

	// SignedData: section 5.1.
	if !sd.ReadASN1Integer(&v) || !sd.ReadASN1(&digestAlgs, cbasn1.SET) || !sd.ReadASN1(&content, cbasn1.SEQUENCE) {
		return nil, ErrNotDER
	}
	switch {
	case v == 1:
		return nil, ErrIssuerSerial
	case v != version:
		return nil, fmt.Errorf("%w: version %d, want %d", ErrNotSignedData, v, version)
	}
	if !content.ReadASN1ObjectIdentifier(&contentType) {
		return nil, ErrNotDER
	}
	if !contentType.Equal(oidData) {
		return nil, fmt.Errorf("%w but %v", ErrContentType, contentType)
	}
	if !content.Empty() {
		return nil, ErrNotDetached
	}
	if sd.PeekASN1Tag(tagContext0) || sd.PeekASN1Tag(tagContext1) {
		return nil, ErrCertificates
	}
	if !sd.ReadASN1(&infos, cbasn1.SET) || !sd.Empty() {
		return nil, ErrNotDER
	}

	hash, err := readDigestAlgorithm(&digestAlgs)
	if err != nil {
		return nil, err
	}
	if !digestAlgs.Empty() {
		return nil, ErrSigners
	}
	s, err := readSignerInfo(&infos)
	if err != nil {
		return nil, err
	}
	if !infos.Empty() {
		return nil, ErrSigners
	}
	if s.Hash != hash {
		return nil, fmt.Errorf("%w: the message's is %v, the signer's %v", ErrUnsupportedHash, hash, s.Hash)
	}
	return s, nil
}

// readSignerInfo reads one SignerInfo: section 5.3.
func readSignerInfo(infos *cryptobyte.String) (*SignedData, error) {
	if infos.Empty() {
		return nil, ErrSigners
	}
	var (
		s         SignedData
		info      cryptobyte.String
		keyID     cryptobyte.String
		signature cryptobyte.String
		v         int
		err       error
	)
	if !infos.ReadASN1(&info, cbasn1.SEQUENCE) || !info.ReadASN1Integer(&v) {
		return nil, ErrNotDER
	}
	if v == 1 || info.PeekASN1Tag(cbasn1.SEQUENCE) {
		return nil, ErrIssuerSerial
	}
	if v != version || !info.ReadASN1(&keyID, tagKeyID) {
		return nil, ErrNotDER
	}
	if len(keyID) == 0 || len(keyID) > MaxKeyID {
		return nil, fmt.Errorf("a key id of %d bytes, want 1 to %d", len(keyID), MaxKeyID)
	}
	if s.Hash, err = readDigestAlgorithm(&info); err != nil {
		return nil, err
	}
	if info.PeekASN1Tag(tagContext0) {
		return nil, fmt.Errorf("%w (signed ones)", ErrAttributes)
	}
	if s.Algorithm, err = readSignatureAlgorithm(&info, s.Hash); err != nil {
		return nil, err
	}
	if !info.ReadASN1(&signature, cbasn1.OCTET_STRING) {
		return nil, ErrNotDER
	}
	if info.PeekASN1Tag(tagContext1) {
		return nil, fmt.Errorf("%w (unsigned ones)", ErrAttributes)
	}
	if !info.Empty() {
		return nil, ErrNotDER
	}
	s.KeyID = bytes.Clone(keyID)
	s.Signature = bytes.Clone(signature)
	return &s, nil
}

// readDigestAlgorithm reads a DigestAlgorithmIdentifier. Its parameters may be NULL (RFC 5754, section 2).
func readDigestAlgorithm(in *cryptobyte.String) (crypto.Hash, error) {
	oid, _, ok := readAlgorithm(in)
	if !ok {
		return 0, ErrNotDER
	}
	for _, d := range digests {
		if oid.Equal(d.oid) {
			return d.hash, nil
		}
	}
	return 0, fmt.Errorf("%w, not %v", ErrUnsupportedHash, oid)
}

// readSignatureAlgorithm reads a SignatureAlgorithmIdentifier. The kernel knows RSA as rsaEncryption only, and ECDSA
// with a digest, which must be the signer's (pkcs7_sig_note_pkey_algo, crypto/asymmetric_keys/pkcs7_parser.c).
func readSignatureAlgorithm(in *cryptobyte.String, hash crypto.Hash) (Algorithm, error) {
	probe := *in
	var seq cryptobyte.String
	var oid asn1.ObjectIdentifier
	if probe.ReadASN1(&seq, cbasn1.SEQUENCE) && seq.ReadASN1ObjectIdentifier(&oid) && oid.Equal(oidRSAPSS) {
		return 0, ErrPSS // its parameters are not read
	}
	oid, null, ok := readAlgorithm(in)
	if !ok {
		return 0, ErrNotDER
	}
	if oid.Equal(oidRSA) {
		return RSA, nil
	}
	for _, d := range digests {
		if !oid.Equal(d.ecdsa) {
			continue
		}
		if d.hash != hash || null {
			return 0, fmt.Errorf("%w: ECDSA with %v over a digest by %v", ErrUnsupportedAlgorithm, d.hash, hash)
		}
		return ECDSA, nil
	}
	return 0, fmt.Errorf("%w, not %v", ErrUnsupportedAlgorithm, oid)
}

// readAlgorithm reads an AlgorithmIdentifier whose parameters are absent or NULL.
func readAlgorithm(in *cryptobyte.String) (oid asn1.ObjectIdentifier, null, ok bool) {
	var seq, params cryptobyte.String
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&oid) ||
		!seq.ReadOptionalASN1(&params, &null, cbasn1.NULL) {
		return nil, false, false
	}
	return oid, null, params.Empty() && seq.Empty()
}

// checkLength compares the length in the outermost header with what is there, to tell a truncated signature from other
// garbage.
func checkLength(der []byte) error {
	if len(der) < 2 {
		return ErrTruncated
	}
	if bytes.HasPrefix(der, []byte("-----BEGIN")) {
		return ErrPEM
	}
	if der[0] != byte(cbasn1.SEQUENCE) {
		return ErrNotDER
	}
	n, header := int(der[1]), 2
	if n >= 0x80 {
		size := n - 0x80
		if size == 0 || size > 2 { // indefinite, or more than MaxSize
			return ErrNotDER
		}
		if len(der) < 2+size {
			return ErrTruncated
		}
		n, header = 0, 2+size
		for _, b := range der[2:header] {
			n = n<<8 | int(b)
		}
	}
	switch have := len(der) - header; {
	case have < n:
		return fmt.Errorf("%w (%d of %d bytes)", ErrTruncated, len(der), header+n)
	case have > n:
		return fmt.Errorf("%w (%d)", ErrTrailing, have-n)
	}
	return nil
}
