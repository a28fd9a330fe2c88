//go:build linux

// Command bpfload loads a bundle into the kernel, and prints what it made as JSON.
//
//	bpfload [-unsigned] [-keyring session|user|builtin|secondary|platform|SERIAL] [-enroll CERT.der] BUNDLE
//	bpfload -probe
//
// It exits with 0 when the bundle was loaded, 1 when it was refused, and 2 when it was called wrongly. What was loaded is
// gone when it ends, unless the bundle's maps are pinned.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// keyrings is a flag that may be given more than once.
type keyrings []runtime.KeyringID

func (k *keyrings) String() string { return strings.Trim(fmt.Sprint([]runtime.KeyringID(*k)), "[]") }

func (k *keyrings) Set(s string) error {
	id, err := runtime.ParseKeyring(s)
	*k = append(*k, id)
	return err
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bpfload", flag.ContinueOnError)
	flags.SetOutput(stderr)
	unsigned := flags.Bool("unsigned", false, "load without a signature: for development")
	probe := flags.Bool("probe", false, "print what this kernel can do, and load nothing")
	certificate := flags.String("enroll", "", "first add this certificate (X.509, DER) to the session keyring, and trust that keyring")
	pinRoot := flags.String("pin-root", "/sys/fs/bpf", "pin the maps that ask for it in this `folder`")
	var trusted keyrings
	flags.Var(&trusted, "keyring", "trust this `keyring`: builtin, secondary, platform, session, user or a serial number; may be repeated (default builtin, then secondary)")
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: bpfload [flags] BUNDLE\n       bpfload -probe\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	want := 1
	if *probe {
		want = 0
	}
	if flags.NArg() != want {
		flags.Usage()
		return 2
	}
	if *probe {
		fmt.Fprint(stdout, runtime.Probe())
		return 0
	}

	opts := []runtime.Option{runtime.Keyring(trusted...), runtime.PinRoot(*pinRoot)}
	if *unsigned {
		opts = append(opts, runtime.AllowUnsigned())
	}
	if *certificate != "" {
		der, err := os.ReadFile(*certificate)
		if err != nil {
			return fail(stderr, err)
		}
		opts = append(opts, runtime.Enroll(der))
	}
	file, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return fail(stderr, err)
	}
	b, err := bundle.Decode(file)
	if err != nil {
		return fail(stderr, err)
	}
	coll, err := runtime.Load(context.Background(), b, opts...)
	if err != nil {
		return fail(stderr, err)
	}
	defer coll.Close()
	report, err := describe(b, coll)
	if err != nil {
		return fail(stderr, err)
	}
	out := json.NewEncoder(stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(report); err != nil {
		return fail(stderr, err)
	}
	return 0
}

// fail prints an error and, in lines of their own, the verifier's log and the errno's name.
func fail(stderr io.Writer, err error) int {
	fmt.Fprintln(stderr, "bpfload:", err)
	var failed *runtime.LoadError
	if !errors.As(err, &failed) {
		return 1
	}
	if failed.Log != "" {
		fmt.Fprintf(stderr, "verifier log:\n%s\n", lastLines(failed.Log, 40))
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
