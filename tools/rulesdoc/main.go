// Command rulesdoc writes the rules reference, docs/rules.md, from what Bazel's starlark_doc_extract takes out of .bzl files.
//
//	rulesdoc -out FILE MODULE.binaryproto...
//
// Under `bazel run`, FILE is relative to the workspace.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/file"
)

func main() {
	out := flag.String("out", "", "the `file` to write")
	flag.Parse()
	if *out == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "rulesdoc:", err)
		os.Exit(1)
	}
}

func run(out string, paths []string) error {
	var modules []*module
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		m, err := parseModule(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if names := m.undocumented(); len(names) > 0 {
			return fmt.Errorf("%s: without documentation: %s", path, strings.Join(names, ", "))
		}
		modules = append(modules, m)
	}
	if workspace := os.Getenv("BUILD_WORKSPACE_DIRECTORY"); workspace != "" && !filepath.IsAbs(out) {
		out = filepath.Join(workspace, out)
	}
	return file.Write(out, render(modules))
}
