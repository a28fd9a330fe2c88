// Package contract_test changes every field of contracts, exchanges any two names, sections, pins and arenas, and expects that
// nobody acts on the result: neither offline nor when it is loaded.
//
// Before the contract was signed, all of this was the host's to choose. The exchange of two maps' names alone made a deny list an
// allow list: policy, audit and runtime.Load accepted the bundle, and what a program put into "deny" was allowed (H4 of the
// attacks that the project measured).
package contract_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/contract"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/golden"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/report"
	"github.com/rules-bpf/rules_bpf/verify"
)

// identity signs the bundles of these tests.
var identity = sync.OnceValue(func() *signing.Identity {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "contract tests"}, SubjectKeyId: []byte("0123456789abcdefghij"),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}
})

func policy() *verify.Policy {
	p := new(verify.Policy)
	p.AddSigner("", []*x509.Certificate{identity().Certificate})
	return p
}

// compiled returns a bundle of an object of internal/object/testdata, not signed.
func compiled(t *testing.T, name string, change func(*object.Object)) *bundle.Bundle {
	t.Helper()
	path := filepath.Join("..", "..", "internal", "object", "testdata", name+".bpf.o")
	raw, err := os.ReadFile(path)
	qt.Assert(t, qt.IsNil(err))
	obj, err := object.Parse(path, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	if change != nil {
		change(obj)
	}
	b, err := loader.Compile(obj, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	return b
}

func signed(t *testing.T, name string, change func(*object.Object)) *bundle.Bundle {
	t.Helper()
	b := compiled(t, name, change)
	qt.Assert(t, qt.IsNil(identity().Sign(b, bundle.KindProduction)))
	return b
}

var (
	mode = func() cbor.EncMode {
		m, err := cbor.CoreDetEncOptions().EncMode()
		if err != nil {
			panic(err)
		}
		return m
	}()
	magic = "rules_bpf bundle"
)

// write writes a bundle file and checks nothing: what an attacker does.
func write(t *testing.T, b *bundle.Bundle) []byte {
	t.Helper()
	data, err := mode.Marshal(struct {
		Format  string        `cbor:"1,keyasint"`
		Version uint          `cbor:"2,keyasint"`
		Bundle  bundle.Bundle `cbor:"3,keyasint"`
	}{magic, bundle.Version, *b})
	qt.Assert(t, qt.IsNil(err))
	return data
}

// rejects reports whether an error is one of those for a contract that is not the signed one, or that breaks the rules.
func rejects(err error) bool {
	return errors.Is(err, bundle.ErrContract) || errors.Is(err, bundle.ErrMalformed)
}

func errorOf[T any](_ T, err error) error { return err }

// readers are all that act offline on what a bundle says.
var readers = map[string]func(t *testing.T, b *bundle.Bundle) error{
	"Decode":        func(t *testing.T, b *bundle.Bundle) error { return errorOf(bundle.Decode(write(t, b))) },
	"Encode":        func(_ *testing.T, b *bundle.Bundle) error { return errorOf(bundle.Encode(b)) },
	"CheckContract": func(_ *testing.T, b *bundle.Bundle) error { return b.CheckContract() },
	"verify":        func(_ *testing.T, b *bundle.Bundle) error { return errorOf(policy().Check(b)) },
	"sign":          func(_ *testing.T, b *bundle.Bundle) error { return identity().Sign(copyOf(b), bundle.KindProduction) },
	"attach":        func(_ *testing.T, b *bundle.Bundle) error { return attacher().Attach(copyOf(b), nil) },
	"tbs": func(t *testing.T, b *bundle.Bundle) error {
		return signing.WriteTBS(filepath.Join(t.TempDir(), "x"), b)
	},
	"inspect":          func(_ *testing.T, b *bundle.Bundle) error { return errorOf(signing.Summarize(b)) },
	"words":            func(_ *testing.T, b *bundle.Bundle) error { return errorOf(contract.Summarize(b)) },
	"golden":           func(_ *testing.T, b *bundle.Bundle) error { return errorOf(golden.Text(b)) },
	"report":           func(_ *testing.T, b *bundle.Bundle) error { return report.HTML(new(bytes.Buffer), b, report.Options{}) },
	"simulated kernel": func(_ *testing.T, b *bundle.Bundle) error { return errorOf(simkernel.FromBundle(b, bundle.Payload)) },
	"audit": func(_ *testing.T, b *bundle.Bundle) error {
		if findings := audit.Bundle(b); !audit.Failed(findings) || findings[0].ID != audit.WrongContract {
			return nil
		}
		return bundle.ErrContract
	},
}

func attacher() *signing.Attacher {
	return &signing.Attacher{Certificate: identity().Certificate, Kind: bundle.KindProduction}
}

// small are objects that have together what a contract can say, and few enough parts to exchange any two of them.
var small = []string{"maps_of_maps", "structops", "arena", "ksyms", "data", "tailcalls", "core"}

// Whatever field is changed or exchanged, every reader rejects the bundle. The changes are made of the contract's own fields, so
// that a new field is tested as soon as it is there.
func TestEveryField(t *testing.T) {
	counts := map[string]int{}
	for _, name := range small {
		t.Run(name, func(t *testing.T) {
			b := signed(t, name, nil)
			for reader, read := range readers {
				qt.Assert(t, qt.IsNil(read(t, copyOf(b))), qt.Commentf("%s rejects a good bundle", reader))
			}
			for _, ch := range changesOf(&b.Contract) {
				changed := copyOf(b)
				ch.apply(&changed.Contract)
				if reflect.DeepEqual(changed.Contract, b.Contract) {
					t.Fatalf("%s changes nothing", ch.name)
				}
				counts[name]++
				for reader, read := range readers {
					if err := read(t, changed); !rejects(err) {
						t.Errorf("%s: %s accepts it: %v", ch.name, reader, err)
					}
				}
			}
		})
	}
	t.Logf("changes: %v", counts)
}

// With a digest that matches the changed contract, the blob is another one: no signature holds, under either scheme, and the loaders of
// scheme map-hash refuse the blob.
func TestMatchingDigest(t *testing.T) {
	for _, name := range small {
		t.Run(name, func(t *testing.T) {
			b := signed(t, name, nil)
			kept := 0
			for _, ch := range changesOf(&b.Contract) {
				changed := copyOf(b)
				ch.apply(&changed.Contract)
				qt.Assert(t, qt.IsNil(changed.Seal()))
				if changed.CheckContract() != nil {
					continue // it breaks the rules
				}
				kept++
				_, err := policy().Check(changed)
				qt.Check(t, qt.ErrorIs(err, verify.ErrBlob), qt.Commentf("%s", ch.name))
				qt.Check(t, qt.ErrorIs(err, verify.ErrWrongBytes), qt.Commentf("%s", ch.name))
				for _, l := range changed.Loaders { // nor if the other scheme's loader is taken out
					alone := *changed
					alone.Loaders = []bundle.Loader{l}
					qt.Check(t, qt.IsNotNil(errorOf(policy().Check(&alone))), qt.Commentf("%s: %v", ch.name, l.Scheme))
				}
			}
			qt.Check(t, qt.IsTrue(kept > 20), qt.Commentf("%d changes keep the rules", kept))
		})
	}
}

// An object with many maps: any two names, sections or pins can be exchanged, and none of it goes unnoticed.
func TestManyMaps(t *testing.T) {
	b := signed(t, "maps", nil)
	changes := changesOf(&b.Contract)
	for _, ch := range changes {
		changed := copyOf(b)
		ch.apply(&changed.Contract)
		if err := changed.CheckContract(); !rejects(err) {
			t.Errorf("%s: %v", ch.name, err)
		}
	}
	t.Logf("%d changes", len(changes))
}
