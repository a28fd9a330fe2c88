package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tests/files"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// call runs a command, and returns its error rather than showing it.
func call(stdin io.Reader, stdout io.Writer, args ...string) error {
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	env := &environment{cli.NewEnv(stdin, stdout, io.Discard), func(string) string { return "" }}
	return commands[i].run(env, flags, args[1:])
}

// replace returns a command line with a value in the place of a word.
func replace(args []string, word, value string) []string {
	args = slices.Clone(args)
	args[slices.Index(args, word)] = value
	return args
}

// Each command writes to whatever its output is.
func TestOutputs(t *testing.T) {
	s, in, tbs := ceremony(t)
	s.ok("sign-tbs", "-key", rsaKey, "-cert", rsaCert, "-in", tbs, "-out", tbs)
	object := "../../internal/object/testdata/data.bpf.o"
	good := s.path("good.bpfl")
	s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-object", object, "-out", good)
	for _, args := range [][]string{
		{"sign", "-key", rsaKey, "-cert", rsaCert, "-in", in, "-out", "OUT"},
		{"sign", "-key", rsaKey, "-cert", rsaCert, "-object", object, "-out", "OUT"},
		{"strip", "-all", "-in", good, "-out", "OUT"},
		{"attach", "-cert", rsaCert, "-signature", filepath.Join(tbs, "map-hash.p7s"), "-signature", filepath.Join(tbs, "payload.p7s"), "-in", in, "-out", "OUT"},
		{"provenance", "-in", in, "-out", "OUT"},
		{"audit", "-out", "OUT", good},
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			files.Outputs(t, func(out string, stdout io.Writer) error {
				return call(nil, stdout, replace(args, "OUT", out)...)
			})
		})
	}
}

// Each command reads from whatever its inputs are.
func TestInputs(t *testing.T) {
	s, in, tbs := ceremony(t)
	s.ok("sign-tbs", "-key", rsaKey, "-cert", rsaCert, "-in", tbs, "-out", tbs)
	object := "../../internal/object/testdata/data.bpf.o"
	good, signed, statement := s.path("good.bpfl"), s.path("signed.bpfl"), s.path("statement")
	s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-object", object, "-out", good)
	s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-in", in, "-out", signed)
	s.ok("provenance", "-in", in, "-out", statement)
	cert, err := filepath.Abs(rsaCert)
	qt.Assert(t, qt.IsNil(err))
	policy := s.write("policy.json", []byte(`{"version": 1, "signers": [{"certificate": "`+cert+`"}]}`))
	out := s.path("out")
	mapHash, payload := filepath.Join(tbs, "map-hash.p7s"), filepath.Join(tbs, "payload.p7s")
	attach := []string{"attach", "-cert", rsaCert, "-out", out, "-signature", mapHash}
	for _, c := range []struct {
		good string
		args []string
	}{
		{in, []string{"sign", "-key", rsaKey, "-cert", rsaCert, "-out", out, "-in", "IN"}},
		{object, []string{"sign", "-key", rsaKey, "-cert", rsaCert, "-out", out, "-object", "IN"}},
		{rsaKey, []string{"sign", "-in", in, "-cert", rsaCert, "-out", out, "-key", "IN"}},
		{rsaCert, []string{"sign", "-in", in, "-key", rsaKey, "-out", out, "-cert", "IN"}},
		{signed, []string{"verify", "-cert", rsaCert, "IN"}},
		{rsaCert, []string{"verify", "-cert", "IN", signed}},
		{policy, []string{"verify", "-policy", "IN", signed}},
		{in, []string{"inspect", "IN"}},
		{statement, []string{"inspect", "-provenance", "IN", in}},
		{good, []string{"audit", "IN"}},
		{in, []string{"tbs", "-out", tbs, "-in", "IN"}},
		{in, slices.Concat(attach, []string{"-signature", payload, "-in", "IN"})},
		{filepath.Join(tbs, "manifest.json"), slices.Concat(attach, []string{"-signature", payload, "-in", in, "-manifest", "IN"})},
		{payload, slices.Concat(attach, []string{"-in", in, "-signature", "IN"})},
		{in, []string{"provenance", "-out", out, "-in", "IN"}},
		{in, []string{"strip", "-all", "-out", out, "-in", "IN"}},
		{rsaKey, []string{"certify", "-cert", out, "-key", "IN"}},
	} {
		t.Run(strings.Join(c.args[:2], " ")+" "+filepath.Base(c.good), func(t *testing.T) {
			files.Inputs(t, c.good, func(in string, stdin io.Reader) error {
				return call(stdin, io.Discard, replace(c.args, "IN", in)...)
			})
		})
	}
}

