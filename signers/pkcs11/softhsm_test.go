package main

import (
	"bytes"
	"encoding/asn1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
	"github.com/miekg/pkcs11"
)

const (
	testToken = "rules_bpf test"
	testPIN   = "1234"
)

// modules are where SoftHSM's module may be; SOFTHSM2_MODULE comes first.
var modules = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib64/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
}

// softHSM is a token of its own, with the tools to use it.
type softHSM struct {
	t      *testing.T
	dir    string
	module string
}

// newSoftHSM makes a token in a temporary folder, or skips the test.
func newSoftHSM(t *testing.T) *softHSM {
	t.Helper()
	h := &softHSM{t: t, dir: t.TempDir()}
	for _, m := range append([]string{os.Getenv("SOFTHSM2_MODULE")}, modules...) {
		if _, err := os.Stat(m); err == nil {
			h.module = m
			break
		}
	}
	_, err := exec.LookPath("softhsm2-util")
	if h.module == "" || err != nil {
		t.Skip("SoftHSM is not installed: apt-get install softhsm2")
	}
	h.write("softhsm2.conf", "directories.tokendir = "+h.path("tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n")
	qt.Assert(t, qt.IsNil(os.Mkdir(h.path("tokens"), 0o700)))
	t.Setenv("SOFTHSM2_CONF", h.path("softhsm2.conf"))
	h.ok("softhsm2-util", "--init-token", "--free", "--label", testToken, "--pin", testPIN, "--so-pin", "5678")
	t.Setenv(variableModule, h.module)
	t.Setenv(variablePIN, testPIN)
	return h
}

func (h *softHSM) path(name string) string { return filepath.Join(h.dir, name) }

func (h *softHSM) write(name, data string) string {
	h.t.Helper()
	qt.Assert(h.t, qt.IsNil(os.WriteFile(h.path(name), []byte(data), 0o600)))
	return h.path(name)
}

// ok runs a program in the folder that must succeed, and returns what it printed.
func (h *softHSM) ok(name string, args ...string) string {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.dir, &stdout, &stderr
	qt.Assert(h.t, qt.IsNil(cmd.Run()), qt.Commentf("%s %q: %s", name, args, &stderr))
	return stdout.String()
}

// build builds the program in a folder.
func (h *softHSM) build(dir string) (program string) {
	h.t.Helper()
	dir, err := filepath.Abs(dir)
	qt.Assert(h.t, qt.IsNil(err))
	program = h.path(filepath.Base(dir))
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	qt.Assert(h.t, qt.IsNil(err), qt.Commentf("%s", out))
	return program
}

// newKey generates a key pair in the token. Its private half never leaves it.
func (h *softHSM) newKey(label string, id byte, curve asn1.ObjectIdentifier) {
	h.t.Helper()
	p := pkcs11.New(h.module)
	qt.Assert(h.t, qt.IsNotNil(p))
	defer p.Destroy()
	qt.Assert(h.t, qt.IsNil(p.Initialize()))
	defer p.Finalize()
	k := &key{module: p, uri: &uri{token: testToken}}
	slot, err := k.findSlot()
	qt.Assert(h.t, qt.IsNil(err))
	session, err := p.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	qt.Assert(h.t, qt.IsNil(err))
	qt.Assert(h.t, qt.IsNil(p.Login(session, pkcs11.CKU_USER, testPIN)))
	common := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, []byte{id}),
	}
	mechanism := uint(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN)
	public := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, 2048), pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})}
	if curve != nil {
		mechanism = pkcs11.CKM_EC_KEY_PAIR_GEN
		params, err := asn1.Marshal(curve)
		qt.Assert(h.t, qt.IsNil(err))
		public = []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params)}
	}
	_, _, err = p.GenerateKeyPair(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)},
		append(public, common...),
		append([]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
			pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		}, common...))
	qt.Assert(h.t, qt.IsNil(err))
}

