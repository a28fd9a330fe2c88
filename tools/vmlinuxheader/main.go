// Command vmlinuxheader writes a kernel's types as a C header, vmlinux.h, from its BTF: what bpf_vmlinux_header runs.
//
//	vmlinuxheader -btf FILE [-module FILE]... -out vmlinux.h
//
// FILE is raw BTF, as in /sys/kernel/btf, or ELF with a section .BTF; - is standard input, or output. It exits with 1 when there is no header to be made of
// it, having written nothing, and with 2 on wrong usage.
package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/cheader"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

func main() { cli.Main("vmlinuxheader", run) }

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func run(args []string, env *cli.Env) error {
	flags := flag.NewFlagSet("vmlinuxheader", flag.ContinueOnError)
	flags.SetOutput(env.Stderr)
	kernel := flags.String("btf", "", "the kernel's BTF: a `file` of raw BTF, or ELF with a section .BTF")
	out := flags.String("out", "", "the header `file` to write; - for standard output")
	var modules list
	flags.Var(&modules, "module", "a kernel module's BTF, a `file` as in /sys/kernel/btf; may be repeated")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	if *kernel == "" || *out == "" || flags.NArg() > 0 {
		return fmt.Errorf("%w: want -btf FILE -out FILE", cli.ErrUsage)
	}
	base, err := read(env, *kernel, nil)
	if errors.Is(err, btf.ErrNoBase) {
		return fmt.Errorf("%w: give the kernel's with -btf, and this with -module", err)
	}
	if err != nil {
		return err
	}
	var specs []*btf.Spec
	for _, path := range modules {
		spec, err := read(env, path, base)
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
	return env.Files.Write(*out, header)
}

// read reads a file's BTF. The file itself may be large: a vmlinux has gigabytes of debug information.
func read(env *cli.Env, path string, base *btf.Spec) (*btf.Spec, error) {
	f, err := env.Files.Open(path, file.MaxBinary)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	spec, err := btf.ReadFile(f, base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cli.Input(path), err)
	}
	return spec, nil
}
