package main

import (
	"errors"
	"flag"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/compile"
)

var signCommand = command{
	name: "sign",
	args: "(-key KEY | -signer CMD) -cert CERT [-kind KIND] (-in IN.bpfl | -object X.bpf.o) -out OUT.bpfl",
	help: "add a signature to each loader of a bundle; an earlier one by the same key is replaced",
	run:  runSign,
}

func runSign(env *environment, flags *flag.FlagSet, args []string) error {
	var who identityFlags
	who.add(flags)
	kindName := flags.String("kind", string(bundle.KindDevelopment), "what the key is for: development, test or production")
	in := flags.String("in", "", "the bundle `file`")
	object := flags.String("object", "", "instead of -in, an object `file` to make loaders of, as loadergen does, with its flags")
	var how compile.Flags
	how.Add(flags)
	out := flags.String("out", "", "`file` for the signed bundle; may be that of -in")
	if err := parse(flags, args, 0, "cert", "out"); err != nil {
		return err
	}
	if (*in == "") == (*object == "") {
		return usagef("give one of -in and -object")
	}
	if name := compile.Given(flags); *in != "" && name != "" {
		return usagef("-%s is for -object: the loaders of -in are made already", name)
	}
	kind, err := bundle.ParseKind(*kindName)
	if err != nil {
		return usageError{inFlag("kind", err)}
	}
	id, err := who.identity(env)
	if err != nil {
		return err
	}
	var b *bundle.Bundle
	if *object != "" {
		if b, err = how.Compile(env.Files, *object); errors.Is(err, compile.ErrFlag) {
			return usageError{err}
		} else if err != nil {
			return inFlag("object", err)
		}
	} else if b, err = env.ReadBundle(*in); err != nil {
		return inFlag("in", err)
	}
	if err := id.Sign(b, kind); err != nil {
		return err
	}
	return inFlag("out", env.WriteBundle(*out, b))
}
