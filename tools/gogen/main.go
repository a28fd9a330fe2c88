// Command gogen writes the Go package of a signed loader: what bpf_go_library compiles.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/rules-bpf/rules_bpf/bundle"
)

func main() {
	var (
		in         = flag.String("bundle", "", "the loader's `file` (.bpfl)")
		importPath = flag.String("importpath", "", "the package's import `path`")
		embed      = flag.String("embed", "", "the `name` under which the package embeds the loader")
		out        = flag.String("out", "", "the Go `file` to write")
	)
	flag.Parse()
	if *in == "" || *importPath == "" || *embed == "" || *out == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*in, *importPath, *embed, *out); err != nil {
		fmt.Fprintf(os.Stderr, "gogen: %v\n", err)
		os.Exit(1)
	}
}

func run(in, importPath, embed, out string) error {
	data, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	b, err := bundle.Decode(data)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	name, err := packageName(importPath)
	if err != nil {
		return err
	}
	src, err := generate(b, name, embed)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return os.WriteFile(out, src, 0o644)
}
