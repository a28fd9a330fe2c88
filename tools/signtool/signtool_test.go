package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/compile"
)

const (
	rsaKey    = "testdata/test_key_rsa.pem"
	rsaCert   = "testdata/test_cert_rsa.der"
	ecdsaKey  = "testdata/test_key_ecdsa.pem"
	ecdsaCert = "testdata/test_cert_ecdsa.der"
)

// tool is signtool in a temporary folder.
type tool struct {
	t      *testing.T
	dir    string
	env    map[string]string
	stdin  string
	stdout bytes.Buffer
	stderr bytes.Buffer
}

func newTool(t *testing.T) *tool {
	return &tool{t: t, dir: t.TempDir(), env: map[string]string{}}
}

// path names a file in the folder.
func (s *tool) path(name string) string { return filepath.Join(s.dir, name) }

// write makes a file in the folder and returns its path.
func (s *tool) write(name string, data []byte) string {
	s.t.Helper()
	qt.Assert(s.t, qt.IsNil(os.WriteFile(s.path(name), data, 0o644)))
	return s.path(name)
}

// bundle writes a bundle to the folder and returns its path.
func (s *tool) bundle(name string, b *bundle.Bundle) string {
	s.t.Helper()
	data, err := bundle.Encode(b)
	qt.Assert(s.t, qt.IsNil(err))
	return s.write(name, data)
}

// read reads a bundle.
func (s *tool) read(path string) *bundle.Bundle {
	s.t.Helper()
	data, err := os.ReadFile(path)
	qt.Assert(s.t, qt.IsNil(err))
	b, err := bundle.Decode(data)
	qt.Assert(s.t, qt.IsNil(err))
	return b
}

// run returns the exit status.
func (s *tool) run(args ...string) int {
	s.stdout.Reset()
	s.stderr.Reset()
	status := run(&environment{cli.NewEnv(strings.NewReader(s.stdin), &s.stdout, &s.stderr), func(k string) string { return s.env[k] }}, args)
	for _, secret := range secrets(s.t) {
		qt.Assert(s.t, qt.IsFalse(strings.Contains(s.stdout.String()+s.stderr.String(), secret)), qt.Commentf("signtool %q prints a secret", args))
	}
	return status
}

// secrets are what no command may print: lines of the private keys, and the passphrase of the tests.
func secrets(t *testing.T) []string {
	t.Helper()
	list := []string{passphrase}
	for _, file := range []string{rsaKey, ecdsaKey} {
		data, err := os.ReadFile(file)
		qt.Assert(t, qt.IsNil(err))
		for _, line := range strings.Split(string(data), "\n") {
			if len(line) >= 20 && !strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "#") {
				list = append(list, line)
			}
		}
	}
	return list
}

// passphrase is that of encrypted keys.
const passphrase = "correct horse"

// ok runs a command that must succeed.
func (s *tool) ok(args ...string) {
	s.t.Helper()
	qt.Assert(s.t, qt.Equals(s.run(args...), cli.ExitOK), qt.Commentf("signtool %q: %s", args, s.stderr.String()))
	qt.Assert(s.t, qt.Equals(s.stderr.String(), ""))
}

// fails runs a command that must end with status and say all of words.
func (s *tool) fails(status int, words []string, args ...string) {
	s.t.Helper()
	qt.Assert(s.t, qt.Equals(s.run(args...), status), qt.Commentf("signtool %q: %s", args, s.stderr.String()))
	for _, w := range words {
		qt.Assert(s.t, qt.StringContains(s.stderr.String(), w))
	}
	qt.Assert(s.t, qt.Equals(s.stdout.String(), ""))
}

