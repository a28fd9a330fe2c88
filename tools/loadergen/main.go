// Command loadergen compiles a BPF object into a bundle of gen-loaders, which signtool signs.
//
//	loadergen -object X.bpf.o -out X.bpfl [-scheme map-hash,payload] [-kconfig NAME=VALUE]... [-kernel-btf FILE]
//
// It also shows what loaders do, on a simulated kernel: the calls (trace), the instructions (golden), or a page for who is to
// approve a signature (report).
//
//	loadergen trace [-scheme SCHEME] [-nonexclusive | -stale-hash | -not-hashed | -tampered-blob ...] [-fail N] X.bpfl
//	loadergen golden [-check FILE | -update FILE] X.bpfl
//	loadergen report -html FILE [-cert FILE]... X.bpfl
//
// It exits with 1 when the object cannot be compiled, having written nothing, and with 2 on wrong usage.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/compile"
)

var errUsage = errors.New("wrong usage")

func main() {
	err := run(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "loadergen:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "loadergen:", err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	if len(args) > 0 && inspections[args[0]] != nil {
		return inspections[args[0]](args[1:], os.Stdout, stderr)
	}
	flags := flag.NewFlagSet("loadergen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	in := flags.String("object", "", "the BPF object `file` to compile")
	out := flags.String("out", "", "the bundle `file` to write")
	var how compile.Flags
	how.Add(flags)
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *in == "" || *out == "" || flags.NArg() > 0 {
		return fmt.Errorf("%w: want -object FILE -out FILE", errUsage)
	}
	b, err := how.Compile(*in)
	if errors.Is(err, compile.ErrFlag) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err != nil {
		return err
	}
	data, err := bundle.Encode(b)
	if err != nil {
		return fmt.Errorf("%s: %w", *in, err)
	}
	return file.Write(*out, data)
}
