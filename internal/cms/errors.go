package cms

import (
	"crypto"
	"errors"
	"fmt"
)

// What can be wrong with a certificate or with the key that belongs to it. The message says how to mend it.
var (
	// ErrNoKeyID: the signer could not be named.
	ErrNoKeyID = errors.New("the certificate has no SubjectKeyIdentifier, by which the kernel finds the key: " +
		"make it with `openssl req -x509 -addext subjectKeyIdentifier=hash`, or with `signtool keygen`")
	// ErrKeyUsage: kernels may keep keyrings that only take keys for digital signatures (restrict_link_by_digsig,
	// crypto/asymmetric_keys/restrict.c).
	ErrKeyUsage = errors.New("the certificate's key usage lacks digitalSignature: " +
		"make it with `openssl req -x509 -addext keyUsage=digitalSignature`, or with `signtool keygen`")
	// ErrExtKeyUsage: the certificate is for a server, mail, or another purpose that its issuer has named. Linux does not read
	// the extension (as of 7.3, x509_process_extension in crypto/asymmetric_keys/x509_cert_parser.c) and would take signatures
	// by the key, so signing and verifying must not.
	ErrExtKeyUsage = errors.New("the certificate's extended key usage does not allow code signing: " +
		"have it issued with `-addext extendedKeyUsage=codeSigning` or without the extension, or use `signtool keygen`")
	// ErrExpired and ErrNotYetValid compare the certificate's validity with the time given.
	ErrExpired     = errors.New("the certificate has expired: sign with a renewed one")
	ErrNotYetValid = errors.New("the certificate is not valid yet: check the clock, or the certificate's notBefore")
	// ErrKeyMismatch: private key and certificate are not a pair.
	ErrKeyMismatch = errors.New("the private key does not belong to the certificate")
	// ErrUnsupportedKey: not a key that the kernel verifies PKCS#7 with.
	ErrUnsupportedKey = errors.New("unsupported key: use RSA of 2048 to 4096 bits, or ECDSA on P-256 or P-384")
	// ErrUnsupportedHash: a digest that is too weak, or that Go or the kernel lacks.
	ErrUnsupportedHash = errors.New("unsupported digest algorithm: use SHA-256, SHA-384 or SHA-512")
)

// What can be wrong with a signature's form. Errors of Parse have ErrMalformed in their chain, and one of the others
// where the form is a known one that the kernel or this package does not want.
var (
	ErrMalformed     = errors.New("not a signature as the kernel takes it")
	ErrTruncated     = errors.New("truncated: it ends before its own length says")
	ErrTrailing      = errors.New("there are bytes after its end")
	ErrNotDER        = errors.New("it is not DER")
	ErrPEM           = errors.New("it is PEM: sign with `openssl cms -outform DER`")
	ErrNotSignedData = errors.New("it is not CMS SignedData")
	ErrIssuerSerial  = errors.New("it names its signer by issuer and serial number: sign with `openssl cms -keyid`")
	ErrNotDetached   = errors.New("it contains the signed bytes: sign without `-nodetach`")
	ErrContentType   = errors.New("its content type is not data")
	ErrCertificates  = errors.New("it carries certificates or CRLs: sign with `openssl cms -nocerts`")
	ErrAttributes    = errors.New("it carries attributes: sign with `openssl cms -noattr`")
	ErrSigners       = errors.New("it does not have exactly one signer")
	// ErrPSS: the kernel has RSA PKCS#1 v1.5 only. It is also what Sign and Verify say of a raw PSS signature that is
	// labelled as PKCS#1 v1.5, as wrappers of key management services make it.
	ErrPSS = errors.New("it is an RSA-PSS signature, and the kernel verifies PKCS#1 v1.5 only: " +
		"choose PKCS#1 v1.5 for the key or the signer (openssl: `-keyopt rsa_padding_mode:pkcs1`)")
	// ErrUnsupportedAlgorithm: neither RSA nor ECDSA, or an identifier that the kernel does not know in a SignerInfo.
	ErrUnsupportedAlgorithm = errors.New("unsupported signature algorithm: use RSA PKCS#1 v1.5 or ECDSA")
)

// What Verify says of a well-formed signature that does not hold.
var (
	// ErrWrongCertificate: another key made it.
	ErrWrongCertificate = errors.New("the signature is by another key than the certificate's")
	// ErrWrongBytes: the right key made it, of other bytes.
	ErrWrongBytes = errors.New("the signature is of other bytes")
	// ErrBadSignature: damaged, made by another key, or of other bytes; which of them cannot be told.
	ErrBadSignature = errors.New("the signature does not hold: it is damaged, or of other bytes, or by another key of the same key id")
)

// WrongBytesError is ErrWrongBytes with the digests of what was signed and of what is here. Only RSA shows them.
type WrongBytesError struct {
	Hash         crypto.Hash
	Signed, Have []byte
}

func (e *WrongBytesError) Error() string {
	return fmt.Sprintf("%v: %s of what was signed is %x, of what is here %x", ErrWrongBytes, HashName(e.Hash), e.Signed, e.Have)
}

// Unwrap returns ErrWrongBytes.
func (e *WrongBytesError) Unwrap() error { return ErrWrongBytes }
