//go:build linux

// Package options gives the examples' command lines what says how to load.
package options

import (
	"flag"
	"os"

	"github.com/rules-bpf/rules_bpf/runtime"
)

// Flags are -unsigned, -enroll and -keyring.
type Flags struct {
	unsigned        bool
	enroll, keyring string
}

// New adds the flags to the command line. Call it before flag.Parse.
func New() *Flags {
	f := &Flags{}
	flag.BoolVar(&f.unsigned, "unsigned", false, "load without a signature: for development")
	flag.StringVar(&f.enroll, "enroll", "", "add the certificate in `FILE` (DER) to the session keyring, and trust that keyring")
	flag.StringVar(&f.keyring, "keyring", "", "trust the keys of this `KEYRING` instead of the builtin and the secondary keyring")
	return f
}

// Load returns the options for Load that the flags ask for.
func (f *Flags) Load() ([]runtime.Option, error) {
	var opts []runtime.Option
	if f.unsigned {
		opts = append(opts, runtime.AllowUnsigned())
	}
	if f.keyring != "" {
		id, err := runtime.ParseKeyring(f.keyring)
		if err != nil {
			return nil, err
		}
		opts = append(opts, runtime.Keyring(id))
	}
	if f.enroll != "" {
		certificate, err := os.ReadFile(f.enroll)
		if err != nil {
			return nil, err
		}
		opts = append(opts, runtime.Enroll(certificate))
	}
	return opts, nil
}
