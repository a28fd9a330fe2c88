package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
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
		if k, err = env.privateKey("key", *key, &passphrase); err != nil {
			return err
		}
	} else {
		pub, err := env.publicKey(*public)
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

// publicKey reads a public key: SubjectPublicKeyInfo in PEM.
func (env *environment) publicKey(path string) (crypto.PublicKey, error) {
	data, err := env.Files.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("%s: no public key in PEM in it", cli.Input(path))
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: malformed public key: %w", cli.Input(path), err)
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

// write writes the certificate, and other files with it, and prints its key id.
func (f *certificateFlags) write(env *environment, der []byte, others ...file.Output) error {
	list, err := certs.Parse(der)
	if err != nil {
		return err
	}
	data := der
	if filepath.Ext(f.file) == ".pem" {
		data = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	paths := []string{f.file}
	for _, o := range others {
		paths = append(paths, o.Path)
	}
	if err := env.Files.WriteAll(append(others, file.Output{Path: f.file, Data: data})...); err != nil {
		return err
	}
	fmt.Fprintf(env.Messages(paths...), "%s: certificate of %q, key id %x\n", output(f.file), f.cn, list[0].SubjectKeyId)
	return nil
}
