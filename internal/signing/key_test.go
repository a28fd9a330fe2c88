package signing

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"os"
	"testing"

	"github.com/go-quicktest/qt"
)

func correct() ([]byte, error) { return []byte("correct horse"), nil }

// encrypted are the two forms of encrypted keys, both of the same key.
func encrypted(t *testing.T) [][]byte {
	t.Helper()
	var list [][]byte
	for _, name := range []string{"testdata/test_key_pbkdf2.pem", "testdata/test_key_scrypt.pem"} {
		data, err := os.ReadFile(name)
		qt.Assert(t, qt.IsNil(err))
		list = append(list, data)
	}
	return list
}

func TestParseKeyEncrypted(t *testing.T) {
	list := encrypted(t)
	var keys []crypto.Signer
	for _, data := range list {
		key, err := ParseKey(data, correct)
		qt.Assert(t, qt.IsNil(err))
		keys = append(keys, key)

		_, err = ParseKey(data, func() ([]byte, error) { return []byte("battery staple"), nil })
		qt.Assert(t, qt.ErrorIs(err, ErrPassphrase))
		_, err = ParseKey(data, nil)
		qt.Assert(t, qt.ErrorIs(err, ErrPassphrase))
		gone := errors.New("passphrase is not at home")
		_, err = ParseKey(data, func() ([]byte, error) { return nil, gone })
		qt.Assert(t, qt.ErrorIs(err, gone))
	}
	qt.Assert(t, qt.IsTrue(keys[0].Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(keys[1].Public())))
}

// A damaged file is an error, and never a panic or work without end.
func TestParseKeyDamaged(t *testing.T) {
	for _, data := range encrypted(t) {
		block, _ := pem.Decode(data)
		for i := range block.Bytes {
			for _, flip := range []byte{1, 0x80, 0xff} {
				der := bytes.Clone(block.Bytes)
				der[i] ^= flip
				_, _ = ParseKey(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), correct)
			}
			_, err := ParseKey(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes[:i]}), correct)
			qt.Assert(t, qt.IsNotNil(err))
		}
	}
}

func TestEncodeKey(t *testing.T) {
	key, err := GenerateKey("ecdsa-p256")
	qt.Assert(t, qt.IsNil(err))
	for _, passphrase := range []string{"", "correct horse"} {
		data, err := EncodeKey(key, []byte(passphrase))
		qt.Assert(t, qt.IsNil(err))
		got, err := ParseKey(data, correct)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsTrue(key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(got.Public())))
	}
}

func TestParseKeyErrors(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "no private key in PEM"},
		{"a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", `but \["CERTIFICATE"\]`},
		{"PKCS#8", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "malformed PKCS#8"},
		{"PKCS#1", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "malformed PKCS#1"},
		{"SEC 1", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "malformed SEC 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseKey([]byte(c.data), nil)
			qt.Assert(t, qt.ErrorMatches(err, ".*"+c.want+".*"))
		})
	}
}
