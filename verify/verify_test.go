package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/verify"
)

// now is when the tests happen.
var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// signer is a key with its certificate.
type signer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// newSigner makes a signer whose certificate is issued by parent, or by itself.
func newSigner(t *testing.T, name string, parent *signer, change func(*x509.Certificate)) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	qt.Assert(t, qt.IsNil(err))
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		SubjectKeyId:          []byte("key of " + name),
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	issuer := &signer{key, template}
	if parent != nil {
		issuer = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, key.Public(), issuer.key)
	qt.Assert(t, qt.IsNil(err))
	cert, err := x509.ParseCertificate(der)
	qt.Assert(t, qt.IsNil(err))
	return &signer{key, cert}
}

func extUsage(usages ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
}

func isCA(c *x509.Certificate) { c.IsCA = true }

// sign adds the signer's signature to every loader.
func (s *signer) sign(t *testing.T, b *bundle.Bundle, kind bundle.Kind, hash crypto.Hash) {
	t.Helper()
	for i := range b.Loaders {
		l := &b.Loaders[i]
		h := hash.New()
		tbs, err := b.SignedBytes(l)
		qt.Assert(t, qt.IsNil(err))
		h.Write(tbs)
		der, err := cms.Sign(s.key, s.cert, hash, h.Sum(nil))
		qt.Assert(t, qt.IsNil(err))
		l.Signatures = append(l.Signatures, bundle.Signature{KeyID: s.cert.SubjectKeyId, Kind: kind, CMS: der})
	}
}

