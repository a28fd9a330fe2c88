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
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/atomicfile"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
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

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func run(args []string, stderr io.Writer) error {
	if len(args) > 0 && inspections[args[0]] != nil {
		return inspections[args[0]](args[1:], os.Stdout, stderr)
	}
	flags := flag.NewFlagSet("loadergen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	in := flags.String("object", "", "the BPF object `file` to compile")
	out := flags.String("out", "", "the bundle `file` to write")
	schemes := flags.String("scheme", "map-hash,payload", "attestation `schemes` to make loaders for, separated by commas")
	kernelBTF := flags.String("kernel-btf", "", "raw BTF `file` of a kernel, for the layout of struct_ops types")
	var kconfig list
	flags.Var(&kconfig, "kconfig", "`NAME=VALUE` of a kernel configuration extern; may be repeated")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *in == "" || *out == "" || flags.NArg() > 0 {
		return fmt.Errorf("%w: want -object FILE -out FILE", errUsage)
	}
	var opts loader.Options
	for _, name := range strings.Split(*schemes, ",") {
		s, err := bundle.ParseScheme(name)
		if err != nil {
			return fmt.Errorf("%w: -scheme: %w", errUsage, err)
		}
		opts.Schemes = append(opts.Schemes, s)
	}
	values, err := object.ParseKconfig(kconfig)
	if err != nil {
		return fmt.Errorf("%w: -kconfig: %w", errUsage, err)
	}
	raw, err := os.ReadFile(*in)
	if err != nil {
		return err
	}
	obj, err := object.Parse(*in, raw, object.Options{Kconfig: values})
	if err != nil {
		return err
	}
	if *kernelBTF != "" {
		raw, err := os.ReadFile(*kernelBTF)
		if err != nil {
			return err
		}
		if opts.KernelBTF, err = btf.Parse(raw, binary.ByteOrder(obj.Order)); err != nil {
			return fmt.Errorf("%s: %w", *kernelBTF, err)
		}
	}
	b, err := loader.Compile(obj, opts)
	if err != nil {
		return err
	}
	data, err := bundle.Encode(b)
	if err != nil {
		return fmt.Errorf("%s: %w", *in, err)
	}
	return atomicfile.Write(*out, data, 0o644)
}
