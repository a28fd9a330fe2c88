package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
	"github.com/rules-bpf/rules_bpf/tools/signtool/provenance"
)

var inspectCommand = command{
	name: "inspect",
	args: "[-json] [-provenance STATEMENT] FILE.bpfl",
	help: "show what a bundle says of itself; no signature is verified",
	run:  runInspect,
}

// inspection is what inspect -json prints.
type inspection struct {
	*signing.Summary
	Provenance *provenance.Statement `json:"provenance,omitempty"`
}

func runInspect(env *environment, flags *flag.FlagSet, args []string) error {
	asJSON := flags.Bool("json", false, "as JSON")
	statement := flags.String("provenance", "", "`file` with the bundle's in-toto statement, to show too; it must be of this bundle")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	b, err := env.ReadBundle(flags.Arg(0))
	if err != nil {
		return err
	}
	summary, err := signing.Summarize(b)
	if err != nil {
		return err
	}
	i := inspection{Summary: summary}
	if *statement != "" {
		data, err := env.Files.Read(*statement, file.MaxText)
		if err != nil {
			return inFlag("provenance", err)
		}
		if i.Provenance, err = provenance.Decode(data); err == nil {
			err = i.Provenance.Check(b)
		}
		if err != nil {
			return inFlag("provenance", fmt.Errorf("%s: %w", cli.Input(*statement), err))
		}
	}
	if !*asJSON {
		return i.print(env.Stdout)
	}
	data, err := file.FormatJSON(i)
	if err != nil {
		return err
	}
	_, err = env.Stdout.Write(data)
	return err
}

// print writes the inspection for people.
func (i *inspection) print(w io.Writer) error {
	if err := i.Summary.Print(w); err != nil {
		return err
	}
	if i.Provenance == nil {
		return nil
	}
	build := i.Provenance.Predicate.BuildDefinition
	p := build.ExternalParameters
	if _, err := fmt.Fprintf(w, "built     by %s\n          with %s %s\n", printable.Name(i.Provenance.Predicate.RunDetails.Builder.ID), printable.Text(p.Compiler), printable.Text(strings.Join(p.Flags, " "))); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Kconfig)) {
		if _, err := fmt.Fprintf(w, "          for %s=%s\n", printable.Name(name), printable.Text(p.Kconfig[name])); err != nil {
			return err
		}
	}
	for _, d := range build.ResolvedDependencies {
		if _, err := fmt.Fprintf(w, "          from %s sha256 %s\n", printable.Name(d.Name), printable.Name(d.Digest["sha256"])); err != nil {
			return err
		}
	}
	return nil
}
