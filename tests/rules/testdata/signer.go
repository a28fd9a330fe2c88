// Signer stands in for a program that reaches a key elsewhere: the test key is in it. It says no where the rules have
// called it in another way than the BUILD file says.
package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
)

//go:embed test_key.pem
var key []byte

func main() {
	if err := sign(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func sign() error {
	var request struct {
		Digest    []byte
		Hash, Key string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		return err
	}
	_, other := os.LookupEnv("TEST_SIGNER_OTHER")
	switch {
	case request.Key != "bpf" || request.Hash != "sha256":
		return fmt.Errorf("key %q, hash %q", request.Key, request.Hash)
	case !slices.Equal(os.Args[1:], []string{"-slot", "7"}):
		return fmt.Errorf("arguments %q", os.Args[1:])
	case os.Getenv("TEST_SIGNER_PIN") != "1234":
		return errors.New("the variable that the key names did not arrive")
	case other:
		return errors.New("a variable that the key does not name did arrive")
	}
	block, _ := pem.Decode(key)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	signature, err := rsa.SignPKCS1v15(nil, private.(*rsa.PrivateKey), crypto.SHA256, request.Digest)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"version": 1, "signature": signature})
}
