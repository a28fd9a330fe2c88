package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
	"github.com/rules-bpf/rules_bpf/tools/signtool/plugin"
)

// parse parses a command line that ends with exactly n arguments. Flags named in required must be given.
func parse(flags *flag.FlagSet, args []string, n int, required ...string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errFlags
	}
	for _, name := range required {
		if flags.Lookup(name).Value.String() == "" {
			return usagef("flag -%s is missing", name)
		}
	}
	if flags.NArg() != n {
		return usagef("%d arguments after the flags, want %d: %q", flags.NArg(), n, flags.Args())
	}
	return nil
}

// inFlag puts the name of a flag before an error about its value.
func inFlag(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("-%s: %w", name, err)
}

// stringList is a flag that can be given several times.
type stringList []string

func (l *stringList) String() string     { return strings.Join(*l, ",") }
func (l *stringList) Set(s string) error { *l = append(*l, s); return nil }

// timeFlag is a point in time; zero means now.
type timeFlag struct{ time.Time }

func (t *timeFlag) String() string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func (t *timeFlag) Set(s string) (err error) {
	t.Time, err = time.Parse(time.RFC3339, s)
	return err
}

// orNow returns the time, or now.
func (t *timeFlag) orNow() time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t.Time
}

func addTime(flags *flag.FlagSet) *timeFlag {
	t := new(timeFlag)
	flags.Var(t, "at", "`time` at which certificates must be valid, as 2006-01-02T15:04:05Z (default now)")
	return t
}

// passphraseFlags say where the passphrase of an encrypted key comes from.
type passphraseFlags struct{ file, env string }

func (p *passphraseFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&p.file, "passphrase-file", "", "`file` with the passphrase of an encrypted key; a line feed at its end does not count")
	flags.StringVar(&p.env, "passphrase-env", "SIGNTOOL_PASSPHRASE", "`name` of the environment variable with it, if there is no file")
}

// get returns the passphrase, or nil if there is none.
func (p *passphraseFlags) get(env *environment) ([]byte, error) {
	if p.file != "" {
		data, err := env.Files.Read(p.file, file.MaxText)
		if err != nil {
			return nil, inFlag("passphrase-file", err)
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")), nil
	}
	if s := env.getenv(p.env); s != "" {
		return []byte(s), nil
	}
	return nil, nil
}

// require is get where there must be a passphrase.
func (p *passphraseFlags) require(env *environment) ([]byte, error) {
	pass, err := p.get(env)
	if err == nil && len(pass) == 0 {
		err = fmt.Errorf("the key is encrypted, and there is no %w: use -passphrase-file, or the environment variable %s "+
			"(in Bazel: passphrase_file of bpf_signing_key, or passphrase_env and --action_env)", signing.ErrPassphrase, p.env)
	}
	return pass, err
}

// identityFlags say who signs.
type identityFlags struct {
	key, cert, hash string
	passphrase      passphraseFlags
	signer          signerFlags
	at              *timeFlag
}

func (f *identityFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&f.key, "key", "", "`file` with the private key, in PEM")
	flags.StringVar(&f.cert, "cert", "", "`file` with the key's certificate, in PEM or DER")
	flags.StringVar(&f.hash, "hash", "sha256", "digest `algorithm`: sha256, sha384 or sha512")
	f.passphrase.add(flags)
	f.signer.add(flags)
	f.at = addTime(flags)
}

// identity reads key and certificate and checks them.
func (f *identityFlags) identity(env *environment) (*signing.Identity, error) {
	hash, err := cms.ParseHash(f.hash)
	if err != nil {
		return nil, usageError{inFlag("hash", err)}
	}
	if (f.key == "") == (f.signer.command == "") {
		return nil, usagef("give one of -key and -signer")
	}
	cert, err := env.certificate("cert", f.cert)
	if err != nil {
		return nil, err
	}
	key, err := f.privateKey(env, cert)
	if err != nil {
		return nil, err
	}
	id := &signing.Identity{Signer: key, Certificate: cert, Hash: hash}
	if err := id.Check(f.at.orNow()); err != nil {
		return nil, inFlag("cert", fmt.Errorf("%s: %w", f.cert, err))
	}
	return id, nil
}

// privateKey returns the key in a file, or that of a signer program.
func (f *identityFlags) privateKey(env *environment, cert *x509.Certificate) (crypto.Signer, error) {
	if f.key == "" {
		return f.signer.signer(env, cert.PublicKey, cert)
	}
	return env.privateKey("key", f.key, &f.passphrase)
}

// privateKey reads the private key that a flag names.
func (env *environment) privateKey(flag, path string, passphrase *passphraseFlags) (crypto.Signer, error) {
	data, err := env.Files.Read(path, file.MaxText)
	if err != nil {
		return nil, inFlag(flag, err)
	}
	key, err := signing.ParseKey(data, func() ([]byte, error) { return passphrase.require(env) })
	if err != nil {
		return nil, inFlag(flag, fmt.Errorf("%s: %w", cli.Input(path), err))
	}
	return key, nil
}

// signerFlags say which program signs, instead of a key in a file.
type signerFlags struct {
	command string
	args    stringList
	env     stringList
	key     string
	timeout time.Duration
}

func (f *signerFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&f.command, "signer", "", "`program` that makes the signatures, instead of -key (docs/signer-protocol.md)")
	flags.Var(&f.args, "signer-arg", "an `argument` for the program; may be repeated")
	flags.Var(&f.env, "signer-env", "`name` of an environment variable that the program gets, and must be set; may be repeated (default all)")
	flags.StringVar(&f.key, "signer-key", "", "`name` of the key, as the program knows it")
	flags.DurationVar(&f.timeout, "signer-timeout", 2*time.Minute, "how long the program may take for a signature")
}

func (f *signerFlags) signer(env *environment, public crypto.PublicKey, cert *x509.Certificate) (crypto.Signer, error) {
	var vars []string
	for _, name := range f.env {
		value, ok := os.LookupEnv(name)
		if !ok {
			return nil, inFlag("signer-env", fmt.Errorf("the environment variable %s is not set (bazel passes it on with --action_env=%[1]s)", name))
		}
		vars = append(vars, name+"="+value)
	}
	return &plugin.Signer{
		Command:     append([]string{f.command}, f.args...),
		Env:         vars,
		Key:         f.key,
		PublicKey:   public,
		Certificate: cert,
		Timeout:     f.timeout,
		Stderr:      env.Stderr,
	}, nil
}

// certificate reads the signer's certificate that a flag names: the file's first.
func (env *environment) certificate(flag, path string) (*x509.Certificate, error) {
	list, err := env.ReadCertificates(path)
	if err != nil {
		return nil, inFlag(flag, err)
	}
	return list[0], nil
}

// output names an output in messages.
func output(path string) string {
	if path == file.Std {
		return "standard output"
	}
	return path
}
