// Package verify checks signed bundles before they go to a host: offline, without a kernel, against the certificates,
// chains and rules that a deployer trusts. It rejects every bundle whose signature the kernel would reject.
//
// The converse is not true: the kernel knows a keyring, and nothing of kinds, validity or policy. So check bundles with
// this package before you deploy them, and keep only the keys you trust in the keyring.
package verify

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/signature"
)

// What Check can find.
var (
	// ErrUnsigned: a loader has no signature.
	ErrUnsigned = errors.New("not signed")
	// ErrUntrusted: a loader has signatures, and none is by a trusted signer.
	ErrUntrusted = errors.New("not signed by a trusted key")
	// ErrChain: a signer's certificate does not lead to a trusted root.
	ErrChain = errors.New("the signer's certificate does not lead to a trusted root")
	// ErrKind: the signer's key is not of an allowed kind, or not of the kind that the bundle says.
	ErrKind = errors.New("kind of key not allowed")
	// ErrScheme: a scheme is wanted that the bundle has no loader for.
	ErrScheme = signature.ErrScheme
	// ErrHash: the digest algorithm is not an allowed one.
	ErrHash = errors.New("digest algorithm not allowed")
	// ErrBlob: the signature of the instructions is good, and they check another blob than the bundle's.
	ErrBlob = signature.ErrBlob
	// ErrContract: the bundle's contract, which says what its loaders make, is not the one that is signed.
	ErrContract = bundle.ErrContract
	// ErrOtherScheme: the signature is good, but it was made for the other scheme's bytes.
	ErrOtherScheme = signature.ErrOtherScheme
)

// What can be wrong with a certificate or a signature.
var (
	ErrUnknownScheme    = bundle.ErrUnknownScheme
	ErrNoKeyID          = cms.ErrNoKeyID
	ErrKeyUsage         = cms.ErrKeyUsage
	ErrExtKeyUsage      = cms.ErrExtKeyUsage
	ErrExpired          = cms.ErrExpired
	ErrNotYetValid      = cms.ErrNotYetValid
	ErrUnsupportedKey   = cms.ErrUnsupportedKey
	ErrMalformed        = cms.ErrMalformed
	ErrTruncated        = cms.ErrTruncated
	ErrPSS              = cms.ErrPSS
	ErrWrongCertificate = cms.ErrWrongCertificate
	ErrWrongBytes       = cms.ErrWrongBytes
	ErrBadSignature     = cms.ErrBadSignature
)

// Signer is a certificate that may sign.
type Signer struct {
	Certificate *x509.Certificate
	// Kind is what the key is for; bundles that say otherwise are refused. Empty: as the bundle says.
	Kind bundle.Kind
}

// Policy is what a deployer trusts. Its zero value trusts nobody.
type Policy struct {
	// Signers may sign. One of them must have signed each loader of a bundle.
	Signers []Signer
	// Roots, if there are any, are what each signer's certificate must lead to, through Intermediates.
	Roots, Intermediates []*x509.Certificate
	// Kinds are the kinds of keys that are allowed; empty: all.
	Kinds []bundle.Kind
	// Schemes must all be in the bundle; empty: those that it has.
	Schemes []bundle.Scheme
	// Hashes are the digest algorithms that are allowed; empty: SHA-256, SHA-384 and SHA-512.
	Hashes []crypto.Hash
	// MinimumAudit is what must be proven of the loaders.
	MinimumAudit Audit
	// Time is when the certificates must be valid; zero: now.
	Time time.Time
}

// Report says what Check found in a bundle.
type Report struct {
	// Signatures are all signatures, in the bundle's order.
	Signatures []Signature
}

// Signature is one signature of one loader.
type Signature struct {
	Scheme bundle.Scheme
	KeyID  []byte
	Kind   bundle.Kind
	// Signer is who made it: it is nil for keys that the policy does not know, whose signatures are not looked at.
	Signer *x509.Certificate
}

// Check returns nil if the bundle's contract is the one that is signed, each loader of the bundle has a signature by one of
// the policy's signers that holds, and no signature that claims to be by one of them does not. The report is returned with an
// error as well.
func (p *Policy) Check(b *bundle.Bundle) (*Report, error) {
	report := new(Report)
	if err := b.CheckContract(); err != nil {
		return report, err
	}
	for _, s := range p.Signers {
		if err := p.checkSigner(s.Certificate); err != nil {
			return report, fmt.Errorf("certificate %s: %w", name(s.Certificate), err)
		}
	}
	for _, s := range p.Schemes {
		if b.Loader(s) == nil {
			return report, fmt.Errorf("%w: no loader for %v", ErrScheme, s)
		}
	}
	var errs []error
	for i := range b.Loaders {
		if err := p.checkLoader(b, &b.Loaders[i], report); err != nil {
			errs = append(errs, fmt.Errorf("%v loader: %w", b.Loaders[i].Scheme, err))
		}
	}
	if err := p.MinimumAudit.check(b); err != nil {
		errs = append(errs, err)
	}
	return report, errors.Join(errs...)
}

