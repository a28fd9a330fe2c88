package signing

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/file"
)

// ErrPassphrase is in the chain of errors about a passphrase that is missing or wrong.
var ErrPassphrase = errors.New("passphrase")

// Passphrase gives the passphrase of an encrypted key. It is called only for those.
type Passphrase func() ([]byte, error)

// LoadKey reads a private key from a PEM file: PKCS#8, plain or encrypted, PKCS#1 (RSA) or SEC 1 (ECDSA). Blocks of
// other types are skipped. Errors never quote the file.
func LoadKey(path string, passphrase Passphrase) (crypto.Signer, error) {
	data, err := file.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// ParseKey is LoadKey for a file's contents.
func ParseKey(data []byte, passphrase Passphrase) (crypto.Signer, error) {
	var others []string
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Headers["DEK-Info"] != "" {
			return nil, errors.New("the encryption of the key is the old one of PEM, which does not notice a wrong passphrase: " +
				"convert it with `openssl pkcs8 -topk8`")
		}
		switch block.Type {
		case "PRIVATE KEY":
			return parsePKCS8(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			if passphrase == nil {
				return nil, fmt.Errorf("the key is encrypted, and there is no %w", ErrPassphrase)
			}
			pass, err := passphrase()
			if err != nil {
				return nil, err
			}
			der, err := decryptPKCS8(block.Bytes, pass)
			if err != nil {
				return nil, err
			}
			key, err := parsePKCS8(der)
			if err != nil {
				return nil, fmt.Errorf("wrong %w", ErrPassphrase)
			}
			return key, nil
		case "RSA PRIVATE KEY":
			key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("malformed PKCS#1 private key: %w", err)
			}
			return key, nil
		case "EC PRIVATE KEY":
			key, err := x509.ParseECPrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("malformed SEC 1 private key: %w", err)
			}
			return key, nil
		}
		others = append(others, block.Type)
	}
	if others != nil {
		return nil, fmt.Errorf("no private key in it, but %q", others)
	}
	return nil, errors.New("no private key in PEM in it (from DER, convert with `openssl pkey -inform DER`)")
}

// parsePKCS8 reads an unencrypted PKCS#8 key.
func parsePKCS8(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("malformed PKCS#8 private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}