// files lists the folder.
func (s *tool) files() []string {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	qt.Assert(s.t, qt.IsNil(err))
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// small returns a bundle that is well-formed and no more.
func small() *bundle.Bundle {
	object := sha256.Sum256([]byte("object"))
	b := &bundle.Bundle{
		Contract: bundle.Contract{
			Object:   bundle.Object{Name: "small.bpf.o", SHA256: object[:], License: "GPL"},
			CtxSize:  32,
			Maps:     []bundle.Map{{Name: "events", MapAttributes: bundle.MapAttributes{Kernel: "events", Type: uint32(uapi.MapTypeRingBuf), MaxEntries: 4096}, Ctx: 24}},
			Programs: []bundle.Program{{Name: "prog", Section: "socket", Type: uint32(uapi.ProgTypeSocketFilter), Insns: bundle.Range{Offset: 40, Size: 16}, Ctx: 28}},
		},
		Loaders: []bundle.Loader{
			{Scheme: bundle.MapHash},
			{Scheme: bundle.Payload, Insns: bytes.Repeat([]byte{0x95, 0, 0, 0, 0, 0, 0, 0}, 2)},
		},
		Blob: append(make([]byte, bundle.ContractSize), "metadata of the loader: two instructions and more"...),
	}
	if err := b.Seal(); err != nil {
		panic(err)
	}
	b.Loaders[0].Insns = holding(b.Blob)
	return b
}

// holding are instructions that load a blob's digest, as a map-hash loader's do, and exit.
func holding(blob []byte) []byte {
	const loadImm64, exit = 0x18, 0x95
	digest := sha256.Sum256(append(bytes.Clone(blob), make([]byte, -len(blob)&7)...))
	var insns []byte
	for i := 0; i < len(digest); i += 8 {
		insns = append(insns, loadImm64, 0, 0, 0, digest[i], digest[i+1], digest[i+2], digest[i+3])
		insns = append(insns, 0, 0, 0, 0, digest[i+4], digest[i+5], digest[i+6], digest[i+7])
	}
	return append(insns, exit, 0, 0, 0, 0, 0, 0, 0)
}

// openssl runs openssl in the folder, or skips the test.
func (s *tool) openssl(args ...string) {
	s.t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		s.t.Skip("openssl is not installed")
	}
	cmd := exec.Command("openssl", args...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	qt.Assert(s.t, qt.IsNil(err), qt.Commentf("openssl %q:\n%s", args, out))
}

// keyFiles writes a key and a certificate, fit unless change makes it otherwise, and returns their paths.
func (s *tool) keyFiles(name string, key crypto.Signer, change func(*x509.Certificate)) (keyPath, certPath string) {
	s.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		SubjectKeyId: []byte("key " + name),
	}
	if change != nil {
		change(template)
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	qt.Assert(s.t, qt.IsNil(err))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	qt.Assert(s.t, qt.IsNil(err))
	return s.write(name+"_key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), s.write(name+"_cert.der", cert)
}

// loadTestKey reads the RSA test key.
func loadTestKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := signing.LoadKey(rsaKey, nil)
	qt.Assert(t, qt.IsNil(err))
	return key.(*rsa.PrivateKey)
}

// signedBytes returns what a signature of a loader covers.
func signedBytes(t *testing.T, b *bundle.Bundle, l *bundle.Loader) []byte {
	t.Helper()
	tbs, err := b.SignedBytes(l)
	qt.Assert(t, qt.IsNil(err))
	return tbs
}

func TestSignVerify(t *testing.T) {
	for _, c := range []struct{ name, key, cert, hash, kind string }{
		{"RSA", rsaKey, rsaCert, "sha256", "test"},
		{"RSA with SHA-512", rsaKey, rsaCert, "sha512", "production"},
		{"ECDSA", ecdsaKey, ecdsaCert, "sha384", "development"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTool(t)
			in := s.bundle("in.bpfl", small())
			out := s.path("out.bpfl")
			s.ok("sign", "-key", c.key, "-cert", c.cert, "-hash", c.hash, "-kind", c.kind, "-in", in, "-out", out)
			qt.Assert(t, qt.DeepEquals(s.files(), []string{"in.bpfl", "out.bpfl"}))
			s.ok("verify", "-cert", c.cert, out)
			qt.Assert(t, qt.StringContains(s.stdout.String(), "map-hash loader: good signature"))
			qt.Assert(t, qt.StringContains(s.stdout.String(), "payload loader: good signature"))

			b := s.read(out)
			for i := range b.Loaders {
				qt.Assert(t, qt.HasLen(b.Loaders[i].Signatures, 1))
				qt.Assert(t, qt.Equals(b.Loaders[i].Signatures[0].Kind, bundle.Kind(c.kind)))
			}

			// The same again is the same file, also over itself.
			first, err := os.ReadFile(out)
			qt.Assert(t, qt.IsNil(err))
			s.ok("sign", "-key", c.key, "-cert", c.cert, "-hash", c.hash, "-kind", c.kind, "-in", out, "-out", out)
			second, err := os.ReadFile(out)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.DeepEquals(second, first))
		})
	}
}

