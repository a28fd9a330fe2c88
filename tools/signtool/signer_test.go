package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// fakeAWS stands in for the command line of AWS KMS: it signs with the key that is named, by openssl.
const fakeAWS = `#!/bin/sh
set -e
while [ $# -gt 0 ]; do
	case "$1" in
	--key-id) key=$2 ;;
	--message) message=${2#fileb://} ;;
	--message-type) [ "$2" = DIGEST ] ;;
	--signing-algorithm) algorithm=$2 ;;
	esac
	shift
done
case $algorithm in
RSASSA_PKCS1_V1_5_SHA_*) options="-pkeyopt rsa_padding_mode:pkcs1" ;;
ECDSA_SHA_*) options= ;;
*) echo "no such algorithm: $algorithm" >&2; exit 255 ;;
esac
openssl pkeyutl -sign -inkey "$key" -in "$message" -pkeyopt "digest:sha${algorithm##*_}" $options | base64 -w 0
`

// The documented signer for a cloud service works, against a fake of the service.
func TestKMSSigner(t *testing.T) {
	for _, program := range []string{"openssl", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	script := filepath.Join("..", "..", "signers", "kms", "aws_kms_signer.py")
	for _, c := range []struct{ name, key, cert, hash string }{
		{"RSA", rsaKey, rsaCert, "sha256"},
		{"RSA with SHA-512", rsaKey, rsaCert, "sha512"},
		{"ECDSA", ecdsaKey, ecdsaCert, "sha256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTool(t)
			qt.Assert(t, qt.IsNil(os.WriteFile(s.path("aws"), []byte(fakeAWS), 0o755)))
			t.Setenv("AWS_CLI", s.path("aws")) // not PATH: a machine's real one must never be called
			in, out := s.bundle("in.bpfl", small()), s.path("out.bpfl")
			s.ok("sign", "-signer", script, "-signer-key", c.key, "-cert", c.cert, "-hash", c.hash, "-in", in, "-out", out)
			s.ok("verify", "-cert", c.cert, out)

			key, err := filepath.Abs(c.key)
			qt.Assert(t, qt.IsNil(err))
			s.openssl("pkey", "-in", key, "-pubout", "-out", "public.pem")
			s.ok("certify", "-signer", script, "-signer-key", c.key, "-public", s.path("public.pem"), "-cert", s.path("new.der"))
			s.ok("verify", "-cert", s.path("new.der"), out) // the same key has the same id

			qt.Assert(t, qt.Equals(s.run("sign", "-signer", script, "-signer-key", "missing", "-cert", c.cert, "-in", in, "-out", s.path("none")), cli.ExitFailed))
			qt.Assert(t, qt.StringContains(s.stderr.String(), "aws_kms_signer.py"))
			_, err = os.Stat(s.path("none"))
			qt.Assert(t, qt.ErrorIs(err, os.ErrNotExist))
		})
	}
}

// A signer gets the variables that -signer-env names and no others, and all of them must be there.
func TestSignerEnvironment(t *testing.T) {
	s := newTool(t)
	script := s.path("signer")
	qt.Assert(t, qt.IsNil(os.WriteFile(script, []byte("#!/bin/sh\necho \"pin=$TEST_PIN other=$TEST_OTHER\" >&2\nexit 1\n"), 0o755)))
	t.Setenv("TEST_PIN", "1234")
	t.Setenv("TEST_OTHER", "5678")
	args := []string{"sign", "-signer", script, "-cert", rsaCert, "-in", s.bundle("in.bpfl", small()), "-out", s.path("out")}

	qt.Assert(t, qt.Equals(s.run(args...), cli.ExitFailed))
	qt.Assert(t, qt.StringContains(s.stderr.String(), "pin=1234 other=5678"))

	s.stderr.Reset()
	qt.Assert(t, qt.Equals(s.run(append(args, "-signer-env", "TEST_PIN")...), cli.ExitFailed))
	qt.Assert(t, qt.StringContains(s.stderr.String(), "pin=1234 other=\n"))

	s.stderr.Reset()
	qt.Assert(t, qt.Equals(s.run(append(args, "-signer-env", "TEST_MISSING")...), cli.ExitFailed))
	qt.Assert(t, qt.StringContains(s.stderr.String(), "the environment variable TEST_MISSING is not set"))
}