// small returns a bundle with both loaders, not signed.
func small() *bundle.Bundle {
	object := sha256.Sum256([]byte("object"))
	exit := []byte{0x95, 0, 0, 0, 0, 0, 0, 0}
	b := &bundle.Bundle{
		Contract: bundle.Contract{Object: bundle.Object{Name: "small.bpf.o", SHA256: object[:]}, CtxSize: bundle.CtxHeaderSize},
		Loaders: []bundle.Loader{
			{Scheme: bundle.MapHash},
			{Scheme: bundle.Payload, Insns: exit},
		},
		Blob: make([]byte, bundle.ContractSize+8),
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

func TestCheck(t *testing.T) {
	var (
		alice   = newSigner(t, "alice", nil, nil)
		bob     = newSigner(t, "bob", nil, nil)
		root    = newSigner(t, "root", nil, isCA)
		middle  = newSigner(t, "middle", root, isCA)
		carol   = newSigner(t, "carol", middle, nil)
		expired = newSigner(t, "expired", nil, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) })
		bare    = newSigner(t, "bare", nil, func(c *x509.Certificate) { c.SubjectKeyId = nil })
		usage   = newSigner(t, "usage", nil, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
		server  = newSigner(t, "server", nil, extUsage(x509.ExtKeyUsageServerAuth))
		coder   = newSigner(t, "coder", root, extUsage(x509.ExtKeyUsageCodeSigning))
		servers = newSigner(t, "servers", root, func(c *x509.Certificate) {
			c.IsCA, c.ExtKeyUsage = true, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})
		dave = newSigner(t, "dave", servers, nil)
	)
	trusting := func(signers ...*signer) verify.Policy {
		p := verify.Policy{Time: now}
		for _, s := range signers {
			p.AddSigner("", []*x509.Certificate{s.cert})
		}
		return p
	}
	with := func(p verify.Policy, change func(p *verify.Policy)) verify.Policy {
		change(&p)
		return p
	}
	by := func(signers ...*signer) *bundle.Bundle {
		b := small()
		for _, s := range signers {
			s.sign(t, b, bundle.KindTest, crypto.SHA256)
		}
		return b
	}
	changed := func(b *bundle.Bundle, change func(b *bundle.Bundle)) *bundle.Bundle {
		change(b)
		return b
	}
	for _, c := range []struct {
		name   string
		policy verify.Policy
		bundle *bundle.Bundle
		want   error
	}{
		{"trusted", trusting(alice), by(alice), nil},
		{"one of two trusted", trusting(bob, alice), by(alice), nil},
		{"two signatures, one trusted", trusting(alice), by(bob, alice), nil},
		{"nobody trusted", verify.Policy{}, by(alice), verify.ErrUntrusted},
		{"another trusted", trusting(bob), by(alice), verify.ErrUntrusted},
		{"not signed", trusting(alice), small(), verify.ErrUnsigned},
		{"one loader not signed", trusting(alice), changed(by(alice), func(b *bundle.Bundle) { b.Loaders[1].Signatures = nil }), verify.ErrUnsigned},
		{"other blob of the map-hash loader alone", trusting(alice), changed(by(alice), func(b *bundle.Bundle) {
			b.Blob[bundle.ContractSize] ^= 1
			b.Loaders = b.Loaders[:1]
		}), verify.ErrBlob},
		{"other contract of the map-hash loader alone", trusting(alice), changed(by(alice), func(b *bundle.Bundle) {
			b.Object.License = "GPL"
			qt.Assert(t, qt.IsNil(b.Seal()))
			b.Loaders = b.Loaders[:1]
		}), verify.ErrBlob},
		{"contract", trusting(alice), changed(by(alice), func(b *bundle.Bundle) { b.Object.License = "GPL" }), verify.ErrContract},
		{"other bytes", trusting(alice), changed(by(alice), func(b *bundle.Bundle) { b.Blob[bundle.ContractSize] ^= 1 }), verify.ErrBadSignature},
		{"other bytes, and a good signature", trusting(alice, bob), changed(by(alice, bob), func(b *bundle.Bundle) {
			b.Loaders[0].Signatures[0].CMS = b.Loaders[0].Signatures[1].CMS
		}), verify.ErrWrongCertificate},
		{"untrusted signature is damaged", trusting(alice), changed(by(alice, bob), func(b *bundle.Bundle) {
			b.Loaders[0].Signatures[1].CMS = []byte("damaged")
		}), nil},
		{"other scheme", trusting(alice), changed(by(alice), func(b *bundle.Bundle) {
			b.Loaders[0].Signatures, b.Loaders[1].Signatures = b.Loaders[1].Signatures, b.Loaders[0].Signatures
		}), verify.ErrOtherScheme},
		{"expired", trusting(expired), by(expired), verify.ErrExpired},
		{"not valid yet", with(trusting(alice), func(p *verify.Policy) { p.Time = now.AddDate(-2, 0, 0) }), by(alice), verify.ErrNotYetValid},
		{"no key id", trusting(bare), by(alice), verify.ErrNoKeyID},
		{"key usage", trusting(usage), by(usage), verify.ErrKeyUsage},
		{"extended key usage", trusting(server), by(server), verify.ErrExtKeyUsage},
		{"extended key usage, another signed", trusting(alice, server), by(alice), verify.ErrExtKeyUsage},
		{"extended key usage, code signing", with(trusting(coder), func(p *verify.Policy) { p.Roots = []*x509.Certificate{root.cert} }), by(coder), nil},
		{"extended key usage of the issuer", with(verify.Policy{Time: now, Roots: []*x509.Certificate{root.cert}}, func(p *verify.Policy) {
			p.AddSigner("", []*x509.Certificate{dave.cert, servers.cert})
		}), by(dave), verify.ErrChain},
		{"chain", with(verify.Policy{Time: now, Roots: []*x509.Certificate{root.cert}}, func(p *verify.Policy) {
			p.AddSigner("", []*x509.Certificate{carol.cert, middle.cert})
		}), by(carol), nil},
		{"chain, intermediate missing", with(trusting(carol), func(p *verify.Policy) { p.Roots = []*x509.Certificate{root.cert} }), by(carol), verify.ErrChain},
		{"chain, another root", with(trusting(alice), func(p *verify.Policy) { p.Roots = []*x509.Certificate{root.cert} }), by(alice), verify.ErrChain},
		{"kind allowed", with(trusting(alice), func(p *verify.Policy) { p.Kinds = []bundle.Kind{bundle.KindTest} }), by(alice), nil},
		{"kind not allowed", with(trusting(alice), func(p *verify.Policy) { p.Kinds = []bundle.Kind{bundle.KindProduction} }), by(alice), verify.ErrKind},
		{"kind is another", with(trusting(alice), func(p *verify.Policy) { p.Signers[0].Kind = bundle.KindProduction }), by(alice), verify.ErrKind},
		{"schemes there", with(trusting(alice), func(p *verify.Policy) { p.Schemes = bundle.Schemes }), by(alice), nil},
		{"scheme missing", with(trusting(alice), func(p *verify.Policy) { p.Schemes = bundle.Schemes }),
			changed(by(alice), func(b *bundle.Bundle) { b.Loaders = b.Loaders[:1] }), verify.ErrScheme},
		{"hash not allowed", with(trusting(alice), func(p *verify.Policy) { p.Hashes = []crypto.Hash{crypto.SHA384} }), by(alice), verify.ErrHash},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := c.policy.Check(c.bundle)
			qt.Assert(t, qt.IsNotNil(report))
			if c.want == nil {
				qt.Assert(t, qt.IsNil(err))
				return
			}
			qt.Assert(t, qt.ErrorIs(err, c.want))
		})
	}
}

