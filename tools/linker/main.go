// Linker joins BPF objects into one: what `bpftool gen object` does, without libbpf.
//
//	linker -out OUT OBJECT...
//
// - is standard output, and as one of the objects standard input.
package main

import (
	"flag"
	"fmt"
	"path/filepath"

	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/linker"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

func main() { cli.Main("linker", run) }

func run(args []string, env *cli.Env) error {
	flags := flag.NewFlagSet("linker", flag.ContinueOnError)
	flags.SetOutput(env.Stderr)
	out := flags.String("out", "", "the `file` to write; - for standard output")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if *out == "" || flags.NArg() == 0 {
		return fmt.Errorf("%w: want -out FILE and objects", cli.ErrUsage)
	}
	var inputs []linker.Input
	for _, path := range flags.Args() {
		raw, err := env.Files.Read(path, file.MaxBinary)
		if err != nil {
			return err
		}
		inputs = append(inputs, linker.Input{Name: filepath.Base(cli.Input(path)), Raw: raw})
	}
	linked, err := linker.Link(inputs)
	if err != nil {
		return err
	}
	return env.Files.Write(*out, linked)
}
