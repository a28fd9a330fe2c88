package signing

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/signature"
)

// Attachment is a signature that was made elsewhere.
type Attachment struct {
	// File names it in errors.
	File string
	// Scheme is the loader's that it is for, 0 to find out.
	Scheme bundle.Scheme
	// Data is the signature: CMS in DER, or a raw value.
	Data []byte
}

// Attacher puts signatures into bundles that were made elsewhere, in a ceremony, of the same bytes.
type Attacher struct {
	Certificate *x509.Certificate
	Kind        bundle.Kind
	// Raw says that signatures are raw values over digests by this algorithm, as hardware modules give them; 0: CMS.
	Raw crypto.Hash
	// Manifest, if there is one, was written with the bytes that were signed: it tells which input has changed since.
	Manifest *Manifest
	// Partial allows loaders without a signature by the certificate's key.
	Partial bool
}

// Attach adds the signatures, each after verifying that it is of the bundle's own bytes by the certificate's key. It
// adds all or, with an error, none.
func (a *Attacher) Attach(b *bundle.Bundle, attachments []Attachment) error {
	if err := b.CheckContract(); err != nil {
		return err
	}
	signatures := make(map[bundle.Scheme][]byte)
	for _, at := range attachments {
		scheme, der, err := a.match(b, at)
		if err != nil {
			return fmt.Errorf("%s: %w", at.File, err)
		}
		if signatures[scheme] != nil {
			return fmt.Errorf("%s: a second signature for the %v loader", at.File, scheme)
		}
		signatures[scheme] = der
	}
	keyID := a.Certificate.SubjectKeyId
	for i := range b.Loaders {
		l := &b.Loaders[i]
		if _, err := l.Scheme.Attestation(); err != nil {
			return err
		}
		if !a.Partial && signatures[l.Scheme] == nil && !signature.Has(l, keyID) {
			return fmt.Errorf("no signature for the %v loader: such kernels would refuse it", l.Scheme)
		}
	}
	for i := range b.Loaders {
		l := &b.Loaders[i]
		if der := signatures[l.Scheme]; der != nil {
			signature.Put(l, bundle.Signature{KeyID: keyID, Kind: a.Kind, CMS: der})
		}
	}
	return nil
}

// match returns which loader a signature is of, and its CMS form.
func (a *Attacher) match(b *bundle.Bundle, at Attachment) (bundle.Scheme, []byte, error) {
	der := at.Data
	if a.Raw != 0 {
		var err error
		if der, err = cms.Assemble(a.Certificate, a.Raw, at.Data); err != nil {
			return 0, nil, err
		}
	}
	if at.Scheme != 0 {
		l := b.Loader(at.Scheme)
		if l == nil {
			return 0, nil, fmt.Errorf("%w: the bundle has no loader for %v", signature.ErrScheme, at.Scheme)
		}
		err := signature.Check(b, l, der, a.Certificate)
		return at.Scheme, der, a.explain(b, der, err)
	}
	var err error
	for i := range b.Loaders {
		l := &b.Loaders[i]
		if err = signature.Check(b, l, der, a.Certificate); err == nil {
			return l.Scheme, der, nil
		}
		if errors.Is(err, signature.ErrBlob) { // it is this loader's, and says why it is not good
			break
		}
	}
	return 0, nil, a.explain(b, der, err)
}

// explain adds to an error what the manifest tells about it.
func (a *Attacher) explain(b *bundle.Bundle, der []byte, err error) error {
	if !errors.Is(err, cms.ErrWrongBytes) && !errors.Is(err, cms.ErrBadSignature) && !errors.Is(err, signature.ErrBlob) {
		return err
	}
	if a.Manifest == nil {
		return fmt.Errorf("%w (-manifest with the manifest of what was signed tells which input has changed)", err)
	}
	sd, parseErr := cms.Parse(der)
	if parseErr != nil {
		return err
	}
	l := a.Manifest.signedBy(sd, a.Certificate)
	if l == nil {
		return fmt.Errorf("%w, and it is not of the manifest's bytes either", err)
	}
	changes, changesErr := a.Manifest.changes(b)
	if changesErr != nil {
		return changesErr
	}
	if len(changes) == 0 {
		return fmt.Errorf("%w: it is for the %s loader", signature.ErrOtherScheme, l.Scheme)
	}
	return fmt.Errorf("%w: it is a good signature of the %s bytes in the manifest, and since then this has changed: %s",
		cms.ErrWrongBytes, l.Scheme, strings.Join(changes, "; "))
}