func TestReport(t *testing.T) {
	alice, bob := newSigner(t, "alice", nil, nil), newSigner(t, "bob", nil, nil)
	b := small()
	alice.sign(t, b, bundle.KindTest, crypto.SHA256)
	bob.sign(t, b, bundle.KindProduction, crypto.SHA512)
	p := verify.Policy{Time: now}
	p.AddSigner("", []*x509.Certificate{bob.cert})
	report, err := p.Check(b)
	qt.Assert(t, qt.IsNil(err))
	want := []verify.Signature{}
	for _, s := range bundle.Schemes {
		want = append(want,
			verify.Signature{Scheme: s, KeyID: alice.cert.SubjectKeyId, Kind: bundle.KindTest},
			verify.Signature{Scheme: s, KeyID: bob.cert.SubjectKeyId, Kind: bundle.KindProduction, Signer: bob.cert})
	}
	qt.Assert(t, qt.DeepEquals(report.Signatures, want))
}

func TestLoadPolicy(t *testing.T) {
	dir := t.TempDir()
	root := newSigner(t, "root", nil, isCA)
	alice := newSigner(t, "alice", root, nil)
	inPEM := func(c *x509.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(dir, "alice.der"), alice.cert.Raw, 0o644)))
	quoted, err := json.Marshal(inPEM(root.cert))
	qt.Assert(t, qt.IsNil(err))
	path := filepath.Join(dir, "policy.json")
	write := func(s string) { qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte(s), 0o644))) }

	write(`{
		"version": 1,
		"signers": [{"certificate": "alice.der", "kind": "production"}],
		"roots": [` + string(quoted) + `],
		"kinds": ["production", "test"],
		"schemes": ["map-hash", "payload"],
		"hashes": ["sha384"],
		"minimum_audit": "proven"
	}`)
	p, err := verify.LoadPolicy(path)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(p, &verify.Policy{
		Signers: []verify.Signer{{Certificate: alice.cert, Kind: bundle.KindProduction}},
		Roots:   []*x509.Certificate{root.cert},
		Kinds:   []bundle.Kind{bundle.KindProduction, bundle.KindTest},
		Schemes: bundle.Schemes,
		Hashes:  []crypto.Hash{crypto.SHA384},

		MinimumAudit: verify.AuditProven,
	}))
	p.Time = now
	b := small() // signed, and it proves nothing
	alice.sign(t, b, bundle.KindProduction, crypto.SHA384)
	_, err = p.Check(b)
	qt.Assert(t, qt.ErrorIs(err, verify.ErrAudit))
	p.MinimumAudit = verify.AuditNone
	_, err = p.Check(b)
	qt.Assert(t, qt.IsNil(err))

	for _, c := range []struct{ name, policy, want string }{
		{"not JSON", `policy: everyone`, "malformed"},
		{"unknown field", `{"version": 1, "signer": []}`, "signer"},
		{"something after it", `{"version": 1} {}`, "after its end"},
		{"no version", `{"signers": [{"certificate": "alice.der"}]}`, "version 0"},
		{"nobody", `{"version": 1}`, "nobody"},
		{"no certificate", `{"version": 1, "signers": [{}]}`, "no certificate"},
		{"missing certificate", `{"version": 1, "signers": [{"certificate": "bob.der"}]}`, "bob.der"},
		{"not a certificate", `{"version": 1, "signers": [{"certificate": "policy.json"}]}`, "policy.json"},
		{"damaged PEM", `{"version": 1, "signers": [{"certificate": "-----BEGIN CERTIFICATE-----"}]}`, "no certificate"},
		{"kind of signer", `{"version": 1, "signers": [{"certificate": "alice.der", "kind": "holiday"}]}`, "holiday"},
		{"kind", `{"version": 1, "signers": [{"certificate": "alice.der"}], "kinds": ["holiday"]}`, "holiday"},
		{"scheme", `{"version": 1, "signers": [{"certificate": "alice.der"}], "schemes": ["rot13"]}`, "rot13"},
		{"hash", `{"version": 1, "signers": [{"certificate": "alice.der"}], "hashes": ["md5"]}`, "md5"},
		{"audit", `{"version": 1, "signers": [{"certificate": "alice.der"}], "minimum_audit": "nice"}`, "unknown minimum audit \"nice\""},
		{"root", `{"version": 1, "signers": [{"certificate": "alice.der"}], "roots": ["none.pem"]}`, "none.pem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(c.policy)
			_, err := verify.LoadPolicy(path)
			qt.Assert(t, qt.ErrorMatches(err, "(?s).*policy.json: .*"+c.want+".*"))
		})
	}
	_, err = verify.LoadPolicy(filepath.Join(dir, "none.json"))
	qt.Assert(t, qt.ErrorIs(err, os.ErrNotExist))
}
