// Package compile makes an unsigned bundle of an object file as a command line asks for it: loadergen's, and that of signtool,
// which can do both at once.
package compile

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
)

// ErrFlag is in the chain of errors about a flag's value.
var ErrFlag = errors.New("wrong flag")

// Flags say how an object is compiled.
type Flags struct {
	schemes, kernelBTF string
	kconfig            list
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

// Add declares the flags.
func (f *Flags) Add(flags *flag.FlagSet) {
	flags.StringVar(&f.schemes, "scheme", allSchemes(), "attestation `schemes` to make loaders for, separated by commas")
	flags.StringVar(&f.kernelBTF, "kernel-btf", "", "raw BTF `file` of a kernel, for the layout of struct_ops types")
	flags.Var(&f.kconfig, "kconfig", "`NAME=VALUE` of a kernel configuration extern; may be repeated")
}

// allSchemes is the value of -scheme that names all of them.
func allSchemes() string {
	var names []string
	for _, s := range bundle.Schemes {
		names = append(names, s.String())
	}
	return strings.Join(names, ",")
}

// Given returns the name of one of these flags that a command line has set, or nothing.
func Given(flags *flag.FlagSet) (name string) {
	var ours flag.FlagSet
	new(Flags).Add(&ours)
	flags.Visit(func(f *flag.Flag) {
		if ours.Lookup(f.Name) != nil {
			name = f.Name
		}
	})
	return name
}

// Compile makes the bundle of an object file. That of standard input is called "stdin".
func (f *Flags) Compile(files *file.Stdio, path string) (*bundle.Bundle, error) {
	var opts loader.Options
	for _, name := range strings.Split(f.schemes, ",") {
		s, err := bundle.ParseScheme(name)
		if err != nil {
			return nil, fmt.Errorf("%w: -scheme: %w", ErrFlag, err)
		}
		opts.Schemes = append(opts.Schemes, s)
	}
	values, err := object.ParseKconfig(f.kconfig)
	if err != nil {
		return nil, fmt.Errorf("%w: -kconfig: %w", ErrFlag, err)
	}
	raw, err := files.Read(path, file.MaxBinary)
	if err != nil {
		return nil, err
	}
	name := path
	if path == file.Std {
		name = "stdin"
	}
	obj, err := object.Parse(name, raw, object.Options{Kconfig: values})
	if err != nil {
		return nil, err
	}
	if f.kernelBTF != "" {
		raw, err := files.Read(f.kernelBTF, file.MaxBinary)
		if err != nil {
			return nil, err
		}
		if opts.KernelBTF, err = btf.Parse(raw, binary.ByteOrder(obj.Order)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.kernelBTF, err)
		}
	}
	return loader.Compile(obj, opts)
}
