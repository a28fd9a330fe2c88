//go:build linux

package runtime

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// needSigned skips a test on a kernel that loads nothing signed.
func needSigned(t testing.TB) {
	t.Helper()
	if err := Probe().CanLoadSigned(); err != nil {
		t.Skip("needs a kernel that attests signed loaders:", err)
	}
}

// identities are two keys of the tests.
var identities = sync.OnceValue(func() (ids [2]*signing.Identity) {
	for i := range ids {
		key, err := signing.GenerateKey("rsa-2048")
		if err != nil {
			panic(err)
		}
		der, err := signing.SelfSign(key, fmt.Sprintf("runtime test %d", i), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))
		if err != nil {
			panic(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		ids[i] = &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}
	}
	return ids
})

// reallySigned is a handmade bundle for all schemes, signed by some of the identities.
func reallySigned(t testing.TB, by ...int) *bundle.Bundle {
	t.Helper()
	b := handmade{}.bundle(bundle.Schemes...)
	for _, i := range by {
		qt.Assert(t, qt.IsNil(identities()[i].Sign(b, []bundle.Kind{bundle.KindDevelopment, bundle.KindProduction}[i])))
	}
	return b
}

var keyrings int

// keyringOf makes a keyring with certificates in it that every thread of the process may search.
func keyringOf(t testing.TB, certificates ...[]byte) KeyringID {
	t.Helper()
	keyrings++
	serial, err := unix.AddKey("keyring", fmt.Sprintf("%s %d", t.Name(), keyrings), nil, unix.KEY_SPEC_USER_KEYRING)
	qt.Assert(t, qt.IsNil(err))
	const everything = 0x3f3f0000 // KEY_POS_ALL | KEY_USR_ALL
	qt.Assert(t, qt.IsNil(unix.KeyctlSetperm(serial, everything)))
	t.Cleanup(func() { _, _ = unix.KeyctlInt(unix.KEYCTL_UNLINK, serial, unix.KEY_SPEC_USER_KEYRING, 0, 0) })
	for _, c := range certificates {
		qt.Assert(t, qt.IsNil(sys.Native{}.AddKey(c, serial)))
	}
	return KeyringID(serial)
}

func TestSigned(t *testing.T) {
	needSigned(t)
	first, second := identities()[0].Certificate, identities()[1].Certificate
	ring1, ring2, empty := keyringOf(t, first.Raw), keyringOf(t, second.Raw), keyringOf(t)
	for _, test := range []struct {
		name   string
		signed []int
		opts   []Option
		want   error
		by     *x509.Certificate
		ring   KeyringID
	}{
		{"by the key", []int{0}, []Option{Keyring(ring1)}, nil, first, ring1},
		{"by two, first key", []int{0, 1}, []Option{Keyring(ring1)}, nil, first, ring1},
		{"by two, second key", []int{0, 1}, []Option{Keyring(ring2)}, nil, second, ring2},
		{"second keyring", []int{1}, []Option{Keyring(empty, ring1, ring2)}, nil, second, ring2},
		{"production only", []int{0, 1}, []Option{Keyring(ring1, ring2), RequireKinds(bundle.KindProduction)}, nil, second, ring2},
		{"other key", []int{0}, []Option{Keyring(ring2)}, ErrKeyNotInKeyring, nil, 0},
		{"empty keyring", []int{0, 1}, []Option{Keyring(empty)}, ErrKeyNotInKeyring, nil, 0},
		{"default keyrings", []int{0, 1}, nil, ErrKeyNotInKeyring, nil, 0},
		{"no such keyring", []int{0}, []Option{Keyring(0x7ffffffe)}, ErrKeyNotInKeyring, nil, 0},
		{"unsigned", nil, []Option{Keyring(ring1)}, ErrUnsigned, nil, 0},
		{"enrolled", []int{1}, []Option{Enroll(second.Raw)}, nil, second, KeyringSession},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Load(t.Context(), reallySigned(t, test.signed...), test.opts...)
			if test.want != nil {
				qt.Assert(t, qt.ErrorIs(err, test.want))
				t.Log(err)
				assertNothingLeft(t)
				return
			}
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.DeepEquals(c.SignedBy.KeyID, test.by.SubjectKeyId))
			qt.Assert(t, qt.Equals(c.SignedBy.Keyring, test.ring))
			qt.Assert(t, qt.IsNil(c.Map("counts").Put(uint32(0), uint64(1))))
			qt.Assert(t, qt.IsNil(c.Close()))
			assertNothingLeft(t)
		})
	}
}

// TestSignedFlipped changes one bit of what was signed, or of the signature, at many places.
func TestSignedFlipped(t *testing.T) {
	needSigned(t)
	ring := Keyring(keyringOf(t, identities()[0].Certificate.Raw))
	scheme := kernelTypes().scheme()
	good := reallySigned(t, 0)
	for name, part := range map[string]struct {
		step int
		of   func(*bundle.Bundle) []byte
	}{
		"instructions": {7, func(b *bundle.Bundle) []byte { return b.Loader(scheme).Insns }},
		"blob":         {61, func(b *bundle.Bundle) []byte { return b.Blob }},
		"signature":    {1, func(b *bundle.Bundle) []byte { return b.Loader(scheme).Signatures[0].CMS }},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := bundle.Encode(good)
			qt.Assert(t, qt.IsNil(err))
			got := map[error]int{}
			var ignored []int
			for i := 0; i < len(part.of(good)); i += part.step {
				b, err := bundle.Decode(file)
				qt.Assert(t, qt.IsNil(err))
				part.of(b)[i] ^= 1 << (i % 8)
				c, err := Load(t.Context(), b, ring)
				if err == nil {
					// The kernel does not look at all of the wrapping around the signature's value.
					qt.Check(t, qt.IsTrue(name == "signature" && i < len(part.of(b))-256), qt.Commentf("byte %d", i))
					qt.Assert(t, qt.IsNil(c.Close()))
					ignored = append(ignored, i)
					continue
				}
				var failed *LoadError
				qt.Assert(t, qt.ErrorAs(err, &failed), qt.Commentf("byte %d", i))
				got[failed.Err]++
				switch failed.Err {
				case ErrSignatureRejected:
				case ErrTampered:
					qt.Assert(t, qt.Equals(name, "blob"))
				case ErrKeyNotInKeyring, ErrVerificationUnavailable: // the signer's name or the algorithm's was hit
					qt.Assert(t, qt.Equals(name, "signature"))
				default:
					t.Errorf("byte %d: %v", i, err)
				}
			}
			t.Log(got, "ignored by the kernel:", ignored)
			assertNothingLeft(t)
		})
	}
	c, err := Load(t.Context(), good, ring)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(c.Close()))
}

