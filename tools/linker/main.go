// Linker joins BPF objects into one: what `bpftool gen object` does, without libbpf.
//
//	linker -out OUT OBJECT...
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/linker"
)

var errUsage = errors.New("want -out FILE and objects")

func main() {
	err := run(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "linker:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "linker:", err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("linker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "", "the `file` to write")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *out == "" || flags.NArg() == 0 {
		return errUsage
	}
	var inputs []linker.Input
	for _, path := range flags.Args() {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		inputs = append(inputs, linker.Input{Name: filepath.Base(path), Raw: raw})
	}
	linked, err := linker.Link(inputs)
	if err != nil {
		return err
	}
	return file.Write(*out, linked)
}
