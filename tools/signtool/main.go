// Signtool signs loaders, verifies their signatures and shows what is in a bundle.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Exit statuses.
const (
	exitOK    = 0
	exitFails = 1 // it does not hold, or could not be done
	exitUsage = 2
)

// command is a subcommand.
type command struct {
	name, args, help string
	// run does it. It parses args with flags.
	run func(env *environment, flags *flag.FlagSet, args []string) error
}

// commands are all subcommands, in the order in which help lists them.
var commands = []command{
	signCommand, verifyCommand, inspectCommand, keygenCommand, certifyCommand, stripCommand,
	tbsCommand, signTBSCommand, attachCommand, provenanceCommand, auditCommand,
}

// environment is all that a subcommand touches but files.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

// usageError is a wrong call.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	os.Exit(run(&environment{os.Stdin, os.Stdout, os.Stderr, os.Getenv}, os.Args[1:]))
}

// run runs a command line and returns its exit status.
func run(env *environment, args []string) int {
	if len(args) == 0 {
		usage(env.stderr)
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		usage(env.stdout)
		return exitOK
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.call(env, args[1:])
		}
	}
	fmt.Fprintf(env.stderr, "signtool: unknown command %q\n", args[0])
	usage(env.stderr)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "usage: signtool COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.help)
	}
	fmt.Fprintf(w, "\nsigntool COMMAND -h lists a command's flags. Exit status: 0, 1 it does not hold or could not be done, 2 a wrong call.\n")
}

// call runs a subcommand and returns the exit status.
func (c *command) call(env *environment, args []string) int {
	flags := flag.NewFlagSet("signtool "+c.name, flag.ContinueOnError)
	flags.SetOutput(env.stderr)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: signtool %s %s\n\n%s.\n\n", c.name, c.args, c.help)
		flags.PrintDefaults()
	}
	err := c.run(env, flags, args)
	var wrong usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &wrong):
		if wrong.error != nil { // otherwise the flag package has said it
			fmt.Fprintf(env.stderr, "signtool %s: %v\n", c.name, err)
		}
		return exitUsage
	}
	fmt.Fprintf(env.stderr, "signtool %s: %v\n", c.name, err)
	return exitFails
}
