package signing

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" // the default of PBKDF2's pseudo-random function
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"crypto/x509/pkix"

	"golang.org/x/crypto/scrypt"
)

// Identifiers of PKCS#5 (RFC 8018, appendix A), its ciphers and pseudo-random functions (appendix B), scrypt (RFC 7914).
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}

	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}

	oidAES128CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// Bounds of the work that a key file may ask for.
const (
	maxIterations   = 10_000_000
	maxScryptMemory = 1 << 30
	iterations      = 600_000 // of keys that we write
)

// encryptedPrivateKeyInfo is EncryptedPrivateKeyInfo (RFC 5958, section 3).
type encryptedPrivateKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// pbes2Params, pbkdf2Params and scryptParams are the structures of the same names in the RFCs.
type pbes2Params struct {
	KDF    pkix.AlgorithmIdentifier
	Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParams struct {
	Salt      []byte
	N, R, P   int
	KeyLength int `asn1:"optional"`
}

// decryptPKCS8 returns the PKCS#8 key in an EncryptedPrivateKeyInfo: PBES2 with PBKDF2 or scrypt and AES-CBC, which is
// what openssl writes.
func decryptPKCS8(der, passphrase []byte) ([]byte, error) {
	var info encryptedPrivateKeyInfo
	if err := unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("malformed encrypted private key: %w", err)
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("the key's encryption scheme %v is not supported: convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`",
			info.Algorithm.Algorithm)
	}
	var params pbes2Params
	if err := unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, fmt.Errorf("malformed encrypted private key: %w", err)
	}
	keyLength := 0
	switch c := params.Cipher.Algorithm; {
	case c.Equal(oidAES128CBC):
		keyLength = 16
	case c.Equal(oidAES192CBC):
		keyLength = 24
	case c.Equal(oidAES256CBC):
		keyLength = 32
	default:
		return nil, fmt.Errorf("the key's cipher %v is not supported: convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc`", c)
	}
	var iv []byte
	if err := unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil || len(iv) != aes.BlockSize {
		return nil, errors.New("malformed encrypted private key: its initialization vector")
	}
	if len(info.Data) == 0 || len(info.Data)%aes.BlockSize != 0 {
		return nil, errors.New("malformed encrypted private key: its length")
	}
	key, err := deriveKey(params.KDF, passphrase, keyLength)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(info.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, info.Data)
	return unpad(plain)
}

// deriveKey makes the cipher's key of a passphrase.
func deriveKey(kdf pkix.AlgorithmIdentifier, passphrase []byte, length int) ([]byte, error) {
	switch {
	case kdf.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if err := unmarshal(kdf.Parameters.FullBytes, &p); err != nil {
			return nil, fmt.Errorf("malformed encrypted private key: %w", err)
		}
		if p.Iterations < 1 || p.Iterations > maxIterations {
			return nil, fmt.Errorf("the key's encryption asks for %d iterations, and %d are the most", p.Iterations, maxIterations)
		}
		prf, err := pseudoRandom(p.PRF.Algorithm)
		if err != nil {
			return nil, err
		}
		return pbkdf2.Key(prf, string(passphrase), p.Salt, p.Iterations, length)
	case kdf.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if err := unmarshal(kdf.Parameters.FullBytes, &p); err != nil {
			return nil, fmt.Errorf("malformed encrypted private key: %w", err)
		}
		if p.N < 2 || p.R < 1 || p.P < 1 || p.P > 64 || p.R > 1024 || p.N > maxScryptMemory/128/p.R {
			return nil, errors.New("the key's encryption asks for too much memory, or its parameters are malformed")
		}
		return scrypt.Key(passphrase, p.Salt, p.N, p.R, p.P, length)
	}
	return nil, fmt.Errorf("the key's derivation function %v is not supported: convert it with `openssl pkcs8 -topk8`", kdf.Algorithm)
}

// pseudoRandom returns the digest of PBKDF2's HMAC.
func pseudoRandom(oid asn1.ObjectIdentifier) (func() hash.Hash, error) {
	switch {
	case len(oid) == 0, oid.Equal(oidHMACSHA1):
		return sha1.New, nil
	case oid.Equal(oidHMACSHA256):
		return sha256.New, nil
	case oid.Equal(oidHMACSHA512):
		return sha512.New, nil
	}
	return nil, fmt.Errorf("the key's pseudo-random function %v is not supported: convert it with `openssl pkcs8 -topk8`", oid)
}

// unpad removes the padding of PKCS#7 (RFC 5652, section 6.3). A wrong one means a wrong passphrase.
func unpad(plain []byte) ([]byte, error) {
	n := int(plain[len(plain)-1])
	if n == 0 || n > aes.BlockSize || n > len(plain) ||
		!bytes.Equal(plain[len(plain)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, fmt.Errorf("wrong %w", ErrPassphrase)
	}
	return plain[:len(plain)-n], nil
}

// encryptPKCS8 encrypts a PKCS#8 key: PBES2, PBKDF2 with HMAC-SHA-256, AES-256-CBC.
func encryptPKCS8(der, passphrase []byte) ([]byte, error) {
	random := make([]byte, 16+aes.BlockSize)
	rand.Read(random) // never fails
	salt, iv := random[:16], random[16:]
	key, err := pbkdf2.Key(sha256.New, string(passphrase), salt, iterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	n := aes.BlockSize - len(der)%aes.BlockSize
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	kdf, err := algorithm(oidPBKDF2, pbkdf2Params{Salt: salt, Iterations: iterations,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}})
	if err != nil {
		return nil, err
	}
	enc, err := algorithm(oidAES256CBC, iv)
	if err != nil {
		return nil, err
	}
	scheme, err := algorithm(oidPBES2, pbes2Params{kdf, enc})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(encryptedPrivateKeyInfo{scheme, data})
}

// algorithm returns an identifier with parameters.
func algorithm(oid asn1.ObjectIdentifier, params any) (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(params)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, err
	}
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: der}}, nil
}

// unmarshal is asn1.Unmarshal without trailing bytes.
func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		err = errors.New("trailing bytes")
	}
	return err
}
