package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-quicktest/qt"
)

// testKey is a signer with its certificate.
type testKey struct {
	name   string
	signer crypto.Signer
	cert   *x509.Certificate
}

// message is what the tests sign, testdata/message.
var message = []byte("instructions and blob of a loader\n")

func sum(h crypto.Hash, data []byte) []byte {
	d := h.New()
	d.Write(data)
	return d.Sum(nil)
}

// testKeys are one key of each supported type. The first is the RSA key that made testdata's signatures, the second an
// ECDSA key that does not change either.
func testKeys(t *testing.T) []testKey {
	keys := []testKey{loadKey(t, "rsa"), loadKey(t, "ecdsa")}
	return append(keys, newKeys()...)
}

// newKeys makes keys once a process: RSA keys take their time.
var newKeys = sync.OnceValue(func() []testKey {
	keys := []testKey{
		{"rsa-3072", must(rsa.GenerateKey(rand.Reader, 3072)), nil},
		{"rsa-4096", must(rsa.GenerateKey(rand.Reader, 4096)), nil},
		{"ecdsa-p384", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), nil},
	}
	for i := range keys {
		keys[i].cert = certify(keys[i].signer, nil)
	}
	return keys
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// loadKey reads a key of signtool's tests.
func loadKey(t testing.TB, name string) testKey {
	t.Helper()
	dir := filepath.Join("..", "..", "tools", "signtool", "testdata")
	data, err := os.ReadFile(filepath.Join(dir, "test_key_"+name+".pem"))
	qt.Assert(t, qt.IsNil(err))
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	qt.Assert(t, qt.IsNil(err))
	data, err = os.ReadFile(filepath.Join(dir, "test_cert_"+name+".der"))
	qt.Assert(t, qt.IsNil(err))
	cert, err := x509.ParseCertificate(data)
	qt.Assert(t, qt.IsNil(err))
	return testKey{name, key.(crypto.Signer), cert}
}

// certify returns a fit certificate, or one that change makes unfit.
func certify(signer crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	id := sha1.Sum(must(x509.MarshalPKIXPublicKey(signer.Public())))
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		SubjectKeyId:          id[:],
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer))))
}

// The bytes are those that openssl made with the same key (see testdata/README.md).
func TestSignGolden(t *testing.T) {
	key := loadKey(t, "rsa")
	for _, d := range digests {
		t.Run(HashName(d.hash), func(t *testing.T) {
			want, err := os.ReadFile("testdata/openssl_rsa_" + HashName(d.hash) + ".der")
			qt.Assert(t, qt.IsNil(err))
			got, err := Sign(key.signer, key.cert, d.hash, sum(d.hash, message))
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.IsTrue(bytes.Equal(got, want)), qt.Commentf("got  %x\nwant %x", got, want))
		})
	}
}

// What bpftool -S signs holds: the instructions in 7.2, instructions and map in 7.3 (see testdata/README.md).
func TestVerifyBpftools(t *testing.T) {
	for _, c := range []struct{ key, version string }{{"rsa", "7.2"}, {"ecdsa", "7.3"}} {
		t.Run(c.version, func(t *testing.T) {
			name := "testdata/bpftool_" + c.key + "_" + c.version
			der, err := os.ReadFile(name + ".der")
			qt.Assert(t, qt.IsNil(err))
			tbs, err := os.ReadFile(name + ".tbs")
			qt.Assert(t, qt.IsNil(err))
			s, err := Parse(der)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.IsNil(s.Verify(loadKey(t, c.key).cert, tbs)))
		})
	}
}

// ECDSA signatures are deterministic: the same in every process.
func TestSignGoldenECDSA(t *testing.T) {
	key := loadKey(t, "ecdsa")
	want, err := os.ReadFile("testdata/ours_ecdsa_sha256.der")
	qt.Assert(t, qt.IsNil(err))
	got, err := Sign(key.signer, key.cert, crypto.SHA256, sum(crypto.SHA256, message))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(bytes.Equal(got, want)), qt.Commentf("got  %x\nwant %x", got, want))
}

