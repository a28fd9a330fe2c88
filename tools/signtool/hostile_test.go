package main

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// hostile is a name that forges a line, drives a terminal, and turns the direction of text around.
const hostile = "x\nverified: all is well\x1b[2J\x1b]0;title\a\u009b8m\u202e\u2066"

// clean asserts that what a command has printed drives no terminal, and that its lines are its own.
func (s *tool) clean(lines ...string) {
	s.t.Helper()
	all := s.stdout.String() + s.stderr.String()
	qt.Check(s.t, qt.Equals(printable.Lines(all), all))
	for line := range strings.Lines(all) {
		qt.Check(s.t, qt.IsFalse(strings.HasPrefix(line, "verified")), qt.Commentf("%s", all))
	}
	for _, want := range lines {
		qt.Check(s.t, qt.StringContains(all, want))
	}
}

// Names in certificates, statements, policies and manifests, and of files, are shown and change nothing else.
func TestHostileNames(t *testing.T) {
	s := newTool(t)
	in := s.bundle("in.bpfl", small())
	key, cert := s.keyFiles("k", loadTestKey(t), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: hostile, Organization: []string{hostile}}
	})
	const shown = `x\nverified: all is well\x1b[2J`

	signed := s.path("signed.bpfl")
	s.ok("sign", "-key", key, "-cert", cert, "-in", in, "-out", signed)
	s.ok("verify", "-cert", cert, signed)
	s.clean(shown)
	lines := strings.Count(s.stdout.String(), "\n")
	s.ok("verify", "-cert", rsaCert, s.signedBy(rsaKey, rsaCert))
	qt.Check(t, qt.Equals(lines, strings.Count(s.stdout.String(), "\n")))
	s.ok("sign", "-key", key, "-cert", cert, "-in", in, "-out", signed)
	s.fails(cli.ExitFailed, nil, "verify", "-cert", cert, "-roots", rsaCert, signed)
	s.clean(shown)
	s.fails(cli.ExitFailed, nil, "verify", "-cert", cert, in)
	s.clean()
	s.ok("certify", "-key", key, "-cert", s.path("new.der"), "-cn", hostile)
	s.clean(shown)

	s.ok("provenance", "-compiler", hostile, "-flag", hostile, "-kconfig", hostile+"="+hostile, "-builder", hostile,
		"-material", hostile+"="+in, "-in", in, "-out", s.path("statement"))
	s.ok("inspect", "-provenance", s.path("statement"), in)
	s.clean("with "+shown, "from \""+shown)
	plain := s.stdout.String()
	s.ok("inspect", "-json", "-provenance", s.path("statement"), in)
	s.clean(`x\nverified: all is well\u001b[2J`)
	var shownJSON struct{ Provenance json.RawMessage }
	qt.Assert(t, qt.IsNil(json.Unmarshal(s.stdout.Bytes(), &shownJSON)))
	_, built, _ := strings.Cut(plain, "\nbuilt ")
	qt.Check(t, qt.Equals(strings.Count(built, "\n"), 5), qt.Commentf("%s", plain))

	statement, err := os.ReadFile(s.path("statement"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(printable.Lines(string(statement)), string(statement)))
	quoted, err := json.Marshal(hostile)
	qt.Assert(t, qt.IsNil(err))
	digest := bytes.Index(statement, []byte(`"sha256": "`)) + len(`"sha256": `)
	s.write("statement", append(append(bytes.Clone(statement[:digest]), quoted...), statement[digest+66:]...))
	s.fails(cli.ExitFailed, []string{"not of this bundle"}, "inspect", "-provenance", s.path("statement"), in)
	s.clean(shown)

	for _, policy := range []string{
		`{"version": 1, "signers": [{"certificate": ` + string(quoted) + `}]}`,
		`{"version": 1, "signers": [{"certificate": ` + string(quoted) + `, "kind": ` + string(quoted) + `}]}`,
		`{"version": 1, ` + string(quoted) + `: 1}`,
	} {
		s.fails(cli.ExitFailed, []string{"-policy"}, "verify", "-policy", s.write("policy", []byte(policy)), signed)
		s.clean(`verified: all is well`)
	}
	s.fails(cli.ExitFailed, nil, "attach", "-cert", cert, "-manifest", s.write("manifest", []byte(`{"format": `+string(quoted)+`}`)),
		"-signature", in, "-in", in, "-out", s.path("out"))
	s.clean(shown)

	file := s.write(strings.ReplaceAll(hostile, "/", ""), []byte("no bundle"))
	s.fails(cli.ExitFailed, nil, "inspect", file)
	s.clean(`x`)
}

// A signer's words are its own, on standard error as in its answer.
func TestHostileSigner(t *testing.T) {
	s := newTool(t)
	answer, err := json.Marshal(map[string]any{"version": 1, "error": hostile})
	qt.Assert(t, qt.IsNil(err))
	s.write("answer", answer)
	s.write("words", []byte("PIN?\x1b[2J\u202e\n"))
	script := s.path("signer")
	qt.Assert(t, qt.IsNil(os.WriteFile(script, []byte("#!/bin/sh\ncat "+s.path("words")+" >&2\ncat "+s.path("answer")+"\n"), 0o755)))
	s.fails(cli.ExitFailed, []string{`x\nverified: all is well\x1b[2J`, `PIN?\x1b[2J\u202e`},
		"sign", "-signer", script, "-cert", rsaCert, "-in", s.bundle("in.bpfl", small()), "-out", s.path("out"))
	s.clean()
}
