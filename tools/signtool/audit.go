package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

var auditCommand = command{
	name: "audit",
	args: "[-json] [-out FILE] (FILE.bpfl | -insns FILE -data FILE [-scheme SCHEME] [-big-endian])",
	help: "prove that loaders act only on what was signed: look before signing (docs/audit.md)",
	run:  runAudit,
}

func runAudit(env *environment, flags *flag.FlagSet, args []string) error {
	insnsFile := flags.String("insns", "", "`file` with a loader's instructions, of whatever generator, instead of a bundle")
	dataFile := flags.String("data", "", "`file` with its metadata map's contents")
	schemeName := flags.String("scheme", bundle.MapHash.String(), "the attestation `scheme` that it is for")
	bigEndian := flags.Bool("big-endian", false, "it is for big-endian machines")
	asJSON := flags.Bool("json", false, "print the findings as JSON")
	out := flags.String("out", "", "write the findings as JSON to `FILE`, unless there is an error among them")
	n := 1
	for _, a := range args {
		if a == "-insns" || a == "--insns" || a == "-data" || a == "--data" {
			n = 0
		}
	}
	if err := parse(flags, args, n); err != nil {
		return err
	}
	var findings []audit.Finding
	var made *proof.Made // without a bundle there is nothing to compare it with
	var what string
	if n == 0 {
		if *insnsFile == "" || *dataFile == "" {
			return usagef("-insns and -data go together")
		}
		scheme, err := bundle.ParseScheme(*schemeName)
		if err != nil {
			return usagef("-scheme: %w", err)
		}
		insns, err := env.Files.Read(*insnsFile, file.MaxBinary)
		if err != nil {
			return inFlag("insns", err)
		}
		data, err := env.Files.Read(*dataFile, file.MaxBinary)
		if err != nil {
			return inFlag("data", err)
		}
		var order binary.ByteOrder = binary.LittleEndian
		if *bigEndian {
			order = binary.BigEndian
		}
		what = cli.Input(*insnsFile)
		findings, made = audit.Derive(scheme, order, insns, data)
	} else {
		what = cli.Input(flags.Arg(0))
		b, err := env.ReadBundle(flags.Arg(0))
		if err != nil {
			return err
		}
		findings = audit.Bundle(b)
	}
	if findings == nil {
		findings = []audit.Finding{} // null in JSON otherwise
	}
	data, err := file.FormatJSON(findings)
	if err != nil {
		return err
	}
	quiet := *asJSON || *out != ""
	switch {
	case *asJSON:
		if _, err := env.Stdout.Write(data); err != nil {
			return err
		}
	case *out == "" || audit.Failed(findings):
		printFindings(env.Stdout, what, findings)
	}
	if audit.Failed(findings) {
		return fmt.Errorf("%s: %w", what, errAudit)
	}
	if *out != "" {
		if err := env.Files.Write(*out, data); err != nil {
			return inFlag("out", err)
		}
	}
	if !quiet {
		printProven(env.Stdout, what, made)
	}
	return nil
}

// printProven says what was proven.
func printProven(w io.Writer, what string, made *proof.Made) {
	fmt.Fprintf(w, "%s: OK: the loader verifies its metadata before acting and takes no input from the host", what)
	if made == nil {
		fmt.Fprintln(w, "; it makes what the contract says")
		return
	}
	fmt.Fprintln(w, ". This is what it makes:")
	for _, line := range made.Lines() {
		fmt.Fprintf(w, "  %s\n", printable.Text(line))
	}
}

// printFindings prints the first finding of each kind, and how many more there are.
func printFindings(w io.Writer, what string, findings []audit.Finding) {
	type kind struct {
		id     audit.ID
		scheme bundle.Scheme
	}
	count := map[kind]int{}
	for _, f := range findings {
		count[kind{f.ID, f.Scheme}]++
	}
	for _, f := range findings {
		k := kind{f.ID, f.Scheme}
		more := ""
		switch n := count[k]; {
		case n == 0:
			continue // said with the first
		case n > 1:
			more = fmt.Sprintf(" (and %d more like this; -json lists all)", n-1)
		}
		count[k] = 0
		fmt.Fprintf(w, "%s: %v%s\n", what, f, more)
	}
}

var errAudit = errors.New("the audit fails: do not sign this")
