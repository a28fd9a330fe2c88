package main

import (
	"flag"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
)

var keygenCommand = command{
	name: "keygen",
	args: "-key KEY.pem -cert CERT.der [-type TYPE] [-cn NAME] [-days N]",
	help: "make a private key and a self-signed certificate that are fit for signing loaders",
	run:  runKeygen,
}

func runKeygen(env *environment, flags *flag.FlagSet, args []string) error {
	key := flags.String("key", "", "`file` for the private key, in PEM, encrypted if there is a passphrase; nothing may be there yet")
	keyType := flags.String("type", "rsa-2048", "`type` of the key: "+strings.Join(signing.KeyTypes, ", "))
	var passphrase passphraseFlags
	passphrase.add(flags)
	var cert certificateFlags
	cert.add(flags)
	if err := parse(flags, args, 0, "key", "cert"); err != nil {
		return err
	}
	if err := cert.check(); err != nil {
		return err
	}
	pass, err := passphrase.get(env)
	if err != nil {
		return err
	}
	k, err := signing.GenerateKey(*keyType)
	if err != nil {
		return usageError{inFlag("type", err)}
	}
	der, err := cert.selfSign(k)
	if err != nil {
		return err
	}
	private, err := signing.EncodeKey(k, pass)
	if err != nil {
		return err
	}
	return cert.write(env, der, file.Output{Path: *key, Data: private, Secret: true})
}
