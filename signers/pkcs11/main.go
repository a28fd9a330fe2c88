// Pkcs11 is a signer for signtool whose keys are in a PKCS#11 token: a hardware security module, a smart card, SoftHSM.
//
//	signtool sign -signer pkcs11 -signer-key 'pkcs11:token=release;object=bpf' -cert release.der -in IN -out OUT
//
// It speaks the protocol of docs/signer-protocol.md. The key is named by a PKCS#11 URI (RFC 7512), or by the environment
// variable PKCS11_URI; the module by the URI's module-path or PKCS11_MODULE; the PIN is in the file that pin-source
// names or in PKCS11_PIN.
//
// It is a Go module of its own, since it needs cgo and the rest of rules_bpf does not.
package main

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

const usage = `usage: pkcs11            answer a request of the signer protocol on standard input
       pkcs11 public URI print the public key, in PEM
`

// PIN and names that the environment gives.
const (
	variableModule = "PKCS11_MODULE"
	variablePIN    = "PKCS11_PIN"
	variableURI    = "PKCS11_URI"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run runs a command line and returns its exit status: 0, 1 no signature or key, 2 a wrong call.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	switch {
	case len(args) == 0:
		resp := answer(stdin, getenv)
		if err := json.NewEncoder(stdout).Encode(resp); err != nil || resp.Error != "" {
			return 1
		}
		return 0
	case len(args) == 2 && args[0] == "public":
		der, err := public(args[1], getenv)
		if err == nil {
			err = pem.Encode(stdout, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
		}
		if err != nil {
			fmt.Fprintf(stderr, "pkcs11: %v\n", err)
			return 1
		}
		return 0
	}
	fmt.Fprint(stderr, usage)
	return 2
}

// answer does what a request asks for.
func answer(stdin io.Reader, getenv func(string) string) response {
	req, err := readRequest(stdin)
	if err != nil {
		return response{Version: protocolVersion, Error: err.Error()}
	}
	k, err := openKey(req.Key, getenv)
	if err != nil {
		return response{Version: protocolVersion, Error: err.Error()}
	}
	defer k.close()
	signature, encoding, err := k.sign(req)
	if err != nil {
		return response{Version: protocolVersion, Error: err.Error()}
	}
	return response{Version: protocolVersion, Signature: signature, Encoding: encoding}
}

// public returns the public key that a URI names, as SubjectPublicKeyInfo in DER.
func public(uri string, getenv func(string) string) ([]byte, error) {
	k, err := openKey(uri, getenv)
	if err != nil {
		return nil, err
	}
	defer k.close()
	return k.public()
}

// openKey opens the token that a URI names.
func openKey(uri string, getenv func(string) string) (*key, error) {
	if uri == "" {
		uri = getenv(variableURI)
	}
	if uri == "" {
		return nil, errors.New("no key is named: use signtool's -signer-key, or the environment variable " + variableURI)
	}
	u, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	if u.modulePath == "" {
		u.modulePath = getenv(variableModule)
	}
	if u.modulePath == "" {
		return nil, errors.New("no PKCS#11 module is named: use module-path in the URI, or the environment variable " + variableModule)
	}
	pin := getenv(variablePIN)
	if u.pinSource != "" {
		if pin, err = readPIN(u.pinSource); err != nil {
			return nil, err
		}
	}
	return open(u, pin)
}
