package main

import (
	"flag"
	"fmt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
	"github.com/rules-bpf/rules_bpf/verify"
)

var verifyCommand = command{
	name: "verify",
	args: "(-cert CERT... [-roots ROOTS] | -policy POLICY) FILE.bpfl",
	help: "check that every loader of a bundle has a signature by a trusted key, and that it holds",
	run:  runVerify,
}

func runVerify(env *environment, flags *flag.FlagSet, args []string) error {
	var trust trustFlags
	trust.add(flags)
	quiet := flags.Bool("quiet", false, "print nothing if it holds")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	policy, err := trust.policy(env)
	if err != nil {
		return err
	}
	path := cli.Input(flags.Arg(0))
	b, err := env.ReadBundle(flags.Arg(0))
	if err != nil {
		return err
	}
	report, err := policy.Check(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if *quiet {
		return nil
	}
	development := false
	for _, s := range report.Signatures {
		development = development || s.Kind == bundle.KindDevelopment
		if s.Signer == nil {
			fmt.Fprintf(env.Stdout, "%s: %v loader: signature by unknown key %x not checked\n", path, s.Scheme, s.KeyID)
			continue
		}
		fmt.Fprintf(env.Stdout, "%s: %v loader: good signature by %q (%s key %x)\n", path, s.Scheme, s.Signer.Subject.CommonName, s.Kind, s.KeyID)
	}
	if development {
		fmt.Fprintf(env.Stdout, "%s: WARNING: signed with a DEVELOPMENT KEY, which is not for production\n", path)
	}
	return nil
}

// trustFlags say whom to trust.
type trustFlags struct {
	certs      stringList
	roots      string
	policyFile string
	at         *timeFlag
}

func (f *trustFlags) add(flags *flag.FlagSet) {
	flags.Var(&f.certs, "cert", "`file` with a trusted signer's certificate, in PEM or DER; with -roots its chain may follow in it; may be repeated: any of them may have signed")
	flags.StringVar(&f.roots, "roots", "", "`file` with the certificates that the signers' must lead to, in PEM or DER")
	flags.StringVar(&f.policyFile, "policy", "", "`file` that says whom and what to trust, instead (docs/signing.md)")
	f.at = addTime(flags)
}

// policy reads the files.
func (f *trustFlags) policy(env *environment) (*verify.Policy, error) {
	switch {
	case (len(f.certs) == 0) == (f.policyFile == ""):
		return nil, usagef("give one of -cert and -policy")
	case f.policyFile != "" && f.roots != "":
		return nil, usagef("-roots goes with -cert: the roots of a policy are in its file")
	case f.policyFile != "":
		policy, err := env.policy(f.policyFile)
		if err != nil {
			return nil, inFlag("policy", err)
		}
		policy.Time = f.at.Time
		return policy, nil
	}
	policy := &verify.Policy{Time: f.at.Time}
	for _, path := range f.certs {
		chain, err := env.ReadCertificates(path)
		if err != nil {
			return nil, inFlag("cert", err)
		}
		policy.AddSigner("", chain)
	}
	if f.roots != "" {
		var err error
		if policy.Roots, err = env.ReadCertificates(f.roots); err != nil {
			return nil, inFlag("roots", err)
		}
	}
	return policy, nil
}

// policy reads a policy file. Certificates that one of standard input names are looked for in the working directory.
func (env *environment) policy(path string) (*verify.Policy, error) {
	if path != file.Std {
		return verify.LoadPolicy(path)
	}
	data, err := env.Files.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	policy, err := verify.ParsePolicy(data, ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cli.Input(path), err)
	}
	return policy, nil
}
