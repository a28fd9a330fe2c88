// Package schemes shows what the code does with an attestation scheme that it does not know: it is always an error.
package schemes_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/golden"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/report"
	"github.com/rules-bpf/rules_bpf/tools/signtool/provenance"
	"github.com/rules-bpf/rules_bpf/verify"
)

// third is a scheme that nothing knows: one more than the last.
var third = bundle.Schemes[len(bundle.Schemes)-1] + 1

// unknown is what errors say of it.
var unknown = fmt.Sprintf("unknown attestation scheme %d ", uint8(third))

// workshop has a signer and an object to make bundles of.
type workshop struct {
	*testing.T
	id     *signing.Identity
	object *object.Object
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	qt.Assert(t, qt.IsNil(err))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"}, SubjectKeyId: []byte("0123456789abcdefghij"),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	qt.Assert(t, qt.IsNil(err))
	cert, err := x509.ParseCertificate(der)
	qt.Assert(t, qt.IsNil(err))

	path := filepath.Join("..", "..", "internal", "object", "testdata", "data.bpf.o")
	raw, err := os.ReadFile(path)
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse(path, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	return &workshop{t, &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}, obj}
}

// good returns a signed bundle that has no fault.
func (w *workshop) good() *bundle.Bundle {
	w.Helper()
	b, err := loader.Compile(w.object, loader.Options{})
	qt.Assert(w, qt.IsNil(err))
	qt.Assert(w, qt.IsNil(w.id.Sign(b, bundle.KindTest)))
	return b
}

// posing returns bundles that have a loader of the third scheme. Its instructions and its signature are good ones of a
// known scheme: code that takes the third scheme for that one finds nothing wrong.
func (w *workshop) posing() map[string]*bundle.Bundle {
	w.Helper()
	all := map[string]*bundle.Bundle{}
	for _, s := range bundle.Schemes {
		alone := w.good()
		l := *alone.Loader(s)
		l.Scheme = third
		alone.Loaders = []bundle.Loader{l}
		all["alone, as "+s.String()] = alone
		beside := w.good()
		beside.Loaders = append(beside.Loaders, l)
		all["beside the others, as "+s.String()] = beside
	}
	return all
}

// signatures are the signatures of a bundle's loaders, as files to attach.
func signatures(b *bundle.Bundle) []signing.Attachment {
	var all []signing.Attachment
	for i := range b.Loaders {
		l := &b.Loaders[i]
		all = append(all, signing.Attachment{File: "s.p7s", Scheme: l.Scheme, Data: l.Signatures[0].CMS})
	}
	return all
}

