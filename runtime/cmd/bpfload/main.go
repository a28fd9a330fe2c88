//go:build linux

// Command bpfload loads a bundle into the kernel, and prints what it made as JSON.
//
//	bpfload [-unsigned] [-keyring session|user|builtin|secondary|platform|SERIAL] [-enroll CERT.der] BUNDLE
//	bpfload -probe [-json]
//
// BUNDLE or CERT.der may be -, for standard input.
//
// Exit status: 0 success, 1 the bundle was not loaded (with -probe: this kernel can load no bundle), 2 usage error. What was
// loaded is gone when bpfload exits, except for pinned maps.
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// keyrings is a flag that may be given more than once.
type keyrings []runtime.KeyringID

func (k *keyrings) String() string { return strings.Trim(fmt.Sprint([]runtime.KeyringID(*k)), "[]") }

func (k *keyrings) Set(s string) error {
	id, err := runtime.ParseKeyring(s)
	*k = append(*k, id)
	return err
}

// flags are the command line.
type flags struct {
	unsigned, probe, json bool
	certificate, pinRoot  string
	trusted               keyrings
	bundle                string
}

// parse reads the command line. The exit code counts if ok is false: the call was wrong, or asked for help.
func parse(args []string, stderr io.Writer) (f flags, code int, ok bool) {
	set := flag.NewFlagSet("bpfload", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.BoolVar(&f.unsigned, "unsigned", false, "load without a signature: for development")
	set.BoolVar(&f.probe, "probe", false, "print what this kernel can do, and load nothing; exit with 1 if it can load no bundle")
	set.BoolVar(&f.json, "json", false, "with -probe: print JSON")
	set.StringVar(&f.certificate, "enroll", "", "first add this certificate (X.509, DER) to the session keyring, and trust that keyring")
	set.StringVar(&f.pinRoot, "pin-root", "/sys/fs/bpf", "pin the maps that ask for it in this `folder`")
	set.Var(&f.trusted, "keyring", "trust this `keyring`: builtin, secondary, platform, session, user or a serial number; may be repeated (default builtin, then secondary)")
	set.Usage = func() {
		fmt.Fprint(stderr, "usage: bpfload [flags] BUNDLE\n       bpfload -probe [-json]\n")
		set.PrintDefaults()
	}
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return f, 0, false
	} else if err != nil {
		return f, 2, false
	}
	if want := map[bool]int{false: 1, true: 0}[f.probe]; set.NArg() != want {
		set.Usage()
		return f, 2, false
	}
	f.bundle = set.Arg(0)
	return f, 0, true
}

// run is the command. What it prints is escaped where it is not printable: names and logs come from the bundle.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	stdout, stderr = printable.Writer(stdout), printable.Writer(stderr)
	f, code, ok := parse(args, stderr)
	if !ok {
		return code
	}
	if f.probe {
		return printProbe(runtime.Probe(), f.json, stdout, stderr)
	}
	if err := load(&f, &reader{stdin: stdin}, stdout); err != nil {
		return fail(stderr, err)
	}
	return 0
}

// load loads the bundle and prints what the kernel has then.
func load(f *flags, files *reader, stdout io.Writer) error {
	opts := []runtime.Option{runtime.Keyring(f.trusted...), runtime.PinRoot(f.pinRoot)}
	if f.unsigned {
		opts = append(opts, runtime.AllowUnsigned())
	}
	if f.certificate != "" {
		der, err := files.read(f.certificate, maxCertificate)
		if err != nil {
			return err
		}
		opts = append(opts, runtime.Enroll(der))
	}
	b, err := files.bundle(f.bundle)
	if err != nil {
		return err
	}
	coll, err := runtime.Load(context.Background(), b, opts...)
	if err != nil {
		return err
	}
	defer coll.Close()
	report, err := describe(b, coll)
	if err != nil {
		return err
	}
	return printJSON(stdout, report)
}

// fail prints an error and, in lines of their own, the verifier's log and the errno's name.
func fail(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, "bpfload:", printable.Error(err))
	var failed *runtime.LoadError
	if !errors.As(err, &failed) {
		return 1
	}
	if failed.Log != "" {
		log := strings.ReplaceAll(lastLines(failed.Log, 40), "\n", "\n\t") // source lines of the bundle's are in it
		fmt.Fprintf(stderr, "verifier log:\n\t%s\n", log)
	}
	if name := failed.ErrnoName(); name != "" {
		fmt.Fprintln(stderr, "errno:", name)
	}
	return 1
}

// lastLines cuts a log to its end, which is where the complaint is.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = append([]string{fmt.Sprintf("[%d lines left out]", len(lines)-n)}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "\n")
}

type report struct {
	Object   string    `json:"object"`
	Scheme   string    `json:"scheme"`
	Signed   bool      `json:"signed"`
	KeyID    string    `json:"key_id,omitempty"`
	KeyKind  string    `json:"key_kind,omitempty"`
	Keyring  string    `json:"keyring,omitempty"`
	Maps     []mapInfo `json:"maps"`
	Programs []program `json:"programs"`
}

type mapInfo struct {
	Name string `json:"name"`
	Type string `json:"type"`
	ID   uint32 `json:"id"`
}

type program struct {
	Name string `json:"name"`
	Type string `json:"type"`
	ID   uint32 `json:"id"`
	Tag  string `json:"tag"`
}

// describe says what was loaded, in the bundle's order.
func describe(b *bundle.Bundle, coll *runtime.Collection) (*report, error) {
	r := &report{Object: b.Object.Name, Scheme: coll.Scheme.String(), Maps: []mapInfo{}, Programs: []program{}}
	if s := coll.SignedBy; s != nil {
		r.Signed, r.KeyID, r.KeyKind, r.Keyring = true, hex.EncodeToString(s.KeyID), string(s.Kind), s.Keyring.String()
	}
	for _, m := range b.Maps {
		info, err := coll.Map(m.Name).Info()
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", m.Name, err)
		}
		id, _ := info.ID()
		r.Maps = append(r.Maps, mapInfo{m.Name, info.Type.String(), uint32(id)})
	}
	for _, p := range b.Programs {
		info, err := coll.Program(p.Name).Info()
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", p.Name, err)
		}
		id, _ := info.ID()
		r.Programs = append(r.Programs, program{p.Name, info.Type.String(), uint32(id), info.Tag})
	}
	return r, nil
}
