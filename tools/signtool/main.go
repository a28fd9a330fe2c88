// Signtool signs loaders, verifies their signatures and shows what is in a bundle.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
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
	*cli.Env
	getenv func(string) string
}

// usageError is a wrong call.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() []error { return []error{cli.ErrUsage, e.error} }

func main() {
	os.Exit(run(&environment{cli.Process(), os.Getenv}, os.Args[1:]))
}

// run runs a command line and returns its exit status.
func run(env *environment, args []string) int {
	if len(args) == 0 {
		usage(env.Stderr)
		return cli.ExitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		usage(env.Stdout)
		return cli.ExitOK
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.call(env, args[1:])
		}
	}
	fmt.Fprintf(env.Stderr, "signtool: unknown command %q\n", args[0])
	usage(env.Stderr)
	return cli.ExitUsage
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "usage: signtool COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.help)
	}
	fmt.Fprintf(w, "\nsigntool COMMAND -h lists a command's flags. A file named - is standard input or output. Exit status: 0 success, 1 verification or operation failed, 2 usage error.\n")
}

// call runs a subcommand and returns the exit status.
func (c *command) call(env *environment, args []string) int {
	flags := flag.NewFlagSet("signtool "+c.name, flag.ContinueOnError)
	flags.SetOutput(env.Stderr)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: signtool %s %s\n\n%s.\n\n", c.name, c.args, c.help)
		flags.PrintDefaults()
	}
	err := c.run(env, flags, args)
	if errors.Is(err, errFlags) {
		return cli.ExitUsage
	}
	return env.Report("signtool "+c.name, err)
}

// errFlags is the error of a command line that the flag package has complained about.
var errFlags = errors.New("wrong flags")
