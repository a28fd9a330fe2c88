// Package plugin has signatures made by another program: the signer protocol of docs/signer-protocol.md. The program
// gets one Request on its standard input and answers with one Response on its standard output, both JSON. Keys, tokens
// and credentials are the program's own affair.
package plugin

// Version is the protocol's version.
const Version = 1

// The values of Request.Algorithm.
const (
	AlgorithmRSA   = "rsa-pkcs1v15"
	AlgorithmECDSA = "ecdsa"
)

// The values of Response.Encoding.
const (
	EncodingDER   = "der"
	EncodingP1363 = "p1363"
)

// Request asks for one signature.
type Request struct {
	Version int `json:"version"`
	// Operation is "sign", the only one.
	Operation string `json:"operation"`
	// Algorithm is AlgorithmRSA or AlgorithmECDSA.
	Algorithm string `json:"algorithm"`
	// Hash is the digest algorithm: "sha256", "sha384" or "sha512".
	Hash string `json:"hash"`
	// Digest is what to sign: it is not to be hashed again.
	Digest []byte `json:"digest"`
	// Key names the key in the signer's own way, as the caller was told; it may be empty.
	Key string `json:"key,omitempty"`
	// KeyID is the SubjectKeyIdentifier of the key's certificate, in hexadecimal, Certificate the certificate in DER. Both
	// are missing while the certificate itself is being signed.
	KeyID       string `json:"keyId,omitempty"`
	Certificate []byte `json:"certificate,omitempty"`
}

// Response is the answer: a signature or an error.
type Response struct {
	Version int `json:"version"`
	// Signature is the raw value: the PKCS#1 v1.5 block for RSA, SEQUENCE {r, s} or r and s for ECDSA, as Encoding says.
	Signature []byte `json:"signature,omitempty"`
	// Encoding is that of an ECDSA signature: EncodingDER, which is also what none means, or EncodingP1363.
	Encoding string `json:"encoding,omitempty"`
	// Error says for people why there is no signature.
	Error string `json:"error,omitempty"`
}