// openssl verifies each signature over the bytes that the kernel puts together.
func TestOpenSSLVerifiesLoaders(t *testing.T) {
	s := newTool(t)
	in := s.bundle("in.bpfl", small())
	for _, c := range [][2]string{{rsaKey, rsaCert}, {ecdsaKey, ecdsaCert}} {
		out := s.path("out.bpfl")
		s.ok("sign", "-key", c[0], "-cert", c[1], "-in", in, "-out", out)
		cert, err := os.ReadFile(c[1])
		qt.Assert(t, qt.IsNil(err))
		s.write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
		b := s.read(out)
		for i := range b.Loaders {
			l := &b.Loaders[i]
			tbs := bytes.Clone(l.Insns) // not SignedBytes: that is what is tested
			if l.Scheme == bundle.Payload {
				tbs = append(tbs, b.Blob...)
			}
			s.write("tbs", tbs)
			s.write("sig", l.Signatures[0].CMS)
			s.openssl("cms", "-verify", "-binary", "-inform", "DER", "-in", "sig", "-content", "tbs", "-certfile", "cert.pem",
				"-CAfile", "cert.pem", "-purpose", "any", "-out", os.DevNull)
		}
	}
}

// signtool verify accepts the signatures that openssl makes.
func TestVerifyOpenSSLs(t *testing.T) {
	s := newTool(t)
	for _, c := range [][2]string{{rsaKey, rsaCert}, {ecdsaKey, ecdsaCert}} {
		b := small()
		cert, err := certs.Load(c[1])
		qt.Assert(t, qt.IsNil(err))
		for i, from := range c {
			data, err := os.ReadFile(from)
			qt.Assert(t, qt.IsNil(err))
			s.write([]string{"key", "cert"}[i], data)
		}
		for i := range b.Loaders {
			s.write("tbs", signedBytes(t, b, &b.Loaders[i]))
			s.openssl("cms", "-sign", "-binary", "-noattr", "-nocerts", "-keyid", "-md", "sha256", "-signer", "cert", "-inkey", "key",
				"-in", "tbs", "-outform", "DER", "-out", "sig")
			sig, err := os.ReadFile(s.path("sig"))
			qt.Assert(t, qt.IsNil(err))
			b.Loaders[i].Signatures = []bundle.Signature{{KeyID: cert.SubjectKeyId, Kind: "test", CMS: sig}}
		}
		s.ok("verify", "-cert", c[1], s.bundle("b.bpfl", b))
	}
}

func TestSignRefuses(t *testing.T) {
	key := loadTestKey(t)
	s := newTool(t)
	in := s.bundle("in.bpfl", small())
	unfit := func(name string, change func(*x509.Certificate)) []string {
		k, c := s.keyFiles(name, key, change)
		return []string{"-key", k, "-cert", c}
	}
	ed, err := os.ReadFile(rsaCert)
	qt.Assert(t, qt.IsNil(err))
	encrypted, err := signing.EncodeKey(key, []byte(passphrase))
	qt.Assert(t, qt.IsNil(err))
	encryptedKey := s.write("encrypted.pem", encrypted)
	wrong := s.write("wrong", []byte("battery staple\n"))
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"another key", []string{"-key", ecdsaKey, "-cert", rsaCert}, []string{"-cert", rsaCert, "does not belong"}},
		{"expired", unfit("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), []string{"-cert", "expired"}},
		{"not valid yet", unfit("early", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), []string{"-cert", "not valid yet"}},
		{"expired at a time", []string{"-key", rsaKey, "-cert", rsaCert, "-at", "2200-01-01T00:00:00Z"}, []string{"-cert", "expired"}},
		{"no SubjectKeyIdentifier", unfit("bare", func(c *x509.Certificate) { c.SubjectKeyId = nil }), []string{"-cert", "SubjectKeyIdentifier", "-addext"}},
		{"key usage", unfit("usage", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), []string{"-cert", "digitalSignature", "-addext"}},
		{"extended key usage", unfit("server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
			[]string{"-cert", "server", "extended key usage", "codeSigning"}},
		{"no file for the key", []string{"-key", "missing.pem", "-cert", rsaCert}, []string{"-key", "missing.pem"}},
		{"certificate as the key", []string{"-key", rsaCert, "-cert", rsaCert}, []string{"-key", rsaCert, "no private key"}},
		{"key as the certificate", []string{"-key", rsaKey, "-cert", rsaKey}, []string{"-cert", rsaKey, "no certificate"}},
		{"damaged certificate", []string{"-key", rsaKey, "-cert", s.write("damaged.der", ed[:len(ed)-1])}, []string{"-cert", "damaged.der", "malformed"}},
		{"encrypted, no passphrase", []string{"-key", encryptedKey, "-cert", rsaCert}, []string{"-key", "-passphrase-file", "SIGNTOOL_PASSPHRASE"}},
		{"encrypted, wrong passphrase", []string{"-key", encryptedKey, "-cert", rsaCert, "-passphrase-file", wrong}, []string{"-key", "encrypted.pem", "wrong passphrase"}},
		{"not a bundle", []string{"-key", rsaKey, "-cert", rsaCert, "-in", rsaKey}, []string{"-in", rsaKey, "malformed"}},
		{"folder of the output missing", []string{"-key", rsaKey, "-cert", rsaCert, "-out", s.path("no/out.bpfl")}, []string{"-out"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			before := s.files()
			s.fails(cli.ExitFailed, c.want, append([]string{"sign", "-in", in, "-out", s.path("out.bpfl")}, c.args...)...)
			qt.Assert(t, qt.DeepEquals(s.files(), before), qt.Commentf("a file was left"))
		})
	}
}

// An expired certificate still signs as of a time: an old release can be built again.
func TestSignAt(t *testing.T) {
	s := newTool(t)
	k, c := s.keyFiles("old", loadTestKey(t), func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	})
	out := s.path("out.bpfl")
	s.ok("sign", "-key", k, "-cert", c, "-at", "2020-06-01T00:00:00Z", "-in", s.bundle("in.bpfl", small()), "-out", out)
	s.ok("verify", "-cert", c, "-at", "2020-06-01T00:00:00Z", out)
	s.fails(cli.ExitFailed, []string{"expired"}, "verify", "-cert", c, out)
}