// consumers are everything that depends on a scheme. Each takes a good bundle without an error.
var consumers = map[string]func(w *workshop, b *bundle.Bundle) error{
	"encode": func(_ *workshop, b *bundle.Bundle) error {
		_, err := bundle.Encode(b)
		return err
	},
	"signed bytes": func(_ *workshop, b *bundle.Bundle) error {
		_, err := b.SignedBytes(&b.Loaders[len(b.Loaders)-1])
		return err
	},
	"audit": func(_ *workshop, b *bundle.Bundle) error {
		return failed(audit.Bundle(b))
	},
	"audit of a loader": func(_ *workshop, b *bundle.Bundle) error {
		l := &b.Loaders[len(b.Loaders)-1]
		return failed(audit.Audit(l.Scheme, binary.LittleEndian, l.Insns, b.Blob))
	},
	"simulated kernel": func(_ *workshop, b *bundle.Bundle) error {
		l := &b.Loaders[len(b.Loaders)-1]
		_, err := simkernel.FromBundle(b, l.Scheme)
		return err
	},
	"simulated host": func(_ *workshop, b *bundle.Bundle) error {
		l := &b.Loaders[len(b.Loaders)-1]
		sim := simkernel.Loader{Scheme: l.Scheme, Insns: l.Insns, Blob: b.Blob, CtxSize: int(b.CtxSize)}
		if res := simkernel.Run(sim, simkernel.Options{}); res.Errno != 0 {
			return errors.New(res.Why)
		}
		return nil
	},
	"golden file": func(_ *workshop, b *bundle.Bundle) error {
		_, err := golden.Text(b)
		return err
	},
	"report": func(w *workshop, b *bundle.Bundle) error {
		return report.HTML(io.Discard, b, report.Options{Signers: []*x509.Certificate{w.id.Certificate}})
	},
	"inspect": func(_ *workshop, b *bundle.Bundle) error {
		_, err := signing.Summarize(b)
		return err
	},
	"sign": func(w *workshop, b *bundle.Bundle) error {
		return w.id.Sign(b, bundle.KindTest)
	},
	"bytes to sign": func(w *workshop, b *bundle.Bundle) error {
		dir := w.TempDir()
		err := signing.WriteTBS(dir, b)
		if left, _ := os.ReadDir(dir); err != nil && len(left) > 0 {
			w.Errorf("it failed and left %v", left)
		}
		return err
	},
	"attach": func(w *workshop, b *bundle.Bundle) error {
		a := &signing.Attacher{Certificate: w.id.Certificate, Kind: bundle.KindTest}
		return a.Attach(b, signatures(b))
	},
	"attach, of whatever scheme": func(w *workshop, b *bundle.Bundle) error {
		a := &signing.Attacher{Certificate: w.id.Certificate, Kind: bundle.KindTest, Partial: true}
		all := signatures(b)
		for i := range all {
			all[i].Scheme = 0
		}
		return a.Attach(b, all[len(all)-1:])
	},
	"signature": func(w *workshop, b *bundle.Bundle) error {
		l := &b.Loaders[len(b.Loaders)-1]
		return verify.CheckSignature(b, l, l.Signatures[0].CMS, w.id.Certificate)
	},
	"policy": func(w *workshop, b *bundle.Bundle) error {
		_, err := (&verify.Policy{Signers: []verify.Signer{{Certificate: w.id.Certificate}}}).Check(b)
		return err
	},
	"policy with an audit": func(w *workshop, b *bundle.Bundle) error {
		p := &verify.Policy{Signers: []verify.Signer{{Certificate: w.id.Certificate}}, MinimumAudit: verify.AuditProven}
		_, err := p.Check(b)
		return err
	},
	"policy that wants the scheme": func(w *workshop, b *bundle.Bundle) error {
		p := &verify.Policy{
			Signers: []verify.Signer{{Certificate: w.id.Certificate}}, Schemes: []bundle.Scheme{b.Loaders[len(b.Loaders)-1].Scheme},
		}
		_, err := p.Check(b)
		return err
	},
	"provenance": func(_ *workshop, b *bundle.Bundle) error {
		_, err := provenance.New(b, provenance.Build{})
		return err
	},
	"compile": func(w *workshop, b *bundle.Bundle) error {
		var schemes []bundle.Scheme
		for _, l := range b.Loaders {
			schemes = append(schemes, l.Scheme)
		}
		_, err := loader.Compile(w.object, loader.Options{Schemes: schemes})
		return err
	},
}

// failed returns the first finding that speaks against signing.
func failed(findings []audit.Finding) error {
	for _, f := range findings {
		if f.Severity == audit.Error {
			return errors.New(f.String())
		}
	}
	return nil
}

func TestUnknownScheme(t *testing.T) {
	w := newWorkshop(t)
	for name, use := range consumers {
		t.Run(name, func(t *testing.T) {
			w := &workshop{t, w.id, w.object}
			qt.Assert(t, qt.IsNil(use(w, w.good())), qt.Commentf("a good bundle"))
			for how, b := range w.posing() {
				err := use(w, b)
				qt.Assert(t, qt.IsNotNil(err), qt.Commentf("%s", how))
				qt.Check(t, qt.StringContains(err.Error(), unknown), qt.Commentf("%s", how))
			}
		})
	}
}

// The audit of what it does not know says so, and proves nothing.
func TestAuditRejects(t *testing.T) {
	w := newWorkshop(t)
	for how, b := range w.posing() {
		l := &b.Loaders[len(b.Loaders)-1]
		findings := audit.Audit(l.Scheme, binary.LittleEndian, l.Insns, b.Blob)
		qt.Assert(t, qt.HasLen(findings, 1), qt.Commentf("%s", how))
		qt.Check(t, qt.Equals(findings[0].ID, proof.UnknownScheme))
		qt.Check(t, qt.Equals(findings[0].Severity, audit.Error))
		qt.Check(t, qt.IsTrue(audit.Failed(audit.Bundle(b))))
	}
}

