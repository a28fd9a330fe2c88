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
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

func main() { cli.Main("rulesdoc", run) }

func run(args []string, env *cli.Env) error {
	flags := flag.NewFlagSet("rulesdoc", flag.ContinueOnError)
	flags.SetOutput(env.Stderr)
	name := flags.String("out", "", "the `file` to write")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	}
	out := *name
	if out == "" || flags.NArg() == 0 {
		return fmt.Errorf("%w: want -out FILE and modules", cli.ErrUsage)
	}
	var modules []*module
	for _, path := range flags.Args() {
		data, err := env.Files.Read(path, file.MaxBinary)
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
	if workspace := os.Getenv("BUILD_WORKSPACE_DIRECTORY"); workspace != "" && out != file.Std && !filepath.IsAbs(out) {
		out = filepath.Join(workspace, out)
	}
	return env.Files.Write(out, render(modules))
}
