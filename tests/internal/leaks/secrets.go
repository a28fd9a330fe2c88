// Package leaks looks for private keys where none should be: in what a build and its caches leave behind. It serves the tests.
package leaks

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/signing"
)

// Secrets returns the byte strings by which an RSA key in PEM would give itself away, by what they are.
func Secrets(pem []byte) (map[string][]byte, error) {
	list := map[string][]byte{}
	for _, line := range strings.Split(string(pem), "\n") {
		if len(line) == 64 { // in full; the last may be too short to mean anything
			list["a line of PEM: "+line[:8]+"..."] = []byte(line)
		}
	}
	signer, err := signing.ParseKey(pem, nil)
	if err != nil {
		return nil, err
	}
	key, ok := signer.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%T is no RSA key", signer)
	}
	for name, number := range map[string][]byte{
		"the first prime": key.Primes[0].Bytes(), "the second prime": key.Primes[1].Bytes(), "the private exponent": key.D.Bytes(),
		"exponent 1": key.Precomputed.Dp.Bytes(), "exponent 2": key.Precomputed.Dq.Bytes(), "the coefficient": key.Precomputed.Qinv.Bytes(),
	} {
		// Half of it is enough: what is around it may change a form's ends.
		half := number[:len(number)/2/3*3]
		list[name+" in DER"] = half
		list[name+" in hexadecimal"] = []byte(hex.EncodeToString(half))
		list[name+" in upper-case hexadecimal"] = []byte(strings.ToUpper(hex.EncodeToString(half)))
		list[name+" in base64"] = []byte(base64.StdEncoding.EncodeToString(half))
		list[name+" in base64 for URLs"] = []byte(base64.URLEncoding.EncodeToString(half))
	}
	list["the first prime in decimal"] = []byte(key.Primes[0].String())
	list["the private exponent in decimal"] = []byte(key.D.String())
	return list, nil
}
