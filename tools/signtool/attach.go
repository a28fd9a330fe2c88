package main

import (
	"flag"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

var attachCommand = command{
	name: "attach",
	args: "-cert CERT -signature FILE... [-manifest MANIFEST] [-kind KIND] -in IN.bpfl -out OUT.bpfl",
	help: "put signatures that were made elsewhere into a bundle, after verifying that they are of its bytes by the certificate's key",
	run:  runAttach,
}

func runAttach(env *environment, flags *flag.FlagSet, args []string) error {
	var files stringList
	cert := flags.String("cert", "", "`file` with the signer's certificate, in PEM or DER")
	flags.Var(&files, "signature", "`file` with a signature, or SCHEME=FILE to say for which loader; repeated for each loader")
	manifest := flags.String("manifest", "", "`file` manifest.json that tbs wrote: if a signature is of other bytes, the error says which input has changed")
	raw := flags.String("raw", "", "the signatures are raw values over digests by this `algorithm`, not CMS: sha256, sha384 or sha512")
	kindName := flags.String("kind", string(bundle.KindDevelopment), "what the key is for: development, test or production")
	partial := flags.Bool("partial", false, "allow loaders without a signature by this key")
	in := flags.String("in", "", "the bundle `file`")
	out := flags.String("out", "", "`file` for the signed bundle; may be that of -in")
	at := addTime(flags)
	if err := parse(flags, args, 0, "cert", "in", "out"); err != nil {
		return err
	}
	if len(files) == 0 {
		return usagef("flag -signature is missing: have the files that `signtool tbs` writes (in Bazel: --output_groups=tbs) signed, and name the signatures")
	}
	kind, err := bundle.ParseKind(*kindName)
	if err != nil {
		return usageError{inFlag("kind", err)}
	}
	a := signing.Attacher{Kind: kind, Partial: *partial}
	if *raw != "" {
		if a.Raw, err = cms.ParseHash(*raw); err != nil {
			return usageError{inFlag("raw", err)}
		}
	}
	if a.Certificate, err = env.certificate("cert", *cert); err != nil {
		return err
	}
	if err := cms.CheckCertificate(a.Certificate, at.orNow()); err != nil {
		return inFlag("cert", fmt.Errorf("%s: %w", cli.Input(*cert), err))
	}
	if *manifest != "" {
		if a.Manifest, err = env.manifest(*manifest); err != nil {
			return inFlag("manifest", err)
		}
	}
	attachments, err := env.readSignatures(files)
	if err != nil {
		return inFlag("signature", err)
	}
	b, err := env.ReadBundle(*in)
	if err != nil {
		return inFlag("in", err)
	}
	if err := a.Attach(b, attachments); err != nil {
		return inFlag("signature", err)
	}
	return inFlag("out", env.WriteBundle(*out, b))
}

// manifest reads a manifest file.
func (env *environment) manifest(path string) (*signing.Manifest, error) {
	data, err := env.Files.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	m, err := signing.ParseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cli.Input(path), err)
	}
	return m, nil
}

// readSignatures reads the files of FILE and SCHEME=FILE.
func (env *environment) readSignatures(args []string) ([]signing.Attachment, error) {
	var list []signing.Attachment
	for _, arg := range args {
		a := signing.Attachment{File: arg}
		if name, file, ok := strings.Cut(arg, "="); ok {
			if scheme, err := bundle.ParseScheme(name); err == nil { // otherwise the file's name has an equals sign
				a.Scheme, a.File = scheme, file
			}
		}
		var err error
		if a.Data, err = env.Files.Read(a.File, file.MaxText); err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}
