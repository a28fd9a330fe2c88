package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/golden"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/report"
)

// inspections are the subcommands that look at a bundle.
var inspections = map[string]func(args []string, stdout, stderr io.Writer) error{
	"trace":  runTrace,
	"golden": runGolden,
	"report": runReport,
}

// parseOne parses a command line that ends with a bundle file, and reads that.
func parseOne(flags *flag.FlagSet, args []string, stderr io.Writer) (*bundle.Bundle, error) {
	flags.SetOutput(stderr)
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() != 1 {
		return nil, fmt.Errorf("%w: want one bundle file after the flags", errUsage)
	}
	return signing.ReadBundle(flags.Arg(0))
}

// runTrace prints what a bundle's loaders ask of the kernel. It fails if a loader does something wrong; that a load is
// refused, as most scenarios want, is no failure.
func runTrace(args []string, stdout, stderr io.Writer) error {
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
	b, err := parseOne(flags, args, stderr)
	if err != nil {
		return err
	}
	schemes := bundle.Schemes
	if *schemeName != "" {
		s, err := bundle.ParseScheme(*schemeName)
		if err != nil {
			return fmt.Errorf("%w: -scheme: %w", errUsage, err)
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
		fmt.Fprintf(stdout, "%v loader\n%s", s, trace.Text(res))
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
func runGolden(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loadergen golden", flag.ContinueOnError)
	check := flags.String("check", "", "compare with this `file` instead: fail, and print the lines that differ, if it is different")
	update := flags.String("update", "", "write this `file` instead")
	b, err := parseOne(flags, args, stderr)
	if err != nil {
		return err
	}
	text, err := golden.Text(b)
	switch {
	case err != nil:
		return err
	case *update != "":
		return file.Write(*update, []byte(text))
	case *check != "":
		want, err := os.ReadFile(*check)
		if err != nil {
			return err
		}
		if bytes.Equal(want, []byte(text)) {
			return nil
		}
		for _, l := range golden.Diff(string(want), text) {
			fmt.Fprintln(stdout, l)
		}
		return fmt.Errorf("%s: %w", *check, errStale)
	}
	_, err = io.WriteString(stdout, text)
	return err
}

// runReport writes the page about a bundle.
func runReport(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loadergen report", flag.ContinueOnError)
	html := flags.String("html", "", "the `file` to write the page to; - for the standard output")
	var o report.Options
	flags.Func("cert", "`file` with a signer's certificate, in PEM or DER: signatures by its key are checked; may be repeated", func(path string) error {
		list, err := certs.LoadAll(path)
		o.Signers = slices.Concat(o.Signers, list[:min(1, len(list))])
		return err
	})
	b, err := parseOne(flags, args, stderr)
	switch {
	case err != nil:
		return err
	case *html == "":
		return fmt.Errorf("%w: want -html FILE", errUsage)
	}
	var page bytes.Buffer
	if err := report.HTML(&page, b, o); err != nil {
		return err
	}
	if *html == "-" {
		_, err := stdout.Write(page.Bytes())
		return err
	}
	return file.Write(*html, page.Bytes())
}
