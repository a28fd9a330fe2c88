// Command gogen writes the Go package of a signed loader: what bpf_go_library compiles.
package main

import (
	"flag"
	"fmt"

	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

func main() { cli.Main("gogen", run) }

func run(args []string, env *cli.Env) error {
	flags := flag.NewFlagSet("gogen", flag.ContinueOnError)
	flags.SetOutput(env.Stderr)
	in := flags.String("bundle", "", "the loader's `file` (.bpfl); - for standard input")
	importPath := flags.String("importpath", "", "the package's import `path`")
	embed := flags.String("embed", "", "the `name` under which the package embeds the loader")
	out := flags.String("out", "", "the Go `file` to write; - for standard output")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if *in == "" || *importPath == "" || *embed == "" || *out == "" || flags.NArg() != 0 {
		return fmt.Errorf("%w: want -bundle FILE -importpath PATH -embed NAME -out FILE", cli.ErrUsage)
	}
	b, err := env.ReadBundle(*in)
	if err != nil {
		return err
	}
	name, err := packageName(*importPath)
	if err != nil {
		return err
	}
	src, err := generate(b, name, *embed)
	if err != nil {
		return fmt.Errorf("%s: %w", cli.Input(*in), err)
	}
	return env.Files.Write(*out, src)
}