func TestSignParseVerify(t *testing.T) {
	eachKey(t, func(t *testing.T, signer crypto.Signer, cert *x509.Certificate, hash crypto.Hash) {
		der, err := Sign(signer, cert, hash, sum(hash, message))
		qt.Assert(t, qt.IsNil(err))
		s, err := Parse(der)
		qt.Assert(t, qt.IsNil(err))
		algorithm, err := KeyAlgorithm(cert.PublicKey)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(s.Algorithm, algorithm))
		qt.Assert(t, qt.Equals(s.Hash, hash))
		qt.Assert(t, qt.DeepEquals(s.KeyID, cert.SubjectKeyId))
		qt.Assert(t, qt.IsNil(s.Verify(cert, message)))
		again, err := Assemble(cert, hash, s.Signature)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.DeepEquals(again, der))
	})
}

// otherSigner is a signer with a mind of its own.
type otherSigner struct {
	crypto.Signer
	sign func(digest []byte, hash crypto.Hash) ([]byte, error)
}

func (s otherSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(digest, opts.HashFunc())
}

// pss signs as a key management service does that only knows RSA-PSS.
func pss(k crypto.Signer) otherSigner {
	return otherSigner{k, func(digest []byte, hash crypto.Hash) ([]byte, error) {
		return rsa.SignPSS(rand.Reader, k.(*rsa.PrivateKey), hash, digest, nil)
	}}
}

// p1363 signs as PKCS#11 modules do: r and s side by side.
func p1363(k crypto.Signer) otherSigner {
	return otherSigner{k, func(digest []byte, hash crypto.Hash) ([]byte, error) {
		der, err := k.Sign(rand.Reader, digest, hash)
		if err != nil {
			return nil, err
		}
		var v struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &v); err != nil {
			return nil, err
		}
		raw := make([]byte, 64)
		v.R.FillBytes(raw[:32])
		v.S.FillBytes(raw[32:])
		return raw, nil
	}}
}

func TestSignErrors(t *testing.T) {
	var (
		rsaKey, ecKey = loadKey(t, "rsa"), loadKey(t, "ecdsa")
		bare          = certify(rsaKey.signer, func(c *x509.Certificate) { c.SubjectKeyId = nil })
		_, edKey, _   = ed25519.GenerateKey(rand.Reader)
		edCert        = certify(edKey, nil)
		broken        = errors.New("token not present")
	)
	for _, c := range []struct {
		name   string
		signer crypto.Signer
		cert   *x509.Certificate
		hash   crypto.Hash
		want   error
	}{
		{"key of another certificate", ecKey.signer, rsaKey.cert, crypto.SHA256, ErrKeyMismatch},
		{"SHA-1", rsaKey.signer, rsaKey.cert, crypto.SHA1, ErrUnsupportedHash},
		{"SHA-224", rsaKey.signer, rsaKey.cert, crypto.SHA224, ErrUnsupportedHash},
		{"no SubjectKeyIdentifier", rsaKey.signer, bare, crypto.SHA256, ErrNoKeyID},
		{"Ed25519", edKey, edCert, crypto.SHA512, ErrUnsupportedKey},
		{"PSS", pss(rsaKey.signer), rsaKey.cert, crypto.SHA256, ErrPSS},
		{"r and s side by side", p1363(ecKey.signer), ecKey.cert, crypto.SHA256, ErrBadSignature},
		{"garbage", otherSigner{ecKey.signer, func([]byte, crypto.Hash) ([]byte, error) { return []byte("hello"), nil }}, ecKey.cert, crypto.SHA256, ErrBadSignature},
		{"signs other bytes", otherSigner{rsaKey.signer, func(d []byte, h crypto.Hash) ([]byte, error) {
			return rsaKey.signer.Sign(rand.Reader, sum(h, d), h)
		}}, rsaKey.cert, crypto.SHA256, ErrWrongBytes},
		{"token fails", otherSigner{rsaKey.signer, func([]byte, crypto.Hash) ([]byte, error) { return nil, broken }}, rsaKey.cert, crypto.SHA256, broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := sha512.New() // any digest of the right length does
			h.Write(message)
			der, err := Sign(c.signer, c.cert, c.hash, h.Sum(nil)[:c.hash.Size()])
			qt.Assert(t, qt.ErrorIs(err, c.want))
			qt.Assert(t, qt.HasLen(der, 0))
		})
	}
}