// checkLoader is Check for one loader.
func (p *Policy) checkLoader(b *bundle.Bundle, l *bundle.Loader, report *Report) error {
	if _, err := l.Scheme.Attestation(); err != nil {
		return err
	}
	if len(l.Signatures) == 0 {
		return ErrUnsigned
	}
	var errs []error
	trusted := false
	for _, s := range l.Signatures {
		signer := p.signer(s.KeyID)
		found := Signature{Scheme: l.Scheme, KeyID: s.KeyID, Kind: s.Kind}
		if signer != nil {
			found.Signer = signer.Certificate
			trusted = true
			if err := p.checkSignature(b, l, s, signer); err != nil {
				errs = append(errs, fmt.Errorf("signature by %s: %w", name(signer.Certificate), err))
			}
		}
		report.Signatures = append(report.Signatures, found)
	}
	if !trusted {
		return fmt.Errorf("%w: it is signed by %s (trusted: %s)", ErrUntrusted, keyIDs(l.Signatures), p.names())
	}
	return errors.Join(errs...)
}

// checkSignature is Check for one signature that says that it is by a signer.
func (p *Policy) checkSignature(b *bundle.Bundle, l *bundle.Loader, s bundle.Signature, signer *Signer) error {
	if err := CheckSignature(b, l, s.CMS, signer.Certificate); err != nil {
		return err
	}
	if signer.Kind != "" && signer.Kind != s.Kind {
		return fmt.Errorf("%w: the bundle says that it is a %s key, the policy says %s", ErrKind, s.Kind, signer.Kind)
	}
	if len(p.Kinds) > 0 && !slices.Contains(p.Kinds, s.Kind) {
		return fmt.Errorf("%w: %q (allowed: %q)", ErrKind, s.Kind, p.Kinds)
	}
	return p.checkHash(s.CMS)
}

// checkHash returns why a signature's digest algorithm is not allowed.
func (p *Policy) checkHash(der []byte) error {
	if len(p.Hashes) == 0 {
		return nil
	}
	sd, err := cms.Parse(der)
	if err != nil {
		return err
	}
	if !slices.Contains(p.Hashes, sd.Hash) {
		return fmt.Errorf("%w: %v", ErrHash, sd.Hash)
	}
	return nil
}

// checkSigner returns why a certificate may not sign.
func (p *Policy) checkSigner(cert *x509.Certificate) error {
	now := p.Time
	if now.IsZero() {
		now = time.Now()
	}
	if err := cms.CheckCertificate(cert, now); err != nil {
		return err
	}
	if len(p.Roots) == 0 {
		return nil
	}
	_, err := cert.Verify(x509.VerifyOptions{
		Roots:         pool(p.Roots),
		Intermediates: pool(p.Intermediates),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, // an issuer may forbid it, too
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	return nil
}

// signer returns the signer with a key id, or nil.
func (p *Policy) signer(keyID []byte) *Signer {
	for i := range p.Signers {
		if bytes.Equal(p.Signers[i].Certificate.SubjectKeyId, keyID) {
			return &p.Signers[i]
		}
	}
	return nil
}

// names lists the signers.
func (p *Policy) names() string {
	if len(p.Signers) == 0 {
		return "none"
	}
	var list []byte
	for i, s := range p.Signers {
		if i > 0 {
			list = append(list, ", "...)
		}
		list = append(list, name(s.Certificate)...)
	}
	return string(list)
}

// CheckSignature returns nil if der is the signature of b's loader l by the certificate's key. Otherwise the error says
// why, and has one of the errors above in its chain.
func CheckSignature(b *bundle.Bundle, l *bundle.Loader, der []byte, cert *x509.Certificate) error {
	return signature.Check(b, l, der, cert)
}

// pool returns certificates as the chain builder wants them.
func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// name names a certificate in errors.
func name(c *x509.Certificate) string {
	return fmt.Sprintf("%q (key %x)", c.Subject.CommonName, c.SubjectKeyId)
}

// keyIDs names the keys of signatures in errors.
func keyIDs(signatures []bundle.Signature) string {
	var list []byte
	for i, s := range signatures {
		if i > 0 {
			list = append(list, ", "...)
		}
		list = fmt.Appendf(list, "key %x", s.KeyID)
	}
	return string(list)
}
