package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // the usual key identifier: RFC 5280, section 4.2.1.2
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// KeyTypes are the types of key that GenerateKey makes.
var KeyTypes = []string{"rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384"}

// GenerateKey makes a private key.
func GenerateKey(keyType string) (crypto.Signer, error) {
	switch keyType {
	case "rsa-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa-4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "ecdsa-p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa-p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, fmt.Errorf("unknown type of key %q: want one of %s", keyType, strings.Join(KeyTypes, ", "))
}

// SelfSign returns a certificate for a key, in DER, that is fit for signing loaders: with a SubjectKeyIdentifier, for
// digital signatures only, not a CA. It is what the kernel's own certs/default_x509.genkey asks for.
func SelfSign(key crypto.Signer, commonName string, notBefore, notAfter time.Time) ([]byte, error) {
	keyID, err := keyIdentifier(key.Public())
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true, // CA:FALSE
		SubjectKeyId:          keyID,
		AuthorityKeyId:        keyID,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// keyIdentifier is the SHA-1 of the subject's public key, as openssl computes subjectKeyIdentifier=hash. It is a name
// and protects nothing.
func keyIdentifier(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if err := unmarshal(der, &info); err != nil {
		return nil, err
	}
	id := sha1.Sum(info.Key.RightAlign())
	return id[:], nil
}

// EncodeKey returns a private key in PEM (PKCS#8), encrypted if there is a passphrase.
func EncodeKey(key crypto.Signer, passphrase []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	}
	if der, err = encryptPKCS8(der, passphrase); err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}), nil
}