func TestAssembleErrors(t *testing.T) {
	key := loadKey(t, "rsa")
	weakKey := must(x509.ParsePKCS1PrivateKey(weak(t)))
	_, err := Assemble(certify(key.signer, func(c *x509.Certificate) { c.SubjectKeyId = nil }), crypto.SHA256, []byte{1})
	qt.Check(t, qt.ErrorIs(err, ErrNoKeyID))
	_, err = Assemble(key.cert, crypto.MD5, []byte{1})
	qt.Check(t, qt.ErrorIs(err, ErrUnsupportedHash))
	_, err = Assemble(certify(weakKey, nil), crypto.SHA256, []byte{1})
	qt.Check(t, qt.ErrorIs(err, ErrUnsupportedKey))
}

// weak returns an RSA key of 1024 bits, in PKCS#1.
func weak(t *testing.T) []byte {
	t.Setenv("GODEBUG", "rsa1024min=0")
	return x509.MarshalPKCS1PrivateKey(must(rsa.GenerateKey(rand.Reader, 1024)))
}

func TestVerifyErrors(t *testing.T) {
	var (
		rsaKey, ecKey, other = loadKey(t, "rsa"), loadKey(t, "ecdsa"), newKeys()[0]
		sameID               = func(k, of testKey) *x509.Certificate {
			return certify(k.signer, func(c *x509.Certificate) { c.SubjectKeyId = of.cert.SubjectKeyId })
		}
		sign = func(k testKey) []byte {
			return must(Sign(k.signer, k.cert, crypto.SHA256, sum(crypto.SHA256, message)))
		}
		raw = func(k testKey, s crypto.Signer) []byte {
			value := must(s.Sign(rand.Reader, sum(crypto.SHA256, message), crypto.SHA256))
			return must(Assemble(k.cert, crypto.SHA256, value))
		}
	)
	for _, c := range []struct {
		name    string
		der     []byte
		cert    *x509.Certificate
		message []byte
		want    error
	}{
		{"RSA, good", sign(rsaKey), rsaKey.cert, message, nil},
		{"ECDSA, good", sign(ecKey), ecKey.cert, message, nil},
		{"RSA, wrong bytes", sign(rsaKey), rsaKey.cert, message[1:], ErrWrongBytes},
		{"ECDSA, wrong bytes", sign(ecKey), ecKey.cert, message[1:], ErrBadSignature},
		{"wrong certificate", sign(rsaKey), other.cert, message, ErrWrongCertificate},
		{"another key with the same id", sign(other), certify(rsaKey.signer, func(c *x509.Certificate) { c.SubjectKeyId = other.cert.SubjectKeyId }), message, ErrBadSignature},
		{"another type of key with the same id", sign(rsaKey), sameID(ecKey, rsaKey), message, ErrWrongCertificate},
		{"certificate without key id", sign(rsaKey), certify(rsaKey.signer, func(c *x509.Certificate) { c.SubjectKeyId = nil }), message, ErrNoKeyID},
		{"PSS under the name of PKCS#1 v1.5", raw(rsaKey, pss(rsaKey.signer)), rsaKey.cert, message, ErrPSS},
		{"r and s side by side", raw(ecKey, p1363(ecKey.signer)), ecKey.cert, message, ErrBadSignature},
		{"digest by another algorithm", must(Assemble(rsaKey.cert, crypto.SHA384, must(rsaKey.signer.Sign(rand.Reader, sum(crypto.SHA256, message), crypto.SHA256)))), rsaKey.cert, message, ErrBadSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.der)
			qt.Assert(t, qt.IsNil(err))
			err = s.Verify(c.cert, c.message)
			if c.want == nil {
				qt.Assert(t, qt.IsNil(err))
				return
			}
			qt.Assert(t, qt.ErrorIs(err, c.want))
		})
	}
}

