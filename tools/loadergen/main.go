// Command loadergen compiles a BPF object into a bundle of gen-loaders, which signtool signs.
//
//	loadergen -object X.bpf.o -out X.bpfl [-scheme map-hash,payload] [-kconfig NAME=VALUE]... [-kernel-btf FILE] [-audit FILE]
//
// It also shows what loaders do, on a simulated kernel: the calls (trace), the instructions (golden), or a page for who is to
// approve a signature (report).
//
//	loadergen trace [-scheme SCHEME] [-nonexclusive | -stale-hash | -not-hashed | -tampered-blob ...] [-fail N] X.bpfl
//	loadergen golden [-check FILE | -update FILE] X.bpfl
//	loadergen report -html FILE [-cert FILE]... X.bpfl
//
// - stands for standard input or standard output. It exits with 1 when the object cannot be compiled, having written nothing, and with 2 on wrong usage.
package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/compile"
)

func main() { cli.Main("loadergen", run) }

func run(args []string, env *cli.Env) error {
	if len(args) > 0 && inspections[args[0]] != nil {
		return inspections[args[0]](args[1:], env)
	}
	flags := flag.NewFlagSet("loadergen", flag.ContinueOnError)
	flags.SetOutput(env.Stderr)
	in := flags.String("object", "", "the BPF object `file` to compile; - for standard input")
	out := flags.String("out", "", "the bundle `file` to write; - for standard output")
	report := flags.String("audit", "", "audit the loaders as signtool audit does: write the findings as JSON to `FILE`, or nothing if there is an error among them")
	var how compile.Flags
	how.Add(flags)
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if *in == "" || *out == "" || flags.NArg() > 0 {
		return fmt.Errorf("%w: want -object FILE -out FILE", cli.ErrUsage)
	}
	b, err := how.Compile(env.Files, *in)
	if errors.Is(err, compile.ErrFlag) {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if err != nil {
		return err
	}
	data, err := bundle.Encode(b)
	if err != nil {
		return fmt.Errorf("%s: %w", cli.Input(*in), err)
	}
	outputs := []file.Output{{Path: *out, Data: data}}
	if *report != "" {
		findings, err := auditEncoded(data)
		if err != nil {
			return fmt.Errorf("%s: %w", cli.Input(*in), err)
		}
		outputs = append(outputs, file.Output{Path: *report, Data: findings})
	}
	return env.Files.WriteAll(outputs...)
}
