package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

// openSSL is the oracle of these tests: a folder with a signer's files, and the program.
type openSSL struct {
	t   *testing.T
	dir string
}

// withOpenSSL returns the oracle with the files key.pem, cert.pem and message, or skips the test.
func withOpenSSL(t *testing.T, signer crypto.Signer, cert *x509.Certificate) *openSSL {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	o := &openSSL{t, t.TempDir()}
	key, err := x509.MarshalPKCS8PrivateKey(signer)
	qt.Assert(t, qt.IsNil(err))
	o.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	o.write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	o.write("message", message)
	return o
}

func (o *openSSL) write(name string, data []byte) {
	o.t.Helper()
	qt.Assert(o.t, qt.IsNil(os.WriteFile(filepath.Join(o.dir, name), data, 0o600)))
}

// run runs openssl in the folder.
func (o *openSSL) run(args ...string) {
	o.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	qt.Assert(o.t, qt.IsNil(err), qt.Commentf("openssl %q:\n%s", args, out))
}

// sign returns what openssl makes of the message.
func (o *openSSL) sign(args ...string) []byte {
	o.t.Helper()
	o.run(append([]string{"cms", "-sign", "-binary", "-signer", "cert.pem", "-inkey", "key.pem", "-in", "message",
		"-outform", "DER", "-out", "signature"}, args...)...)
	der, err := os.ReadFile(filepath.Join(o.dir, "signature"))
	qt.Assert(o.t, qt.IsNil(err))
	return der
}

// theForm are the options for the one form that the kernel and we want.
var theForm = []string{"-noattr", "-nocerts", "-keyid"}

// eachKey runs a test with each type of key and each digest algorithm.
func eachKey(t *testing.T, test func(t *testing.T, signer crypto.Signer, cert *x509.Certificate, hash crypto.Hash)) {
	for _, key := range testKeys(t) {
		for _, d := range digests {
			t.Run(key.name+"/"+HashName(d.hash), func(t *testing.T) { test(t, key.signer, key.cert, d.hash) })
		}
	}
}

// RSA signatures are the same bytes as openssl's.
func TestSignIsOpenSSLs(t *testing.T) {
	eachKey(t, func(t *testing.T, signer crypto.Signer, cert *x509.Certificate, hash crypto.Hash) {
		if a, _ := KeyAlgorithm(cert.PublicKey); a != RSA {
			t.Skip("openssl's ECDSA is not deterministic: TestOpenSSLVerifies is for these keys")
		}
		o := withOpenSSL(t, signer, cert)
		want := o.sign(append([]string{"-md", HashName(hash)}, theForm...)...)
		got, err := Sign(signer, cert, hash, sum(hash, message))
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsTrue(bytes.Equal(got, want)), qt.Commentf("got  %x\nwant %x", got, want))
	})
}

// openssl cms -verify accepts every signature that we make.
func TestOpenSSLVerifies(t *testing.T) {
	eachKey(t, func(t *testing.T, signer crypto.Signer, cert *x509.Certificate, hash crypto.Hash) {
		o := withOpenSSL(t, signer, cert)
		der, err := Sign(signer, cert, hash, sum(hash, message))
		qt.Assert(t, qt.IsNil(err))
		o.write("ours", der)
		o.run("cms", "-verify", "-binary", "-inform", "DER", "-in", "ours", "-content", "message", "-certfile", "cert.pem",
			"-CAfile", "cert.pem", "-purpose", "any", "-out", os.DevNull)
	})
}

// We accept every signature of the right form that openssl makes.
func TestVerifyOpenSSLs(t *testing.T) {
	eachKey(t, func(t *testing.T, signer crypto.Signer, cert *x509.Certificate, hash crypto.Hash) {
		o := withOpenSSL(t, signer, cert)
		s, err := Parse(o.sign(append([]string{"-md", HashName(hash)}, theForm...)...))
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(s.Hash, hash))
		qt.Assert(t, qt.DeepEquals(s.KeyID, cert.SubjectKeyId))
		qt.Assert(t, qt.IsNil(s.Verify(cert, message)))
		qt.Assert(t, qt.IsNotNil(s.Verify(cert, message[1:])))
	})
}

// Each option forgotten in a call of openssl has its own error, and where it can the error names the option.
func TestParseOpenSSLsOtherForms(t *testing.T) {
	key := testKeys(t)[0]
	for _, c := range []struct {
		name string
		args []string
		want error
	}{
		{"without -noattr", []string{"-nocerts", "-keyid"}, ErrAttributes},
		{"without -nocerts", []string{"-noattr", "-keyid"}, ErrCertificates},
		{"without -keyid", []string{"-noattr", "-nocerts"}, ErrIssuerSerial},
		{"with -nodetach", append([]string{"-nodetach"}, theForm...), ErrNotDetached},
		{"with -econtent_type", append([]string{"-econtent_type", "1.2.3.4"}, theForm...), ErrContentType},
		{"PSS", append([]string{"-keyopt", "rsa_padding_mode:pss"}, theForm...), ErrPSS},
		{"SHA-1", append([]string{"-md", "sha1"}, theForm...), ErrUnsupportedHash},
		{"SHA3-256", append([]string{"-md", "sha3-256"}, theForm...), ErrUnsupportedHash},
		{"PEM", append([]string{"-outform", "PEM"}, theForm...), ErrPEM},
		{"streamed", append([]string{"-stream", "-nodetach"}, theForm...), ErrNotDER},
		{"two signers", append([]string{"-signer", "cert.pem", "-inkey", "key.pem"}, theForm...), ErrSigners},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(withOpenSSL(t, key.signer, key.cert).sign(c.args...))
			qt.Assert(t, qt.ErrorIs(err, c.want))
			qt.Assert(t, qt.ErrorIs(err, ErrMalformed))
		})
	}
}