func TestParseTruncatedAndTrailing(t *testing.T) {
	der, err := os.ReadFile("testdata/openssl_rsa_sha256.der")
	qt.Assert(t, qt.IsNil(err))
	for n := range der {
		_, err := Parse(der[:n])
		qt.Assert(t, qt.ErrorIs(err, ErrTruncated), qt.Commentf("%d bytes", n))
		qt.Assert(t, qt.ErrorIs(err, ErrMalformed))
	}
	_, err = Parse(append(bytes.Clone(der), 0))
	qt.Check(t, qt.ErrorIs(err, ErrTrailing))
	_, err = Parse(make([]byte, MaxSize+1))
	qt.Check(t, qt.ErrorIs(err, ErrMalformed))
	_, err = Parse([]byte("-----BEGIN CMS-----"))
	qt.Check(t, qt.ErrorIs(err, ErrPEM))
	_, err = Parse([]byte("garbage"))
	qt.Check(t, qt.ErrorIs(err, ErrNotDER))
}

// No single byte of a signature can be changed.
func TestFlip(t *testing.T) {
	for _, key := range testKeys(t)[:2] {
		der, err := Sign(key.signer, key.cert, crypto.SHA256, sum(crypto.SHA256, message))
		qt.Assert(t, qt.IsNil(err))
		for i := range der {
			for bit := range 8 {
				changed := bytes.Clone(der)
				changed[i] ^= 1 << bit
				s, err := Parse(changed)
				if err == nil {
					err = s.Verify(key.cert, message)
				}
				qt.Assert(t, qt.IsNotNil(err), qt.Commentf("%s: bit %d of byte %d", key.name, bit, i))
			}
		}
	}
}

// extUsage sets what a certificate's extended key usage allows.
func extUsage(usages ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
}

func TestCheckCertificate(t *testing.T) {
	key := loadKey(t, "rsa")
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	qt.Assert(t, qt.IsNil(err))
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		signer crypto.Signer
		change func(*x509.Certificate)
		want   []error
	}{
		{"fit", key.signer, nil, nil},
		{"no SubjectKeyIdentifier", key.signer, func(c *x509.Certificate) { c.SubjectKeyId = nil }, []error{ErrNoKeyID}},
		{"no key usage", key.signer, func(c *x509.Certificate) { c.KeyUsage = 0 }, []error{ErrKeyUsage}},
		{"other key usage", key.signer, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, []error{ErrKeyUsage}},
		{"for code", key.signer, extUsage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageCodeSigning), nil},
		{"for anything", key.signer, extUsage(x509.ExtKeyUsageAny), nil},
		{"for servers", key.signer, extUsage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth), []error{ErrExtKeyUsage}},
		{"for a private purpose", key.signer, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 2312, 16, 1, 2}}
		}, []error{ErrExtKeyUsage}},
		{"for a private purpose and code", key.signer, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 2312, 16, 1, 2}}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		}, nil},
		{"expired", key.signer, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, []error{ErrExpired}},
		{"not valid yet", key.signer, func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, []error{ErrNotYetValid}},
		{"Ed25519", edKey, nil, []error{ErrUnsupportedKey}},
		{"P-521", must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), nil, []error{ErrUnsupportedKey}},
		{"RSA-1024", must(x509.ParsePKCS1PrivateKey(weak(t))), nil, []error{ErrUnsupportedKey}},
		{"all at once", key.signer, func(c *x509.Certificate) {
			c.SubjectKeyId, c.KeyUsage, c.NotAfter = nil, 0, now.Add(-time.Second)
		}, []error{ErrNoKeyID, ErrKeyUsage, ErrExpired}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckCertificate(certify(c.signer, c.change), now)
			if c.want == nil {
				qt.Assert(t, qt.IsNil(err))
			}
			for _, want := range c.want {
				qt.Assert(t, qt.ErrorIs(err, want))
			}
		})
	}
}

func TestParseHash(t *testing.T) {
	for _, name := range []string{"sha256", "sha384", "sha512"} {
		h, err := ParseHash(name)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(HashName(h), name))
	}
	_, err := ParseHash("sha1")
	qt.Assert(t, qt.ErrorIs(err, ErrUnsupportedHash))
}
