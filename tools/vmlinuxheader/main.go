// Command vmlinuxheader writes a kernel's types as a C header, vmlinux.h, from its BTF: what bpf_vmlinux_header runs.
//
//	vmlinuxheader -btf FILE [-module FILE]... -out vmlinux.h
//
// FILE is raw BTF, as in /sys/kernel/btf, or ELF with a section .BTF. It exits with 1 when there is no header to be made of
// it, having written nothing, and with 2 on wrong usage.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/cheader"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

var errUsage = errors.New("wrong usage")

func main() {
	err := run(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "vmlinuxheader:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "vmlinuxheader:", err)
		os.Exit(1)
	}
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("vmlinuxheader", flag.ContinueOnError)
	flags.SetOutput(stderr)
	kernel := flags.String("btf", "", "the kernel's BTF: a `file` of raw BTF, or ELF with a section .BTF")
	out := flags.String("out", "", "the header `file` to write")
	var modules list
	flags.Var(&modules, "module", "a kernel module's BTF, a `file` as in /sys/kernel/btf; may be repeated")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *kernel == "" || *out == "" || flags.NArg() > 0 {
		return fmt.Errorf("%w: want -btf FILE -out FILE", errUsage)
	}
	base, err := read(*kernel, nil)
	if errors.Is(err, btf.ErrNoBase) {
		return fmt.Errorf("%w: give the kernel's with -btf, and this with -module", err)
	}
	if err != nil {
		return err
	}
	var specs []*btf.Spec
	for _, file := range modules {
		spec, err := read(file, base)
		if errors.Is(err, btf.ErrMalformed) {
			return fmt.Errorf("%w: is it a module of the very kernel that -btf is of?", err)
		}
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	header, err := cheader.Write(btf.Join(base, specs...))
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append([]string{*kernel}, modules...), ", "), err)
	}
	return file.Write(*out, header)
}

func read(file string, base *btf.Spec) (*btf.Spec, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	spec, err := btf.ParseFile(data, base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return spec, nil
}