func TestUsage(t *testing.T) {
	s := newTool(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "usage"},
		{[]string{"frobnicate"}, `unknown command "frobnicate"`},
		{[]string{"sign"}, "-cert is missing"},
		{[]string{"sign", "-key", "k", "-cert", "c", "-in", "i"}, "-out is missing"},
		{[]string{"sign", "-cert", "c", "-in", "i", "-out", "o"}, "-signer"},
		{[]string{"sign", "-key", "k", "-signer", "s", "-cert", "c", "-in", "i", "-out", "o"}, "-signer"},
		{[]string{"sign", "-frobnicate"}, "-frobnicate"},
		{[]string{"sign", "-key", rsaKey, "-cert", rsaCert, "-in", "i", "-out", "o", "extra"}, "extra"},
		{[]string{"sign", "-key", rsaKey, "-cert", rsaCert, "-in", "i", "-out", "o", "-hash", "md5"}, "-hash"},
		{[]string{"sign", "-key", rsaKey, "-cert", rsaCert, "-in", "i", "-out", "o", "-kind", "holiday"}, "-kind"},
		{[]string{"sign", "-at", "yesterday"}, "-at"},
		{[]string{"verify", "x.bpfl"}, "-cert"},
		{[]string{"verify", "-cert", rsaCert}, "0 arguments"},
		{[]string{"verify", "-cert", rsaCert, "-policy", "p", "x.bpfl"}, "-policy"},
		{[]string{"verify", "-policy", "p", "-roots", "r", "x.bpfl"}, "-roots"},
		{[]string{"inspect"}, "0 arguments"},
		{[]string{"keygen", "-key", "k"}, "-cert is missing"},
		{[]string{"keygen", "-key", s.path("k"), "-cert", s.path("c"), "-type", "dsa"}, "-type"},
		{[]string{"keygen", "-key", s.path("k"), "-cert", s.path("c"), "-days", "0"}, "-days"},
		{[]string{"certify", "-cert", "c"}, "-signer"},
		{[]string{"certify", "-cert", "c", "-signer", "s"}, "-public"},
		{[]string{"certify", "-cert", "c", "-key", "k", "-public", "p"}, "-public"},
		{[]string{"strip", "-in", "i", "-out", "o"}, "-keyid"},
		{[]string{"strip", "-in", "i", "-out", "o", "-keyid", "xyz"}, "-keyid"},
		{[]string{"strip", "-in", "i", "-out", "o", "-all", "-keyid", "00"}, "-all"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			s.t = t
			s.fails(cli.ExitUsage, []string{c.want}, c.args...)
			qt.Assert(t, qt.HasLen(s.files(), 0))
		})
	}
	qt.Assert(t, qt.Equals(s.run("help"), cli.ExitOK))
	for _, c := range commands {
		qt.Assert(t, qt.StringContains(s.stdout.String(), c.name))
		qt.Assert(t, qt.Equals(newTool(t).run(c.name, "-h"), cli.ExitOK))
	}
}