// No host has a loader of an unknown scheme run, whatever it does.
func TestNoScenarioRuns(t *testing.T) {
	w := newWorkshop(t)
	for how, b := range w.posing() {
		l := &b.Loaders[len(b.Loaders)-1]
		sim := simkernel.Loader{Scheme: l.Scheme, Insns: l.Insns, Blob: b.Blob, CtxSize: int(b.CtxSize)}
		for _, s := range simkernel.Scenarios {
			res := simkernel.Run(sim, simkernel.Options{Scenario: s})
			qt.Check(t, qt.Equals(res.Errno, simkernel.EOPNOTSUPP), qt.Commentf("%s: %s", how, s))
			qt.Check(t, qt.HasLen(res.Maps, 0))
		}
	}
}

// A file with a loader of an unknown scheme is not a bundle to any tool: they all read it with Decode.
func TestDecode(t *testing.T) {
	w := newWorkshop(t)
	b := w.good()
	b.Loaders = b.Loaders[1:]
	data, err := bundle.Encode(b)
	qt.Assert(t, qt.IsNil(err))
	// The item of a loader: a map of 3 pairs, key 1 (the scheme), its number, key 2 (the instructions), a string of two or
	// four bytes' length.
	at := -1
	for i := 0; i+4 < len(data); i++ {
		if data[i] == 0xa3 && data[i+1] == 1 && data[i+2] == byte(b.Loaders[0].Scheme) && data[i+3] == 2 && data[i+4]&^3 == 0x58 {
			qt.Assert(t, qt.Equals(at, -1), qt.Commentf("two places look like a loader"))
			at = i + 2
		}
	}
	qt.Assert(t, qt.Not(qt.Equals(at, -1)))
	data[at] = byte(third)
	_, err = bundle.Decode(data)
	qt.Check(t, qt.ErrorIs(err, bundle.ErrMalformed))
	qt.Check(t, qt.ErrorIs(err, bundle.ErrUnknownScheme))
}

// Files that name an unknown scheme, by a name or as String prints it, are refused.
func TestNames(t *testing.T) {
	w := newWorkshop(t)
	dir := t.TempDir()
	qt.Assert(t, qt.IsNil(signing.WriteTBS(dir, w.good())))
	manifest := filepath.Join(dir, signing.ManifestName)
	data, err := os.ReadFile(manifest)
	qt.Assert(t, qt.IsNil(err))
	for _, name := range []string{"third", third.String(), "", "Payload", "map-hash,payload"} {
		_, err := bundle.ParseScheme(name)
		qt.Check(t, qt.ErrorIs(err, bundle.ErrUnknownScheme), qt.Commentf("%q", name))

		const was = `"scheme": "payload"`
		qt.Assert(t, qt.StringContains(string(data), was))
		changed := strings.Replace(string(data), was, `"scheme": "`+name+`"`, 1)
		qt.Assert(t, qt.IsNil(os.WriteFile(manifest, []byte(changed), 0o644)))
		_, err = signing.ReadManifest(manifest)
		qt.Check(t, qt.ErrorIs(err, bundle.ErrUnknownScheme), qt.Commentf("manifest with %q", name))
		_, err = w.id.SignTBS(dir, dir)
		qt.Check(t, qt.ErrorIs(err, bundle.ErrUnknownScheme), qt.Commentf("sign-tbs with %q", name))

		policy := `{"version": 1, "signers": [{"certificate": "cert.der"}], "schemes": ["` + name + `"]}`
		qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(dir, "cert.der"), w.id.Certificate.Raw, 0o644)))
		_, err = verify.ParsePolicy([]byte(policy), dir)
		qt.Check(t, qt.ErrorIs(err, bundle.ErrUnknownScheme), qt.Commentf("policy with %q", name))
	}
}
