package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
)

var certifyCommand = command{
	name: "certify",
	args: "(-key KEY | -signer CMD -public PUBLIC.pem) -cert CERT.der [-cn NAME] [-days N]",
	help: "make a self-signed certificate that is fit for signing loaders, for a key that is in a file or a signer's",
	run:  runCertify,
}

func runCertify(env *environment, flags *flag.FlagSet, args []string) error {
	key := flags.String("key", "", "`file` with the private key, in PEM")
	public := flags.String("public", "", "`file` with the public key, in PEM, of the key that -signer has")
	var passphrase passphraseFlags
	passphrase.add(flags)
	var signer signerFlags
	signer.add(flags)
	var cert certificateFlags
	cert.add(flags)
	if err := parse(flags, args, 0, "cert"); err != nil {
		return err
	}
	if err := cert.check(); err != nil {
		return err
	}
	if (*key == "") == (signer.command == "") || (signer.command == "") != (*public == "") {
		return usagef("give -key, or -signer with -public")
	}
	var k crypto.Signer
	if *key != "" {
		var err error
		if k, err = signing.LoadKey(*key, func() ([]byte, error) { return passphrase.require(env) }); err != nil {
			return inFlag("key", err)
		}
	} else {
		pub, err := loadPublicKey(*public)
		if err != nil {
			return inFlag("public", err)
		}
		if k, err = signer.signer(env, pub, nil); err != nil {
			return err
		}
	}
	der, err := cert.selfSign(k)
	if err != nil {
		return err
	}
	return cert.write(env, der)
}

// loadPublicKey reads a public key: SubjectPublicKeyInfo in PEM.
func loadPublicKey(path string) (crypto.PublicKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("%s: no public key in PEM in it", path)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: malformed public key: %w", path, err)
	}
	return pub, nil
}

// certificateFlags say what a certificate is to hold, and where it goes.
type certificateFlags struct {
	file, cn string
	days     int
}

func (f *certificateFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&f.file, "cert", "", "`file` for the certificate: in DER, as add_key takes it, or in PEM if its name ends with .pem")
	flags.StringVar(&f.cn, "cn", "BPF loader signing key", "`name` in the certificate")
	flags.IntVar(&f.days, "days", 3650, "for how many days the certificate is valid")
}

func (f *certificateFlags) check() error {
	if f.days < 1 || f.days > 36500 {
		return usagef("-days: %d, want 1 to 36500", f.days)
	}
	return nil
}

// selfSign returns the certificate in DER, valid from the beginning of the day.
func (f *certificateFlags) selfSign(key crypto.Signer) ([]byte, error) {
	if _, err := cms.KeyAlgorithm(key.Public()); err != nil {
		return nil, err
	}
	start := time.Now().UTC().Truncate(24 * time.Hour)
	der, err := signing.SelfSign(key, f.cn, start, start.AddDate(0, 0, f.days))
	if err != nil {
		return nil, fmt.Errorf("make the certificate: %w", err)
	}
	return der, nil
}

// write writes the certificate and says its key id.
func (f *certificateFlags) write(env *environment, der []byte) error {
	list, err := certs.Parse(der)
	if err != nil {
		return err
	}
	data := der
	if filepath.Ext(f.file) == ".pem" {
		data = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	if err := file.Write(f.file, data); err != nil {
		return inFlag("cert", err)
	}
	fmt.Fprintf(env.stdout, "%s: certificate of %q, key id %x\n", f.file, f.cn, list[0].SubjectKeyId)
	return nil
}
