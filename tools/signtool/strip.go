package main

import (
	"encoding/hex"
	"flag"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/signature"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

var stripCommand = command{
	name: "strip",
	args: "(-keyid ID | -cert CERT | -all) -in IN.bpfl -out OUT.bpfl",
	help: "remove the signatures by a key that is rotated out",
	run:  runStrip,
}

func runStrip(env *environment, flags *flag.FlagSet, args []string) error {
	id := flags.String("keyid", "", "the key's `id` in hexadecimal, as inspect shows it; colons are skipped")
	cert := flags.String("cert", "", "`file` with the key's certificate, instead")
	all := flags.Bool("all", false, "all signatures, instead")
	in := flags.String("in", "", "the bundle `file`")
	out := flags.String("out", "", "`file` for the bundle without them; may be the same")
	if err := parse(flags, args, 0, "in", "out"); err != nil {
		return err
	}
	var keyID []byte
	switch {
	case *id != "" && *cert == "" && !*all:
		var err error
		if keyID, err = hex.DecodeString(strings.ReplaceAll(*id, ":", "")); err != nil || len(keyID) == 0 {
			return usagef("-keyid: %q is not hexadecimal", *id)
		}
	case *cert != "" && *id == "" && !*all:
		c, err := env.certificate("cert", *cert)
		if err != nil {
			return err
		}
		if keyID = c.SubjectKeyId; len(keyID) == 0 {
			return fmt.Errorf("-cert: %s: it has no SubjectKeyIdentifier, so it signed nothing", cli.Input(*cert))
		}
	case *all && *id == "" && *cert == "":
	default:
		return usagef("give one of -keyid, -cert and -all")
	}
	b, err := env.ReadBundle(*in)
	if err != nil {
		return inFlag("in", err)
	}
	n := signature.Strip(b, keyID)
	if n == 0 && !*all {
		return fmt.Errorf("-in: %s: no signature by key %x", cli.Input(*in), keyID)
	}
	if err := env.WriteBundle(*out, b); err != nil {
		return inFlag("out", err)
	}
	fmt.Fprintf(env.Messages(*out), "%s: %d signatures removed\n", output(*out), n)
	return nil
}
