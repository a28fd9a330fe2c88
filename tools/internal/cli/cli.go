// Package cli is what the tools' main functions have in common: files and standard streams, how errors are shown, and
// exit statuses.
package cli

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// ErrUsage is in the chain of errors about a command line that the command cannot follow.
var ErrUsage = errors.New("wrong usage")

// Exit statuses.
const (
	ExitOK = iota
	ExitFailed
	ExitUsage
)

// Env is what a command has of its process.
type Env struct {
	// Files are those that the command line names; file.Std is standard input or output as it is.
	Files *file.Stdio
	// Stdout and Stderr are for text. What is not printable is escaped, whoever it came from.
	Stdout, Stderr io.Writer
}

// NewEnv returns the environment of a process with these streams.
func NewEnv(stdin io.Reader, stdout, stderr io.Writer) *Env {
	return &Env{
		Files:  &file.Stdio{In: stdin, Out: stdout},
		Stdout: printable.Writer(stdout),
		Stderr: printable.Writer(stderr),
	}
}

// Process returns the environment of this process.
func Process() *Env { return NewEnv(os.Stdin, os.Stdout, os.Stderr) }

// Main runs a command and ends the process.
func Main(name string, run func(args []string, env *Env) error) {
	env := Process()
	os.Exit(env.Report(name, run(os.Args[1:], env)))
}

// Report prints a command's error, if there is one, and returns the exit status.
func (e *Env) Report(name string, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitOK
	case errors.Is(err, ErrUsage), errors.Is(err, file.ErrStdTwice):
		fmt.Fprintf(e.Stderr, "%s: %s\n", name, printable.Error(err))
		return ExitUsage
	}
	fmt.Fprintf(e.Stderr, "%s: %s\n", name, printable.Error(err))
	return ExitFailed
}

// Messages returns where to print what a command has done: Stdout, unless one of its outputs goes there.
func (e *Env) Messages(outputs ...string) io.Writer {
	if slices.Contains(outputs, file.Std) {
		return e.Stderr
	}
	return e.Stdout
}

// ReadBundle reads a bundle file.
func (e *Env) ReadBundle(path string) (*bundle.Bundle, error) {
	data, err := e.Files.Read(path, bundle.MaxFile)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Input(path), err)
	}
	return b, nil
}

// ReadCertificates reads a certificate file: see certs.Parse.
func (e *Env) ReadCertificates(path string) ([]*x509.Certificate, error) {
	data, err := e.Files.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	list, err := certs.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Input(path), err)
	}
	return list, nil
}

// Input names an input in errors.
func Input(path string) string {
	if path == file.Std {
		return "standard input"
	}
	return path
}

// WriteBundle writes a bundle file.
func (e *Env) WriteBundle(path string, b *bundle.Bundle) error {
	data, err := bundle.Encode(b)
	if err != nil {
		return err
	}
	return e.Files.Write(path, data)
}