// signed returns a bundle signed with the RSA test key.
func signed(t *testing.T) *bundle.Bundle {
	t.Helper()
	b := small()
	cert, err := certs.Load(rsaCert)
	qt.Assert(t, qt.IsNil(err))
	id := signing.Identity{Signer: loadTestKey(t), Certificate: cert, Hash: crypto.SHA256}
	qt.Assert(t, qt.IsNil(id.Sign(b, bundle.KindTest)))
	return b
}

func TestVerifyRefuses(t *testing.T) {
	pss := func(b *bundle.Bundle) []byte {
		cert, err := certs.Load(rsaCert)
		qt.Assert(t, qt.IsNil(err))
		digest := sha256.Sum256(signedBytes(t, b, &b.Loaders[0]))
		raw, err := rsa.SignPSS(rand.Reader, loadTestKey(t), crypto.SHA256, digest[:], nil)
		qt.Assert(t, qt.IsNil(err))
		der, err := cms.Assemble(cert, crypto.SHA256, raw)
		qt.Assert(t, qt.IsNil(err))
		return der
	}
	for _, c := range []struct {
		name   string
		cert   string
		change func(b *bundle.Bundle)
		want   []string
	}{
		{"not signed", rsaCert, func(b *bundle.Bundle) { b.Loaders[1].Signatures = nil }, []string{"payload loader", "not signed"}},
		{"wrong certificate", ecdsaCert, func(*bundle.Bundle) {}, []string{"map-hash loader", "payload loader", "not signed by a trusted key"}},
		{"instruction of map-hash", rsaCert, func(b *bundle.Bundle) { b.Loaders[0].Insns[9] ^= 1 }, []string{"map-hash loader", "of other bytes"}},
		{"instruction of payload", rsaCert, func(b *bundle.Bundle) { b.Loaders[1].Insns[9] ^= 1 }, []string{"payload loader", "of other bytes"}},
		{"blob", rsaCert, func(b *bundle.Bundle) { b.Blob[bundle.ContractSize] ^= 1 }, []string{"payload loader", "of other bytes"}},
		{"truncated", rsaCert, func(b *bundle.Bundle) {
			s := &b.Loaders[0].Signatures[0]
			s.CMS = s.CMS[:len(s.CMS)-1]
		}, []string{"map-hash loader", "truncated"}},
		{"signature's value", rsaCert, func(b *bundle.Bundle) { b.Loaders[0].Signatures[0].CMS[200] ^= 1 }, []string{"map-hash loader", "does not hold"}},
		{"other scheme's signature", rsaCert, func(b *bundle.Bundle) {
			b.Loaders[0].Signatures = b.Loaders[1].Signatures
		}, []string{"map-hash loader", "made for another scheme: payload"}},
		{"other scheme's signature, alone", rsaCert, func(b *bundle.Bundle) {
			b.Loaders[0].Scheme = bundle.Payload
			b.Loaders = b.Loaders[:1]
		}, []string{"payload loader", "made for another scheme: map-hash"}},
		{"PSS", rsaCert, func(b *bundle.Bundle) { b.Loaders[0].Signatures[0].CMS = pss(b) }, []string{"map-hash loader", "RSA-PSS"}},
		{"key id of another", ecdsaCert, func(b *bundle.Bundle) {
			cert, err := certs.Load(ecdsaCert)
			qt.Assert(t, qt.IsNil(err))
			for i := range b.Loaders {
				b.Loaders[i].Signatures[0].KeyID = cert.SubjectKeyId
			}
		}, []string{"by another key"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTool(t)
			b := signed(t)
			c.change(b)
			path := s.bundle("b.bpfl", b)
			s.fails(cli.ExitFailed, append(c.want, path), "verify", "-cert", c.cert, path)
		})
	}
}

