//go:build linux

// attack plays an untrusted host that attacks signed loaders, and says what it does and what comes of it: the story of
// CVE-2026-80675 and CVE-2026-74364. See README.md. It changes nothing but what it makes itself.
package main

import (
	"crypto"
	_ "crypto/sha256" // of the signatures
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	bpfruntime "github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/attack/story"
)

func main() {
	key := flag.String("key", "", "the signer's key, a PEM `file`; without one the loaders are not signed")
	cert := flag.String("cert", "", "the signer's certificate, a `file`; it is enrolled in the session keyring")
	flag.Parse()
	if err := attack(*key, *cert); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func attack(key, cert string) error {
	runtime.LockOSThread() // whose session keyring it is
	features := bpfruntime.Probe()
	t := &story.Teller{Out: os.Stdout}
	if key != "" || cert != "" {
		if features.Signatures != bpfruntime.Yes {
			return errors.New("this kernel verifies no signatures: leave out -key and -cert")
		}
		id, err := signer(key, cert)
		if err != nil {
			return err
		}
		t.Signer = id
	}
	if features.Scheme == bundle.Payload && t.Signer == nil {
		return errors.New("this kernel attests signed loaders only: give -key and -cert")
	}
	for _, c := range story.Chapters(features.Scheme) {
		verdict, err := t.Tell(c)
		if err != nil {
			return err
		}
		if verdict != c.Want {
			return fmt.Errorf("expected: %s", c.Want)
		}
	}
	return nil
}

func signer(key, cert string) (*signing.Identity, error) {
	k, err := signing.LoadKey(key, nil)
	if err != nil {
		return nil, err
	}
	c, err := certs.Load(cert)
	if err != nil {
		return nil, err
	}
	if err := host.Enroll(c.Raw); err != nil {
		return nil, fmt.Errorf("enroll %s: %w", cert, err)
	}
	return &signing.Identity{Signer: k, Certificate: c, Hash: crypto.SHA256}, nil
}
