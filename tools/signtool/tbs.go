package main

import (
	"flag"

	"github.com/rules-bpf/rules_bpf/internal/signing"
)

var tbsCommand = command{
	name: "tbs",
	args: "-in IN.bpfl -out FOLDER",
	help: "write the bytes to sign of each loader, and a manifest with their digests, for a ceremony elsewhere",
	run:  runTBS,
}

func runTBS(env *environment, flags *flag.FlagSet, args []string) error {
	in := flags.String("in", "", "the bundle `file`")
	out := flags.String("out", "", "`folder` for the files SCHEME.tbs and manifest.json; it is made if need be")
	if err := parse(flags, args, 0, "in", "out"); err != nil {
		return err
	}
	b, err := env.ReadBundle(*in)
	if err != nil {
		return inFlag("in", err)
	}
	return inFlag("out", signing.WriteTBS(*out, b))
}