// Two keys sign, either is enough, the old one goes.
func TestRotation(t *testing.T) {
	s := newTool(t)
	b := s.bundle("b.bpfl", small())
	s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-kind", "test", "-in", b, "-out", b)
	s.ok("sign", "-key", ecdsaKey, "-cert", ecdsaCert, "-kind", "production", "-in", b, "-out", b)
	s.ok("verify", "-cert", rsaCert, b)
	qt.Assert(t, qt.StringContains(s.stdout.String(), "unknown key"))
	s.ok("verify", "-cert", ecdsaCert, b)
	s.ok("verify", "-cert", ecdsaCert, "-cert", rsaCert, b)
	for _, l := range s.read(b).Loaders {
		qt.Assert(t, qt.HasLen(l.Signatures, 2))
		qt.Assert(t, qt.Equals(l.Signatures[0].Kind, "test"), qt.Commentf("signatures keep their order"))
	}
	s.ok("strip", "-cert", rsaCert, "-in", b, "-out", b)
	s.fails(cli.ExitFailed, []string{"not signed by a trusted key"}, "verify", "-cert", rsaCert, b)
	s.ok("verify", "-cert", ecdsaCert, b)
	s.fails(cli.ExitFailed, []string{"no signature by key"}, "strip", "-cert", rsaCert, "-in", b, "-out", b)

	cert, err := certs.Load(ecdsaCert)
	qt.Assert(t, qt.IsNil(err))
	s.ok("strip", "-keyid", colons(cert.SubjectKeyId), "-in", b, "-out", b)
	unsigned, err := bundle.Encode(small())
	qt.Assert(t, qt.IsNil(err))
	got, err := os.ReadFile(b)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(got, unsigned))
	s.ok("strip", "-all", "-in", b, "-out", b)
}

// colons writes a key id as openssl does.
func colons(id []byte) string {
	var parts []string
	for _, b := range id {
		parts = append(parts, strings.ToUpper(string("0123456789abcdef"[b>>4])+string("0123456789abcdef"[b&15])))
	}
	return strings.Join(parts, ":")
}

// verify -roots follows a chain.
func TestVerifyRoots(t *testing.T) {
	s := newTool(t)
	ca, leaf, b := issueChain(t, s)
	s.ok("verify", "-cert", leaf, "-roots", ca, b)
	s.fails(cli.ExitFailed, []string{"does not lead to a trusted root"}, "verify", "-cert", leaf, "-roots", rsaCert, b)
	s.fails(cli.ExitFailed, []string{"-roots", "missing.pem"}, "verify", "-cert", leaf, "-roots", "missing.pem", b)
}

// issueChain returns files: a root, a chain of a leaf and an intermediate certificate, and a bundle that the leaf signed.
func issueChain(t *testing.T, s *tool) (root, chain, signedBundle string) {
	t.Helper()
	issue := func(name string, isCA bool, parent *x509.Certificate, parentKey, key crypto.Signer) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IsCA: isCA, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, SubjectKeyId: []byte(name),
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
		qt.Assert(t, qt.IsNil(err))
		cert, err := x509.ParseCertificate(der)
		qt.Assert(t, qt.IsNil(err))
		return cert
	}
	key := func() crypto.Signer {
		k, err := signing.GenerateKey("ecdsa-p256")
		qt.Assert(t, qt.IsNil(err))
		return k
	}
	rootKey, middleKey, leafKey := key(), key(), key()
	rootCert := issue("root", true, nil, rootKey, rootKey)
	middle := issue("middle", true, rootCert, rootKey, middleKey)
	leaf := issue("leaf", false, middle, middleKey, leafKey)
	asPEM := func(certs ...*x509.Certificate) (out []byte) {
		for _, c := range certs {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		return out
	}
	private, err := signing.EncodeKey(leafKey, nil)
	qt.Assert(t, qt.IsNil(err))
	root, chain = s.write("root.pem", asPEM(rootCert)), s.write("chain.pem", asPEM(leaf, middle))
	signedBundle = s.path("chain.bpfl")
	s.ok("sign", "-key", s.write("leaf.pem", private), "-cert", chain, "-in", s.bundle("in.bpfl", small()), "-out", signedBundle)
	return root, chain, signedBundle
}

func TestKeygen(t *testing.T) {
	for _, keyType := range signing.KeyTypes {
		t.Run(keyType, func(t *testing.T) {
			s := newTool(t)
			key, cert, b := s.path("k.pem"), s.path("c.der"), s.bundle("b.bpfl", small())
			s.ok("keygen", "-type", keyType, "-key", key, "-cert", cert, "-cn", "my key")
			s.ok("sign", "-key", key, "-cert", cert, "-in", b, "-out", b)
			s.ok("verify", "-cert", cert, b)
			info, err := os.Stat(key)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.Equals(info.Mode().Perm(), 0o600))
			c, err := certs.Load(cert)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.IsTrue(!c.IsCA && c.BasicConstraintsValid))
			qt.Assert(t, qt.Equals(c.KeyUsage, x509.KeyUsageDigitalSignature))
			s.fails(cli.ExitFailed, []string{key, "exists"}, "keygen", "-type", "ecdsa-p256", "-key", key, "-cert", cert)
		})
	}
}