// Standard input is read once, and standard output is written once.
func TestStandardStreamsOnce(t *testing.T) {
	s := newTool(t)
	in, out := s.bundle("in.bpfl", small()), s.path("out.bpfl")
	data, err := os.ReadFile(in)
	qt.Assert(t, qt.IsNil(err))
	key, err := os.ReadFile(rsaKey)
	qt.Assert(t, qt.IsNil(err))

	s.stdin = string(key)
	s.fails(cli.ExitUsage, []string{"-in: - is given twice", "standard input"}, "sign", "-key", "-", "-cert", rsaCert, "-in", "-", "-out", out)
	s.fails(cli.ExitUsage, []string{"- is given twice", "standard output"}, "keygen", "-type", "ecdsa-p256", "-key", "-", "-cert", "-")
	qt.Assert(t, qt.DeepEquals(s.files(), []string{"in.bpfl"}))

	// As a filter, and messages stay out of what is written.
	s.stdin = string(data)
	s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-in", "-", "-out", "-")
	signed := s.stdout.String()
	s.stdin = signed
	s.ok("verify", "-cert", rsaCert, "-")
	qt.Assert(t, qt.StringContains(s.stdout.String(), "standard input: payload loader: good signature"))
	qt.Assert(t, qt.Equals(s.run("strip", "-all", "-in", "-", "-out", "-"), cli.ExitOK))
	qt.Assert(t, qt.Equals(s.stdout.String(), string(data)))
	qt.Assert(t, qt.Equals(s.stderr.String(), "standard output: 2 signatures removed\n"))

	s.stdin = ""
	s.fails(cli.ExitFailed, []string{"-in: standard input: malformed bundle"}, "sign", "-key", rsaKey, "-cert", rsaCert, "-in", "-", "-out", out)
}

// A certificate goes where it should, and a key without one is not left behind.
func TestCertificateFiles(t *testing.T) {
	s := newTool(t)
	qt.Assert(t, qt.IsNil(os.Symlink("real.der", s.path("link.der"))))
	s.ok("certify", "-key", ecdsaKey, "-cert", s.path("link.der"))
	s.ok("verify", "-cert", s.path("real.der"), s.signedBy(ecdsaKey, ecdsaCert))

	folder := s.path("folder")
	qt.Assert(t, qt.IsNil(os.Mkdir(folder, 0o755)))
	before := s.files()
	s.fails(cli.ExitFailed, []string{folder}, "keygen", "-type", "ecdsa-p256", "-key", s.path("key.pem"), "-cert", folder)
	s.fails(cli.ExitFailed, []string{"the same file"}, "keygen", "-type", "ecdsa-p256", "-key", s.path("key.pem"), "-cert", s.path("key.pem"))
	s.fails(cli.ExitFailed, []string{"link.der", "exists"}, "keygen", "-type", "ecdsa-p256", "-key", s.path("link.der"), "-cert", s.path("new.der"))
	qt.Assert(t, qt.DeepEquals(s.files(), before))

	var out bytes.Buffer
	qt.Assert(t, qt.IsNil(call(nil, &out, "keygen", "-type", "ecdsa-p256", "-key", "-", "-cert", s.path("new.der"))))
	_, err := signing.ParseKey(out.Bytes(), nil)
	qt.Assert(t, qt.IsNil(err))
}

// signedBy returns a bundle that a key has signed.
func (s *tool) signedBy(key, cert string) string {
	s.t.Helper()
	path := s.bundle("signed.bpfl", small())
	s.ok("sign", "-key", key, "-cert", cert, "-in", path, "-out", path)
	return path
}

// A ceremony's folder has all of its files, or none; those of an earlier ceremony stay together.
func TestCeremonyIsWhole(t *testing.T) {
	s := newTool(t)
	in, tbs := s.bundle("in.bpfl", small()), s.path("tbs")
	for _, blocked := range []string{"map-hash.tbs", "payload.tbs", "manifest.json"} {
		qt.Assert(t, qt.IsNil(os.MkdirAll(filepath.Join(tbs, blocked), 0o755)))
		s.fails(cli.ExitFailed, []string{"-out", blocked, "is a directory"}, "tbs", "-in", in, "-out", tbs)
		entries, err := os.ReadDir(tbs)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.HasLen(entries, 1))
		qt.Assert(t, qt.IsNil(os.RemoveAll(tbs)))
	}
	s.ok("tbs", "-in", in, "-out", tbs)
	sigs := s.path("sigs")
	qt.Assert(t, qt.IsNil(os.MkdirAll(filepath.Join(sigs, "payload.p7s"), 0o755)))
	s.fails(cli.ExitFailed, []string{"payload.p7s"}, "sign-tbs", "-key", rsaKey, "-cert", rsaCert, "-in", tbs, "-out", sigs)
	entries, err := os.ReadDir(sigs)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.HasLen(entries, 1))

	// A file that is not a folder is in the way of one.
	s.fails(cli.ExitFailed, []string{"in.bpfl"}, "tbs", "-in", in, "-out", in)
}
