package main

import (
	"flag"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/signing"
)

var signCommand = command{
	name: "sign",
	args: "(-key KEY | -signer CMD) -cert CERT [-kind KIND] -in IN.bpfl -out OUT.bpfl",
	help: "add a signature to each loader of a bundle; an earlier one by the same key is replaced",
	run:  runSign,
}

func runSign(env *environment, flags *flag.FlagSet, args []string) error {
	var who identityFlags
	who.add(flags)
	kind := flags.String("kind", bundle.KindDevelopment, "what the key is for: development, test or production")
	in := flags.String("in", "", "the bundle `file`")
	out := flags.String("out", "", "`file` for the signed bundle; may be the same")
	if err := parse(flags, args, 0, "cert", "in", "out"); err != nil {
		return err
	}
	if err := signing.CheckKind(*kind); err != nil {
		return usageError{inFlag("kind", err)}
	}
	id, err := who.identity(env)
	if err != nil {
		return err
	}
	b, err := signing.ReadBundle(*in)
	if err != nil {
		return inFlag("in", err)
	}
	if err := id.Sign(b, *kind); err != nil {
		return err
	}
	return inFlag("out", signing.WriteBundle(*out, b))
}
