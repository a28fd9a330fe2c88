package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/signature"
)

// Identity is who signs: a key and its certificate.
type Identity struct {
	Signer      crypto.Signer
	Certificate *x509.Certificate
	// Hash is the digest algorithm of the signatures.
	Hash crypto.Hash
}

// Check returns why the identity may not sign at a time: see cms.CheckCertificate and cms.CheckPair.
func (id *Identity) Check(now time.Time) error {
	if err := cms.CheckCertificate(id.Certificate, now); err != nil {
		return err
	}
	if err := cms.CheckPair(id.Signer.Public(), id.Certificate); err != nil {
		return err
	}
	return cms.CheckHash(id.Hash)
}

// Sign adds the identity's signature to each of the bundle's loaders, in the place of an earlier one by the same key. It
// changes all of them or, with an error, none. The kind is what the key is for.
func (id *Identity) Sign(b *bundle.Bundle, kind bundle.Kind) error {
	if err := b.CheckContract(); err != nil {
		return err
	}
	values, errs := make([][]byte, len(b.Loaders)), make([]error, len(b.Loaders))
	sign := func(i int) {
		var tbs []byte
		if tbs, errs[i] = b.SignedBytes(&b.Loaders[i]); errs[i] != nil {
			return
		}
		h := id.Hash.New()
		h.Write(tbs)
		values[i], errs[i] = cms.Sign(id.Signer, id.Certificate, id.Hash, h.Sum(nil))
	}
	switch id.Signer.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		// An RSA signature takes longer than all else that signing does.
		var all sync.WaitGroup
		for i := range b.Loaders {
			all.Go(func() { sign(i) })
		}
		all.Wait()
	default: // a token or a service, which may not do two things at a time
		for i := range b.Loaders {
			if sign(i); errs[i] != nil {
				break
			}
		}
	}
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%v loader: %w", b.Loaders[i].Scheme, err)
		}
	}
	for i := range b.Loaders {
		signature.Put(&b.Loaders[i], bundle.Signature{KeyID: id.Certificate.SubjectKeyId, Kind: kind, CMS: values[i]})
	}
	return nil
}
