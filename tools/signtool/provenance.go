package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tools/signtool/provenance"
)

var provenanceCommand = command{
	name: "provenance",
	args: "[-compiler NAME | -compiled OBJECT...] [-flag FLAG...] [-kconfig NAME=VALUE...] [-material NAME=FILE...] -in IN.bpfl -out OUT.intoto.json",
	help: "write the in-toto statement of a bundle: what it was made from, and how",
	run:  runProvenance,
}

func runProvenance(env *environment, flags *flag.FlagSet, args []string) error {
	var compiled, compilerFlags, kconfig, materials stringList
	var build provenance.Build
	flags.StringVar(&build.Compiler, "compiler", "", "`name` and version of the compiler, as it calls itself")
	flags.Var(&compiled, "compiled", "an `object` as the compiler wrote it, whose debug information names the compiler; may be repeated, if the compiler is one")
	flags.Var(&compilerFlags, "flag", "a `flag` of the compiler; may be repeated")
	flags.Var(&kconfig, "kconfig", "a value of a kconfig extern that the loader was made with, as `NAME=VALUE`; may be repeated")
	flags.Var(&materials, "material", "a further input, as `NAME=FILE`; may be repeated")
	flags.StringVar(&build.Builder, "builder", "", "`URI` that names who builds (default rules_bpf)")
	in := flags.String("in", "", "the bundle `file`, signed or not")
	out := flags.String("out", "", "`file` for the statement, in JSON")
	if err := parse(flags, args, 0, "in", "out"); err != nil {
		return err
	}
	build.Flags = compilerFlags
	if len(compiled) > 0 {
		if build.Compiler != "" {
			return usagef("set either -compiler or -compiled")
		}
		var err error
		if build.Compiler, err = env.compilerOf(compiled); err != nil {
			return inFlag("compiled", err)
		}
	}
	for _, k := range kconfig {
		name, value, ok := strings.Cut(k, "=")
		if !ok || name == "" {
			return usagef("-kconfig: %q, want NAME=VALUE", k)
		}
		if build.Kconfig == nil {
			build.Kconfig = make(map[string]string)
		}
		build.Kconfig[name] = value
	}
	for _, m := range materials {
		name, path, ok := strings.Cut(m, "=")
		if !ok || name == "" {
			return usagef("-material: %q, want NAME=FILE", m)
		}
		material, err := env.material(name, path)
		if err != nil {
			return inFlag("material", err)
		}
		build.Materials = append(build.Materials, material)
	}
	b, err := env.ReadBundle(*in)
	if err != nil {
		return inFlag("in", err)
	}
	statement, err := provenance.New(b, build)
	if err != nil {
		return err
	}
	data, err := statement.Encode()
	if err != nil {
		return err
	}
	return inFlag("out", env.Files.Write(*out, data))
}

// errCompilers is in the chain of errors about objects of different compilers.
var errCompilers = errors.New("the objects are of different compilers")

// compilerOf returns what the compiler of objects calls itself.
func (env *environment) compilerOf(objects []string) (string, error) {
	var compiler string
	for i, path := range objects {
		data, err := env.Files.Read(path, file.MaxBinary)
		if err != nil {
			return "", err
		}
		producer, err := provenance.Producer(data)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		if i > 0 && producer != compiler {
			return "", fmt.Errorf("%w: %s is of %q, and %s of %q: compile them with one", errCompilers, objects[0], compiler, path, producer)
		}
		compiler = producer
	}
	return compiler, nil
}

// material names a file of any size by its digest.
func (env *environment) material(name, path string) (provenance.Resource, error) {
	f, err := env.Files.Open(path, file.MaxBinary)
	if err != nil {
		return provenance.Resource{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return provenance.Resource{}, err
	}
	return provenance.Digest(name, h.Sum(nil)), nil
}