// A key that was there already gets a fit certificate.
func TestCertify(t *testing.T) {
	s := newTool(t)
	cert, b := s.path("c.pem"), s.bundle("b.bpfl", small())
	s.ok("certify", "-key", ecdsaKey, "-cert", cert, "-cn", "mine")
	s.ok("sign", "-key", ecdsaKey, "-cert", cert, "-in", b, "-out", b)
	s.ok("verify", "-cert", cert, b)
	s.ok("verify", "-cert", ecdsaCert, b) // the same key has the same id
	s.fails(cli.ExitFailed, []string{"-key", "missing"}, "certify", "-key", "missing", "-cert", cert)
	s.fails(cli.ExitFailed, []string{"-public", rsaKey}, "certify", "-signer", "true", "-public", rsaKey, "-cert", cert)
}

// The key identifier is the one that openssl computes, and openssl takes the pair.
func TestKeygenLikeOpenSSL(t *testing.T) {
	s := newTool(t)
	s.env["SIGNTOOL_PASSPHRASE"] = passphrase
	s.ok("keygen", "-type", "ecdsa-p384", "-key", s.path("k.pem"), "-cert", s.path("c.pem"))
	s.openssl("pkey", "-in", "k.pem", "-passin", "pass:"+passphrase, "-out", "plain.pem")
	s.openssl("req", "-x509", "-key", "plain.pem", "-subj", "/CN=x", "-addext", "subjectKeyIdentifier=hash", "-out", "theirs.pem")
	ours, err := certs.Load(s.path("c.pem"))
	qt.Assert(t, qt.IsNil(err))
	theirs, err := certs.Load(s.path("theirs.pem"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(ours.SubjectKeyId, theirs.SubjectKeyId))
	b := s.bundle("b.bpfl", small())
	s.ok("sign", "-key", s.path("k.pem"), "-cert", s.path("c.pem"), "-in", b, "-out", b)
	s.fails(cli.ExitFailed, []string{"wrong passphrase"}, "sign", "-key", s.path("k.pem"), "-cert", s.path("c.pem"), "-in", b, "-out", b,
		"-passphrase-file", s.write("wrong", []byte("x")))
}

// Every form in which openssl writes a key.
func TestOpenSSLKeyForms(t *testing.T) {
	s := newTool(t)
	data, err := os.ReadFile(rsaKey)
	qt.Assert(t, qt.IsNil(err))
	s.write("rsa", data)
	data, err = os.ReadFile(ecdsaKey)
	qt.Assert(t, qt.IsNil(err))
	s.write("ecdsa", data)
	pass := s.write("pass", []byte(passphrase+"\n"))
	b := s.bundle("b.bpfl", small())
	certs := map[string]string{"rsa": rsaCert, "ecdsa": ecdsaCert}
	for _, c := range []struct {
		name, key string
		args      []string
	}{
		{"PKCS#8", "rsa", []string{"pkcs8", "-topk8", "-nocrypt"}},
		{"PKCS#1", "rsa", []string{"rsa", "-traditional"}},
		{"SEC 1", "ecdsa", []string{"ec"}},
		{"PBKDF2", "rsa", []string{"pkcs8", "-topk8", "-passout", "file:pass"}},
		{"PBKDF2, HMAC-SHA1, AES-128", "rsa", []string{"pkcs8", "-topk8", "-passout", "file:pass", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"}},
		{"PBKDF2, HMAC-SHA512, AES-192", "ecdsa", []string{"pkcs8", "-topk8", "-passout", "file:pass", "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512"}},
		{"scrypt", "ecdsa", []string{"pkcs8", "-topk8", "-passout", "file:pass", "-scrypt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.openssl(append(c.args, "-in", c.key, "-out", "key.pem")...)
			s.ok("sign", "-key", s.path("key.pem"), "-cert", certs[c.key], "-passphrase-file", pass, "-in", b, "-out", b)
			s.ok("verify", "-cert", certs[c.key], b)
		})
	}
	t.Run("traditional encryption", func(t *testing.T) {
		s.t = t
		s.openssl("rsa", "-in", "rsa", "-traditional", "-aes256", "-passout", "file:pass", "-out", "key.pem")
		s.fails(cli.ExitFailed, []string{"-key", "openssl pkcs8 -topk8"}, "sign", "-key", s.path("key.pem"), "-cert", rsaCert,
			"-passphrase-file", pass, "-in", b, "-out", b)
	})
}

func TestInspect(t *testing.T) {
	for _, c := range []struct {
		golden string
		args   []string
	}{
		{"inspect.txt", nil},
		{"inspect.json", []string{"-json"}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			s := newTool(t)
			b := signed(t)
			b.Loaders[1].Signatures[0].CMS = []byte("damaged")
			b.Maps[0].Flags = uint32(uapi.MapFlagMmapable) | 1<<31 // of which only one has a name
			qt.Assert(t, qt.IsNil(b.Seal()))
			s.ok(append(append([]string{"inspect"}, c.args...), s.bundle("b.bpfl", b))...)
			golden := filepath.Join("testdata", c.golden)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				qt.Assert(t, qt.IsNil(os.WriteFile(golden, s.stdout.Bytes(), 0o644)))
			}
			want, err := os.ReadFile(golden)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.Equals(s.stdout.String(), string(want)))
		})
	}
}