// A key is made in the token and certified, a bundle signed with it, at once and in a ceremony, and verified by signtool
// and by openssl.
func TestSignWithSoftHSM(t *testing.T) {
	h := newSoftHSM(t)
	root := filepath.Join("..", "..")
	signer, signtool := h.build("."), h.build(filepath.Join(root, "tools", "signtool"))
	object, err := filepath.Abs(filepath.Join(root, "internal", "object", "testdata", "data.bpf.o"))
	qt.Assert(t, qt.IsNil(err))
	unsigned := h.path("unsigned.bpfl")
	h.ok(h.build(filepath.Join(root, "tools", "loadergen")), "-object", object, "-out", unsigned)
	for i, c := range []struct {
		name, hash string
		curve      asn1.ObjectIdentifier
	}{
		{"rsa", "sha256", nil},
		{"rsa", "sha512", nil},
		{"p256", "sha256", curves[0].oid},
		{"p384", "sha384", curves[1].oid},
	} {
		label := c.name + " " + c.hash
		t.Run(label, func(t *testing.T) {
			h.t = t
			h.newKey(label, byte(i), c.curve)
			key := "pkcs11:token=rules_bpf%20test;object=" + strings.ReplaceAll(label, " ", "%20")
			public := h.write("public.pem", h.ok(signer, "public", key))
			by := []string{"-signer", signer, "-signer-key", key}
			h.ok(signtool, append([]string{"certify", "-public", public, "-cert", "cert.pem", "-cn", label}, by...)...)
			by = append(by, "-cert", "cert.pem", "-hash", c.hash)
			h.ok(signtool, append([]string{"sign", "-kind", "test", "-in", unsigned, "-out", "signed.bpfl"}, by...)...)
			h.ok(signtool, "verify", "-cert", "cert.pem", "signed.bpfl")

			h.ok(signtool, "tbs", "-in", unsigned, "-out", "tbs")
			h.ok(signtool, append([]string{"sign-tbs", "-in", "tbs", "-out", "tbs"}, by...)...)
			h.ok(signtool, "attach", "-cert", "cert.pem", "-signature", "tbs/map-hash.p7s", "-signature", "tbs/payload.p7s", "-in", unsigned, "-out", "attached.bpfl")
			h.ok(signtool, "verify", "-cert", "cert.pem", "attached.bpfl")
			if _, err := exec.LookPath("openssl"); err != nil {
				t.Log("openssl is not installed: signatures not verified with it")
				return
			}
			for _, scheme := range []string{"map-hash", "payload"} {
				h.ok("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "tbs/"+scheme+".p7s", "-content", "tbs/"+scheme+".tbs",
					"-certfile", "cert.pem", "-CAfile", "cert.pem", "-purpose", "any", "-out", os.DevNull)
			}
		})
	}
}

func TestSoftHSMErrors(t *testing.T) {
	h := newSoftHSM(t)
	h.newKey("one", 1, nil)
	h.newKey("two", 2, nil)
	h.newKey("two", 3, nil)
	const token = "pkcs11:token=rules_bpf%20test;"
	wrong := h.write("pin", "0000\n")
	for _, c := range []struct{ name, key, pin, module, want string }{
		{"good", token + "object=one", testPIN, h.module, ""},
		{"by id", token + "object=two;id=%03;type=private", testPIN, h.module, ""},
		{"PIN in a file", token + "object=one?pin-source=file:" + h.write("goodpin", testPIN+"\n"), "", h.module, ""},
		{"module in the URI", token + "object=one?module-path=" + h.module, testPIN, "", ""},
		{"wrong PIN", token + "object=one", "0000", h.module, "log in"},
		{"wrong PIN in a file", token + "object=one?pin-source=" + wrong, testPIN, h.module, "log in"},
		{"missing PIN file", token + "object=one?pin-source=none", testPIN, h.module, "pin-source"},
		{"no PIN", token + "object=one", "", h.module, variablePIN},
		{"missing key", token + "object=three", testPIN, h.module, "no key in the token"},
		{"two keys", token + "object=two", testPIN, h.module, "several keys"},
		{"missing token", "pkcs11:token=other;object=one", testPIN, h.module, "0 tokens"},
		{"missing module", token + "object=one", testPIN, h.path("none.so"), "cannot be loaded"},
		{"no module", token + "object=one", testPIN, "", variableModule},
		{"no key", "", testPIN, h.module, variableURI},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{variablePIN: c.pin, variableModule: c.module}
			k, err := openKey(c.key, func(name string) string { return env[name] })
			if c.want == "" {
				qt.Assert(t, qt.IsNil(err))
				k.close()
				return
			}
			qt.Assert(t, qt.IsNil(k))
			qt.Assert(t, qt.ErrorMatches(err, ".*"+c.want+".*"))
		})
	}
}