// TestSignedAttack is what a host does that may call bpf(2) as it likes, with a bundle that is signed and whole.
func TestSignedAttack(t *testing.T) {
	needSigned(t)
	ring := keyringOf(t, identities()[0].Certificate.Raw)
	b := reallySigned(t, 0)
	scheme := kernelTypes().scheme()
	l := b.Loader(scheme)
	hash := l.ProgHash()
	k := sys.Native{}
	type host struct{ exclusive, frozen, hashed, sparse bool }
	attack := func(t *testing.T, h host) (retval int32, loadErr error) {
		attr := sys.MapCreateAttr{Type: sys.MapTypeArray, KeySize: 4, ValueSize: uint32(len(b.Blob)), MaxEntries: 1}
		if h.exclusive {
			attr.ExclProgHash, attr.ExclProgHashSize = sys.BytesPointer(hash[:]), sys.HashSize
		}
		m, err := sys.MapCreate(k, &attr)
		qt.Assert(t, qt.IsNil(err))
		defer k.Close(m)
		qt.Assert(t, qt.IsNil(sys.MapUpdate(k, m, 0, b.Blob)))
		if h.frozen {
			qt.Assert(t, qt.IsNil(sys.MapFreeze(k, m)))
		}
		if h.hashed {
			_, err = sys.MapHash(k, m)
			qt.Assert(t, qt.IsNil(err))
		}
		fd := int32(m)
		load := sys.ProgLoadAttr{
			Type: sys.ProgTypeSyscall, Flags: sys.FlagSleepable, InsnCnt: uint32(len(l.Insns) / 8), Insns: sys.BytesPointer(l.Insns),
			License: sys.BytesPointer([]byte(loaderLicense)), FDArray: sys.PointerTo(&fd),
			Signature: sys.BytesPointer(l.Signatures[0].CMS), SignatureSize: uint32(len(l.Signatures[0].CMS)), KeyringID: int32(ring),
		}
		if !h.sparse {
			load.FDArrayCnt = 1
		}
		p, err := sys.ProgLoad(k, &load)
		if err != nil {
			return 0, err
		}
		defer k.Close(p)
		ctx := make([]byte, b.CtxSize)
		retval, err = sys.ProgRun(k, p, ctx)
		qt.Assert(t, qt.IsNil(err))
		for _, off := range []uint32{24, 28} {
			if retval == 0 {
				qt.Assert(t, qt.IsNil(unix.Close(getFD(ctx, off))))
			} else {
				qt.Assert(t, qt.Equals(getFD(ctx, off), 0))
			}
		}
		return retval, nil
	}
	tests := map[string]struct {
		host
		retval  int32
		loadErr error
	}{
		"good":           {host{true, true, true, true}, 0, nil},
		"not exclusive":  {host{false, true, true, true}, -int32(unix.EINVAL), nil},
		"not hashed":     {host{true, true, false, true}, -int32(unix.EINVAL), nil},
		"never frozen":   {host{true, false, false, true}, -int32(unix.EINVAL), nil},
		"nothing at all": {host{false, false, false, true}, -int32(unix.EINVAL), nil},
	}
	if scheme == bundle.Payload {
		tests = map[string]struct {
			host
			retval  int32
			loadErr error
		}{
			"good":           {host{true, true, false, false}, 0, nil},
			"not exclusive":  {host{false, true, true, false}, 0, unix.EPERM},
			"never frozen":   {host{true, false, false, false}, 0, unix.EPERM},
			"not bound":      {host{true, true, false, true}, 0, unix.EKEYREJECTED}, // the kernel verifies the instructions alone
			"nothing at all": {host{false, false, false, false}, 0, unix.EPERM},
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			retval, err := attack(t, test.host)
			qt.Assert(t, qt.Equals(err, test.loadErr))
			qt.Assert(t, qt.Equals(retval, test.retval))
			assertNothingLeft(t)
		})
	}
}

// TestSignedConcurrent has 32 loads at once, all signed.
func TestSignedConcurrent(t *testing.T) {
	needSigned(t)
	ring := Keyring(keyringOf(t, identities()[0].Certificate.Raw))
	b := reallySigned(t, 0)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			opt := ring
			if i%4 == 0 {
				opt = Enroll(identities()[0].Certificate.Raw)
			}
			c, err := Load(t.Context(), b, opt)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	assertNothingLeft(t)
}

// BenchmarkLoadSigned measures what the kernel's verification of a signature adds.
func BenchmarkLoadSigned(b *testing.B) {
	needSigned(b)
	c := newConfig([]Option{Keyring(keyringOf(b, identities()[0].Certificate.Raw))})
	benchmarkLoad(b, reallySigned(b, 0), c)
}
