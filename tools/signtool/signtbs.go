package main

import (
	"flag"
	"fmt"
)

var signTBSCommand = command{
	name: "sign-tbs",
	args: "(-key KEY | -signer CMD) -cert CERT -in FOLDER -out FOLDER",
	help: "sign what tbs wrote, as on a machine without a network, and write the signatures SCHEME.p7s",
	run:  runSignTBS,
}

func runSignTBS(env *environment, flags *flag.FlagSet, args []string) error {
	var who identityFlags
	who.add(flags)
	in := flags.String("in", "", "the `folder` that tbs wrote")
	out := flags.String("out", "", "`folder` for the signatures; may be the same")
	if err := parse(flags, args, 0, "cert", "in", "out"); err != nil {
		return err
	}
	id, err := who.identity(env)
	if err != nil {
		return err
	}
	names, err := id.SignTBS(*in, *out)
	if err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintln(env.Stdout, name)
	}
	return nil
}