// Nobody takes a development key for a production key.
func TestDevelopmentKey(t *testing.T) {
	s := newTool(t)
	in, out := s.bundle("in.bpfl", small()), s.path("out.bpfl")
	for kind, marked := range map[string]bool{"development": true, "test": false, "production": false} {
		s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-kind", kind, "-in", in, "-out", out)
		s.ok("inspect", out)
		qt.Check(t, qt.Equals(strings.Contains(s.stdout.String(), "(DEVELOPMENT KEY, not for production)"), marked), qt.Commentf("%s", s.stdout.String()))
		s.ok("verify", "-cert", rsaCert, out)
		qt.Check(t, qt.Equals(strings.Contains(s.stdout.String(), "WARNING: signed with a DEVELOPMENT KEY"), marked), qt.Commentf("%s", s.stdout.String()))
	}
}

// One process that makes and signs the loaders leaves what two of them do.
func TestSignObject(t *testing.T) {
	const object = "../../internal/object/testdata/data.bpf.o"
	s := newTool(t)
	sign := []string{"sign", "-key", rsaKey, "-cert", rsaCert, "-out", s.path("out.bpfl"), "-object"}
	qt.Check(t, qt.Equals(s.run(append(sign, object, "-scheme", "sha1")...), cli.ExitUsage))
	qt.Check(t, qt.StringContains(s.stderr.String(), `-scheme: unknown attestation scheme "sha1"`))
	qt.Check(t, qt.Equals(s.run(append(sign, object, "-in", object)...), cli.ExitUsage))
	qt.Check(t, qt.StringContains(s.stderr.String(), "give one of -in and -object"))
	for _, args := range [][]string{{"-scheme", "payload"}, {"-kernel-btf", "vmlinux"}, {"-kconfig", "CONFIG_HZ=250"}} {
		in := []string{"sign", "-key", rsaKey, "-cert", rsaCert, "-out", s.path("out.bpfl"), "-in", s.bundle("made.bpfl", small())}
		qt.Check(t, qt.Equals(s.run(append(in, args...)...), cli.ExitUsage))
		qt.Check(t, qt.StringContains(s.stderr.String(), args[0]+" is for -object: the loaders of -in are made already"))
	}
	qt.Check(t, qt.Equals(s.run(append(sign, "missing.bpf.o")...), cli.ExitFailed))
	qt.Check(t, qt.StringContains(s.stderr.String(), "-object: open missing.bpf.o"))
	_, err := os.Stat(s.path("out.bpfl"))
	qt.Check(t, qt.ErrorIs(err, os.ErrNotExist))

	how, flags := compile.Flags{}, flag.NewFlagSet("", flag.PanicOnError)
	how.Add(flags)
	qt.Assert(t, qt.IsNil(flags.Parse([]string{"-scheme", "payload"})))
	want, err := how.Compile(&file.Stdio{}, object)
	qt.Assert(t, qt.IsNil(err))
	in := s.bundle("in.bpfl", want)
	s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-in", in, "-out", in)
	s.ok(append(sign, object, "-scheme", "payload")...)
	qt.Check(t, qt.DeepEquals(s.read(s.path("out.bpfl")), s.read(in)))
}
