package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/golden"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/report"
)

// inspections are the subcommands that look at a bundle.
var inspections = map[string]func(args []string, env *cli.Env) error{
	"trace":  runTrace,
	"golden": runGolden,
	"report": runReport,
}

// parseOne parses a command line that ends with a bundle file, and reads that.
func parseOne(flags *flag.FlagSet, args []string, env *cli.Env) (*bundle.Bundle, error) {
	flags.SetOutput(env.Stderr)
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if flags.NArg() != 1 {
		return nil, fmt.Errorf("%w: want one bundle file after the flags", cli.ErrUsage)
	}
	return env.ReadBundle(flags.Arg(0))
}

// runTrace prints what a bundle's loaders ask of the kernel. It fails if a loader does something wrong; that a load is
// refused, as most scenarios want, is no failure.
func runTrace(args []string, env *cli.Env) error {
	flags := flag.NewFlagSet("loadergen trace", flag.ContinueOnError)
	var o simkernel.Options
	for _, s := range simkernel.Scenarios {
		if s != simkernel.Honest {
			flags.BoolFunc(string(s), scenarioHelp[s], func(string) error {
				if o.Scenario != simkernel.Honest {
					return errors.New("one scenario at a time")
				}
				o.Scenario = s
				return nil
			})
		}
	}
	flags.IntVar(&o.FailCall, "fail", 0, "make the call with this `number` fail")
	schemeName := flags.String("scheme", "", "of the loader for this `scheme` only")
	b, err := parseOne(flags, args, env)
	if err != nil {
		return err
	}
	schemes := bundle.Schemes
	if *schemeName != "" {
		s, err := bundle.ParseScheme(*schemeName)
		if err != nil {
			return fmt.Errorf("%w: -scheme: %w", cli.ErrUsage, err)
		}
		schemes = []bundle.Scheme{s}
	}
	var wrong error
	for _, s := range schemes {
		if b.Loader(s) == nil && *schemeName == "" {
			continue
		}
		l, err := simkernel.FromBundle(b, s)
		if err != nil {
			return err
		}
		res := simkernel.Run(l, o)
		fmt.Fprintf(env.Stdout, "%v loader\n%s", s, trace.Text(res))
		if err := res.Err(); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("%v loader: %w", s, err))
		}
	}
	return wrong
}

var scenarioHelp = map[simkernel.Scenario]string{
	simkernel.NonExclusive:  "the host makes the metadata map without tying it to the loader",
	simkernel.StaleHash:     "it does, and another program changes the map after it was hashed (CVE-2026-80675)",
	simkernel.NotHashed:     "the host does not have the metadata map hashed",
	simkernel.NotFrozen:     "the host does not freeze the metadata map",
	simkernel.TamperedBlob:  "the host changes what is in the metadata map",
	simkernel.TamperedInsns: "the host changes the loader's instructions",
	simkernel.WrongProgram:  "the host ties the metadata map to another program",
}

var errStale = errors.New("the golden file is out of date")

// runGolden prints a bundle's golden text, or compares it with a file.
func runGolden(args []string, env *cli.Env) error {
	flags := flag.NewFlagSet("loadergen golden", flag.ContinueOnError)
	check := flags.String("check", "", "compare with this `file` instead: fail, and print the lines that differ, if it is different")
	update := flags.String("update", "", "write this `file` instead; - for standard output")
	b, err := parseOne(flags, args, env)
	if err != nil {
		return err
	}
	text, err := golden.Text(b)
	switch {
	case err != nil:
		return err
	case *update != "":
		return env.Files.Write(*update, []byte(text))
	case *check != "":
		want, err := env.Files.Read(*check, file.MaxBinary)
		if err != nil {
			return err
		}
		if bytes.Equal(want, []byte(text)) {
			return nil
		}
		for _, l := range golden.Diff(string(want), text) {
			fmt.Fprintln(env.Stdout, l)
		}
		return fmt.Errorf("%s: %w", cli.Input(*check), errStale)
	}
	_, err = io.WriteString(env.Stdout, text)
	return err
}

// runReport writes the page about a bundle.
func runReport(args []string, env *cli.Env) error {
	flags := flag.NewFlagSet("loadergen report", flag.ContinueOnError)
	html := flags.String("html", "", "the `file` to write the page to; - for standard output")
	var o report.Options
	flags.Func("cert", "`file` with a signer's certificate, in PEM or DER: signatures by its key are checked; may be repeated", func(path string) error {
		list, err := env.ReadCertificates(path)
		o.Signers = slices.Concat(o.Signers, list[:min(1, len(list))])
		return err
	})
	b, err := parseOne(flags, args, env)
	switch {
	case err != nil:
		return err
	case *html == "":
		return fmt.Errorf("%w: want -html FILE", cli.ErrUsage)
	}
	var page bytes.Buffer
	if err := report.HTML(&page, b, o); err != nil {
		return err
	}
	return env.Files.Write(*html, page.Bytes())
}
