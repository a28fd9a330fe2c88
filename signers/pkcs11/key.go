package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
)

// key is a private key in a token.
type key struct {
	module  *pkcs11.Ctx
	session pkcs11.SessionHandle
	object  pkcs11.ObjectHandle
	uri     *uri
}

// open opens a session with the token, and finds the key.
func open(u *uri, pin string) (_ *key, err error) {
	k := &key{module: pkcs11.New(u.modulePath), uri: u}
	if k.module == nil {
		return nil, fmt.Errorf("the PKCS#11 module %s cannot be loaded", u.modulePath)
	}
	if err := k.module.Initialize(); err != nil {
		k.module.Destroy()
		return nil, fmt.Errorf("initialize the PKCS#11 module %s: %w", u.modulePath, err)
	}
	defer func() {
		if err != nil {
			k.close()
		}
	}()
	slot, err := k.findSlot()
	if err != nil {
		return nil, err
	}
	if k.session, err = k.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION); err != nil {
		return nil, fmt.Errorf("open a session with the token: %w", err)
	}
	if pin != "" {
		err := k.module.Login(k.session, pkcs11.CKU_USER, pin)
		if err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
			return nil, fmt.Errorf("log in to the token: %w", err)
		}
	}
	if k.object, err = k.find(pkcs11.CKO_PRIVATE_KEY); err != nil {
		if pin == "" {
			err = fmt.Errorf("%w (there is no PIN: use pin-source in the URI, or the environment variable %s)", err, variablePIN)
		}
		return nil, err
	}
	return k, nil
}

// close ends the session and unloads the module.
func (k *key) close() {
	if k.session != 0 {
		_ = k.module.CloseSession(k.session) // Finalize does it anyway
	}
	_ = k.module.Finalize()
	k.module.Destroy()
}

// findSlot returns the slot of the one token that the URI names.
func (k *key) findSlot() (uint, error) {
	slots, err := k.module.GetSlotList(true)
	if err != nil {
		return 0, fmt.Errorf("list the tokens: %w", err)
	}
	var found []uint
	for _, slot := range slots {
		info, err := k.module.GetTokenInfo(slot)
		if err != nil {
			continue // a token that was just taken out
		}
		if (k.uri.token == "" || k.uri.token == info.Label) &&
			(k.uri.serial == "" || k.uri.serial == info.SerialNumber) &&
			(k.uri.slot == nil || *k.uri.slot == slot) &&
			info.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0 {
			found = append(found, slot)
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("%d tokens of %d match the PKCS#11 URI, want one: token %q, serial %q", len(found), len(slots), k.uri.token, k.uri.serial)
	}
	return found[0], nil
}

// find returns the one object of a class that the URI names.
func (k *key) find(class uint) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if k.uri.object != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.uri.object))
	}
	if k.uri.id != nil {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, k.uri.id))
	}
	if err := k.module.FindObjectsInit(k.session, template); err != nil {
		return 0, fmt.Errorf("look for the key: %w", err)
	}
	objects, _, err := k.module.FindObjects(k.session, 2)
	if errFinal := k.module.FindObjectsFinal(k.session); err == nil {
		err = errFinal
	}
	if err != nil {
		return 0, fmt.Errorf("look for the key: %w", err)
	}
	switch len(objects) {
	case 0:
		return 0, fmt.Errorf("no key in the token matches the PKCS#11 URI: object %q, id %x", k.uri.object, k.uri.id)
	case 1:
		return objects[0], nil
	}
	return 0, fmt.Errorf("several keys in the token match the PKCS#11 URI: object %q, id %x", k.uri.object, k.uri.id)
}

// digestInfo are the DER of DigestInfo (RFC 8017, section 9.2, note 1) up to the digest itself, and the digest's size.
var digestInfo = map[string]struct {
	prefix []byte
	size   int
}{
	"sha256": {[]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, 32},
	"sha384": {[]byte{0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30}, 48},
	"sha512": {[]byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40}, 64},
}

// sign returns a signature and its encoding.
func (k *key) sign(req *request) (signature []byte, encoding string, err error) {
	info, ok := digestInfo[req.Hash]
	if !ok || len(req.Digest) != info.size {
		return nil, "", fmt.Errorf("a digest of %d bytes by %.40q", len(req.Digest), req.Hash)
	}
	var (
		mechanism uint
		message   = req.Digest
	)
	switch req.Algorithm {
	case "rsa-pkcs1v15":
		mechanism = pkcs11.CKM_RSA_PKCS
		message = append(bytes.Clone(info.prefix), req.Digest...)
	case "ecdsa":
		mechanism, encoding = pkcs11.CKM_ECDSA, "p1363"
	default:
		return nil, "", fmt.Errorf("unknown algorithm %.40q", req.Algorithm)
	}
	if err := k.module.SignInit(k.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, k.object); err != nil {
		return nil, "", fmt.Errorf("the token does not sign by %s: %w", req.Algorithm, err)
	}
	if signature, err = k.module.Sign(k.session, message); err != nil {
		return nil, "", fmt.Errorf("sign: %w", err)
	}
	return signature, encoding, nil
}

// public returns the public key that belongs to the private one, as SubjectPublicKeyInfo in DER.
func (k *key) public() ([]byte, error) {
	object, err := k.find(pkcs11.CKO_PUBLIC_KEY)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	// An attribute that the key's type does not have fails the call, so one at a time.
	get := func(attribute uint) []byte {
		a, err := k.module.GetAttributeValue(k.session, object, []*pkcs11.Attribute{pkcs11.NewAttribute(attribute, nil)})
		if err != nil || len(a) != 1 {
			return nil
		}
		return a[0].Value
	}
	if n, e := get(pkcs11.CKA_MODULUS), get(pkcs11.CKA_PUBLIC_EXPONENT); len(n) > 0 && len(e) > 0 && len(e) <= 4 {
		return x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())})
	}
	return ecPublic(get(pkcs11.CKA_EC_PARAMS), get(pkcs11.CKA_EC_POINT))
}

// curves are the named curves (RFC 5480, section 2.1.1.1) that rules_bpf signs on.
var curves = []struct {
	oid   asn1.ObjectIdentifier
	curve elliptic.Curve
}{
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, elliptic.P256()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 34}, elliptic.P384()},
}

// ecPublic returns an elliptic curve's public key of its PKCS#11 attributes: the curve's identifier, and an OCTET STRING
// of the point.
func ecPublic(params, point []byte) ([]byte, error) {
	var oid asn1.ObjectIdentifier
	var raw []byte
	if _, err := asn1.Unmarshal(params, &oid); err != nil {
		return nil, errors.New("the key is neither RSA nor ECDSA on a named curve")
	}
	if _, err := asn1.Unmarshal(point, &raw); err != nil {
		return nil, fmt.Errorf("the public key's point: %w", err)
	}
	for _, c := range curves {
		if !c.oid.Equal(oid) {
			continue
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(c.curve, raw)
		if err != nil {
			return nil, fmt.Errorf("the public key's point: %w", err)
		}
		return x509.MarshalPKIXPublicKey(pub)
	}
	return nil, fmt.Errorf("the key is on curve %v: use P-256 or P-384", oid)
}
