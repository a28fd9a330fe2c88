//go:build linux

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

var quiet = Logf(func(string, ...any) {})

// unsigned are the options of tests on whatever kernel there is.
func unsigned(more ...Option) []Option { return append([]Option{AllowUnsigned(), quiet}, more...) }

func TestLoadUnsigned(t *testing.T) {
	needBPF(t)
	for _, scheme := range bundle.Schemes {
		t.Run(scheme.String(), func(t *testing.T) {
			if scheme == bundle.MapHash {
				needMapHash(t)
			}
			b := handmade{scheme: scheme}.bundle()
			c, err := Load(t.Context(), b, unsigned()...)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.Equals(c.Scheme, scheme))
			qt.Assert(t, qt.IsNil(c.SignedBy))

			counts := c.Map("counts")
			qt.Assert(t, qt.IsNil(counts.Put(uint32(1), uint64(42))))
			var v uint64
			qt.Assert(t, qt.IsNil(counts.Lookup(uint32(1), &v)))
			qt.Assert(t, qt.Equals(v, 42))
			ret, _, err := c.Program(handName()).Test(make([]byte, 64))
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.Equals(ret, 0))
			qt.Assert(t, qt.IsNil(c.Map("other")))

			for _, fd := range []int{counts.FD(), c.Program(handName()).FD()} {
				flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
				qt.Assert(t, qt.IsNil(err))
				qt.Assert(t, qt.Not(qt.Equals(flags&unix.FD_CLOEXEC, 0)))
			}
			qt.Assert(t, qt.HasLen(openFiles(t), 2))
			qt.Assert(t, qt.IsNil(c.Close()))
			assertNothingLeft(t)
		})
	}
}

func TestLoadBytes(t *testing.T) {
	needBPF(t)
	file, err := bundle.Encode(handmade{}.bundle(bundle.MapHash, bundle.Payload))
	qt.Assert(t, qt.IsNil(err))
	c, err := LoadBytes(t.Context(), file, unsigned()...)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(c.Close()))
	_, err = LoadBytes(t.Context(), file[1:], unsigned()...)
	qt.Assert(t, qt.ErrorIs(err, bundle.ErrMalformed))
}

// attack makes and runs a map-hash loader as a host does that leaves out what it should do.
func attack(t *testing.T, b *bundle.Bundle, exclusive, hashed bool) (retval int32, ctx []byte) {
	t.Helper()
	needMapHash(t)
	k, l := sys.Native{}, b.Loader(bundle.MapHash)
	hash := l.ProgHash()
	attr := sys.MapCreateAttr{Type: sys.MapTypeArray, KeySize: 4, ValueSize: uint32(len(b.Blob)), MaxEntries: 1}
	if exclusive {
		attr.ExclProgHash, attr.ExclProgHashSize = sys.BytesPointer(hash[:]), sys.HashSize
	}
	m, err := sys.MapCreate(k, &attr)
	qt.Assert(t, qt.IsNil(err))
	defer k.Close(m)
	qt.Assert(t, qt.IsNil(sys.MapUpdate(k, m, 0, b.Blob)))
	qt.Assert(t, qt.IsNil(sys.MapFreeze(k, m)))
	if hashed {
		_, err = sys.MapHash(k, m)
		qt.Assert(t, qt.IsNil(err))
	}
	fd := int32(m)
	p, err := sys.ProgLoad(k, &sys.ProgLoadAttr{
		Type: sys.ProgTypeSyscall, Flags: sys.FlagSleepable, InsnCnt: uint32(len(l.Insns) / 8), Insns: sys.BytesPointer(l.Insns),
		License: sys.BytesPointer([]byte(loaderLicense)), FDArray: sys.PointerTo(&fd),
	})
	qt.Assert(t, qt.IsNil(err))
	defer k.Close(p)
	ctx = make([]byte, b.CtxSize)
	retval, err = sys.ProgRun(k, p, ctx)
	qt.Assert(t, qt.IsNil(err))
	return retval, ctx
}

// TestSeedAttack is the attack that the project began with: the map is not exclusive, frozen against user space only, and
// hashed, so that its hash is right.
func TestSeedAttack(t *testing.T) {
	b := handmade{scheme: bundle.MapHash}.bundle()
	for _, test := range []struct {
		name              string
		exclusive, hashed bool
		want              int32
	}{
		{"good", true, true, 0},
		{"not exclusive", false, true, -int32(unix.EINVAL)},
		{"not hashed", true, false, -int32(unix.EINVAL)},
		{"neither", false, false, -int32(unix.EINVAL)},
	} {
		t.Run(test.name, func(t *testing.T) {
			retval, ctx := attack(t, b, test.exclusive, test.hashed)
			qt.Assert(t, qt.Equals(retval, test.want))
			if retval != 0 {
				qt.Assert(t, qt.DeepEquals(ctx, make([]byte, len(ctx)))) // nothing was created
				assertNothingLeft(t)
				return
			}
			for _, off := range []uint32{24, 28} {
				qt.Assert(t, qt.IsNil(unix.Close(getFD(ctx, off))))
			}
		})
	}
	t.Run("unchecked loader", func(t *testing.T) { // the test's own test: without the check the attack works
		retval, ctx := attack(t, handmade{scheme: bundle.MapHash, unchecked: true}.bundle(), false, true)
		qt.Assert(t, qt.Equals(retval, 0))
		for _, off := range []uint32{24, 28} {
			qt.Assert(t, qt.IsNil(unix.Close(getFD(ctx, off))))
		}
	})
}

// TestRefusals is about what the runtime refuses without asking the kernel.
func TestRefusals(t *testing.T) {
	mapHash := types{}
	mapHash.facts.Exclusive, mapHash.facts.Excl = true, true
	payload := types{}
	payload.facts.Exclusive, payload.facts.Sig = true, true
	both := handmade{}.bundle(bundle.MapHash, bundle.Payload)
	signed := func(b *bundle.Bundle, kinds ...bundle.Kind) *bundle.Bundle {
		for i := range b.Loaders {
			for _, kind := range kinds {
				b.Loaders[i].Signatures = append(b.Loaders[i].Signatures, bundle.Signature{KeyID: []byte{1, 2}, Kind: kind, CMS: []byte("x")})
			}
		}
		return b
	}
	foreign := handmade{change: func(c *bundle.Contract) { c.Object.BigEndian = !c.Object.BigEndian }}.bundle(bundle.Payload)
	badCtx := signed(handmade{change: func(c *bundle.Contract) { c.Maps[0].Ctx = c.CtxSize - 2 }}.bundle(bundle.MapHash), bundle.KindTest)
	changed := signed(handmade{}.bundle(bundle.MapHash), bundle.KindTest)
	changed.Maps[0].Pinning = pinByName
	arena := handmade{change: func(c *bundle.Contract) { c.Maps[0].Arena = bundle.Range{Offset: handInsns, Size: 8} }}.bundle(bundle.Payload)
	for _, test := range []struct {
		name  string
		types types
		b     *bundle.Bundle
		opts  []Option
		want  error
	}{
		{"no BTF", types{err: os.ErrNotExist}, both, nil, ErrNoKernelBTF},
		{"not exclusive", types{}, both, nil, ErrNotExclusiveCapable},
		{"unsigned", mapHash, both, nil, ErrUnsigned},
		{"no payload loader", payload, signed(handmade{}.bundle(bundle.MapHash), bundle.KindTest), nil, ErrNoLoader},
		{"no map-hash loader", mapHash, signed(handmade{}.bundle(bundle.Payload), bundle.KindTest), nil, ErrNoLoader},
		{"kind", mapHash, signed(handmade{}.bundle(bundle.MapHash), bundle.KindTest), []Option{RequireKinds(bundle.KindProduction)}, ErrKeyKind},
		{"scheme", mapHash, signed(handmade{}.bundle(bundle.MapHash), bundle.KindTest), []Option{RequireSchemes(bundle.Payload)}, ErrSchemeNotAllowed},
		{"endian", mapHash, foreign, unsigned(), ErrWrongEndian},
		{"context", mapHash, badCtx, nil, bundle.ErrMalformed},
		{"arena that is an array", payload, arena, unsigned(), bundle.ErrMalformed},
		{"contract", mapHash, changed, nil, ErrTampered},
		{"contract of an unsigned load", mapHash, changed, unsigned(), ErrTampered},
		{"unsigned map-hash on another kernel", payload, handmade{}.bundle(bundle.MapHash), unsigned(), ErrNoLoader},
		{"unsigned and a kind", mapHash, both, unsigned(RequireKinds(bundle.KindTest)), ErrKeyKind},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := loadInto(t.Context(), noKernel{t}, test.types, test.b, newConfig(test.opts))
			qt.Assert(t, qt.ErrorIs(err, test.want))
			var failed *LoadError
			qt.Assert(t, qt.ErrorAs(err, &failed))
			qt.Assert(t, qt.Equals(failed.Step, StepChoose))
			qt.Assert(t, qt.Equals(failed.Errno, 0))
			t.Log(err)
		})
	}
}

// noKernel fails the test that calls it.
type noKernel struct{ t *testing.T }

func (k noKernel) BPF(cmd sys.Cmd, _ unsafe.Pointer, _ uintptr) (int, error) {
	k.t.Errorf("unexpected bpf(%d)", cmd)
	return -1, unix.ENOSYS
}
func (k noKernel) Close(int) error              { return nil }
func (k noKernel) AddKey([]byte, int) error     { return unix.ENOSYS }
func (k noKernel) FindKeyring(int) (int, error) { return 0, unix.ENOSYS }

// faulty is the kernel, but for what a test does to it.
type faulty struct {
	sys.Native
	calls int
	// before is asked before each bpf(2); an error takes its place.
	before func(call int, cmd sys.Cmd, attr unsafe.Pointer) error
	addKey error
	ring   error
}

func (f *faulty) BPF(cmd sys.Cmd, attr unsafe.Pointer, size uintptr) (int, error) {
	f.calls++
	if f.before != nil {
		if err := f.before(f.calls, cmd, attr); err != nil {
			return -1, err
		}
	}
	return f.Native.BPF(cmd, attr, size)
}
func (f *faulty) AddKey([]byte, int) error     { return f.addKey }
func (f *faulty) FindKeyring(int) (int, error) { return 7, f.ring }

func failCall(n int, errno unix.Errno) *faulty {
	return &faulty{before: func(call int, _ sys.Cmd, _ unsafe.Pointer) error {
		if call >= n {
			return errno
		}
		return nil
	}}
}

// TestFailEachCall fails the first, second, ... call of bpf(2) and all later ones.
func TestFailEachCall(t *testing.T) {
	needMapHash(t)
	steps := []Step{StepCreate, StepFill, StepFreeze, StepHash, StepLoad, StepRun, StepCollect, StepCollect}
	for _, test := range []struct {
		errno unix.Errno
		want  map[Step]error // others: ErrLoaderFailed
	}{
		{unix.EMFILE, map[Step]error{"": ErrTooManyFiles}},
		{unix.ENOMEM, map[Step]error{"": ErrMemlock}},
		{unix.EPERM, map[Step]error{"": ErrDenied, StepCreate: ErrMemlock}},
		{unix.EIO, map[Step]error{StepLoad: ErrVerifierRefused}},
		{unix.EINVAL, map[Step]error{StepLoad: ErrLoadersUnsupported}}, // no program loads, not even one that does nothing
		{unix.EACCES, map[Step]error{StepLoad: ErrVerifierRefused}},
		{unix.E2BIG, map[Step]error{StepLoad: ErrLoadersUnsupported}},
		{unix.EINTR, map[Step]error{StepLoad: ErrVerifierRefused}},
		{unix.EAGAIN, map[Step]error{StepLoad: ErrVerifierRefused}},
	} {
		for i, step := range steps {
			t.Run(errnoName(test.errno)+"/"+string(step), func(t *testing.T) {
				k := failCall(i+1, test.errno)
				_, err := loadInto(t.Context(), k, kernelTypes(), handmade{scheme: bundle.MapHash}.bundle(), newConfig(unsigned()))
				want := test.want[step]
				if want == nil {
					want = test.want[""]
				}
				if want == nil {
					want = ErrLoaderFailed
				}
				qt.Assert(t, qt.ErrorIs(err, want))
				qt.Assert(t, qt.ErrorIs(err, test.errno))
				var failed *LoadError
				qt.Assert(t, qt.ErrorAs(err, &failed))
				qt.Assert(t, qt.Equals(failed.Step, step))
				qt.Assert(t, qt.IsTrue(k.calls >= i+1))
				assertNothingLeft(t)
			})
		}
	}
}

// TestInterrupted interrupts each call once: the load goes on.
func TestInterrupted(t *testing.T) {
	needMapHash(t)
	for call := 1; call <= 8; call++ {
		for _, errno := range []unix.Errno{unix.EINTR, unix.EAGAIN} {
			if errno == unix.EAGAIN && call != 5 || errno == unix.EINTR && call == 6 {
				continue
			}
			k := &faulty{before: func(n int, _ sys.Cmd, _ unsafe.Pointer) error {
				if n == call {
					return errno
				}
				return nil
			}}
			c, err := loadInto(t.Context(), k, kernelTypes(), handmade{scheme: bundle.MapHash}.bundle(), newConfig(unsigned()))
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.Equals(k.calls, 9))
			qt.Assert(t, qt.IsNil(c.Close()))
		}
	}
	assertNothingLeft(t)
}

// TestLoaderFails is about loaders that return an error of their own.
func TestLoaderFails(t *testing.T) {
	needBPF(t)
	for _, test := range []struct {
		errno unix.Errno
		want  error
	}{
		{unix.EINVAL, ErrLoaderFailed},
		{unix.ENOENT, ErrLoaderFailed},
		{unix.EMFILE, ErrTooManyFiles},
		{unix.ENOMEM, ErrMemlock},
		{unix.EPERM, ErrDenied},
		{unix.EAGAIN, ErrLoaderFailed}, // after some restarts
	} {
		t.Run(errnoName(test.errno), func(t *testing.T) {
			b := handmade{scheme: bundle.Payload, result: -int32(test.errno)}.bundle()
			_, err := Load(t.Context(), b, unsigned()...)
			qt.Assert(t, qt.ErrorIs(err, test.want))
			qt.Assert(t, qt.ErrorIs(err, test.errno))
			assertNothingLeft(t)
			t.Log(err)
		})
	}
	_, err := Load(t.Context(), handmade{scheme: bundle.Payload, result: 7}.bundle(), unsigned()...)
	qt.Assert(t, qt.ErrorIs(err, ErrLoaderFailed))
	qt.Assert(t, qt.ErrorMatches(err, ".*the loader returned 7.*"))
}

func TestNoEntries(t *testing.T) {
	needBPF(t)
	b := handmade{scheme: bundle.Payload, noEntries: true, change: func(c *bundle.Contract) { c.Maps[0].MaxEntries = 0 }}.bundle()
	_, err := Load(t.Context(), b, unsigned()...)
	qt.Assert(t, qt.ErrorIs(err, ErrLoaderFailed))
	qt.Assert(t, qt.ErrorMatches(err, ".*EINVAL.*map counts: give map counts its max_entries in the source.*"))
	assertNothingLeft(t)
}

func TestVerifierRefuses(t *testing.T) {
	needBPF(t)
	b := handmade{scheme: bundle.Payload, badProgram: true}.bundle()
	_, err := Load(t.Context(), b, unsigned()...)
	qt.Assert(t, qt.ErrorIs(err, ErrVerifierRefused))
	qt.Assert(t, qt.ErrorMatches(err, `load handmade: cannot run the loader: .*EACCES.*at program hm_.*R5 !read_ok, at "0: .bf. r0 = r5".*`))
	var failed *LoadError
	qt.Assert(t, qt.ErrorAs(err, &failed))
	qt.Assert(t, qt.StringContains(failed.Log, "R5 !read_ok"))
	t.Log(err)

	_, err = Load(t.Context(), b, unsigned(VerifierLog(0))...)
	qt.Assert(t, qt.ErrorAs(err, &failed))
	qt.Assert(t, qt.Equals(failed.Log, ""))
	qt.Assert(t, qt.Equals(failed.Errno, unix.EACCES))

	b = handmade{scheme: bundle.Payload}.bundle() // the loader itself is refused
	copy(b.Loaders[0].Insns, []byte{0xbf, 0x50})
	_, err = Load(t.Context(), b, unsigned()...)
	qt.Assert(t, qt.ErrorIs(err, ErrVerifierRefused))
	qt.Assert(t, qt.ErrorAs(err, &failed))
	qt.Assert(t, qt.Equals(failed.Step, StepLoad))
	qt.Assert(t, qt.Not(qt.Equals(failed.Log, "")))
	assertNothingLeft(t)
}

func TestTampered(t *testing.T) {
	needMapHash(t)
	for _, off := range []int{handMapAttr + 12, handInsns, handEnd - 1, handBlobSize() - 1} {
		b := handmade{scheme: bundle.MapHash}.bundle()
		b.Blob[off] ^= 1
		_, err := Load(t.Context(), b, unsigned()...)
		qt.Assert(t, qt.ErrorIs(err, ErrTampered))
		qt.Assert(t, qt.ErrorIs(err, unix.EINVAL))
		assertNothingLeft(t)
	}
}

// TestMismatch is about bundles whose contract matches its digest, and says something else than the loader does: a bug of what
// built them.
func TestMismatch(t *testing.T) {
	needBPF(t)
	for name, change := range map[string]func(*bundle.Contract){
		"map's name":       func(b *bundle.Contract) { b.Maps[0].Kernel = "other" },
		"map's type":       func(b *bundle.Contract) { b.Maps[0].Type = uint32(ebpf.Hash) },
		"map's value":      func(b *bundle.Contract) { b.Maps[0].ValueSize = 4 },
		"program's name":   func(b *bundle.Contract) { b.Programs[0].Name = "other" },
		"program's type":   func(b *bundle.Contract) { b.Programs[0].Type = uint32(ebpf.XDP) },
		"program missing":  func(b *bundle.Contract) { b.Programs[0].Ctx = 36 },
		"map missing":      func(b *bundle.Contract) { b.Maps[0].Ctx = 36 },
		"exchanged":        func(b *bundle.Contract) { b.Maps[0].Ctx, b.Programs[0].Ctx = 28, 24 },
		"program left out": func(b *bundle.Contract) { b.Programs = nil },
		"map left out":     func(b *bundle.Contract) { b.Maps = nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := handmade{scheme: bundle.Payload, change: change}.bundle()
			_, err := Load(t.Context(), b, unsigned()...)
			qt.Assert(t, qt.IsNotNil(err))
			if name != "exchanged" { // the kernel's answer there is EINVAL: a program is no map
				qt.Assert(t, qt.ErrorIs(err, ErrTampered))
			}
			assertNothingLeft(t)
			t.Log(err)
		})
	}
	t.Run("more than it says", func(t *testing.T) {
		_, err := Load(t.Context(), handmade{scheme: bundle.Payload, extraMap: true}.bundle(), unsigned()...)
		qt.Assert(t, qt.ErrorIs(err, ErrTampered))
		assertNothingLeft(t)
	})
}

// signer is a kernel that knows signatures by their sizes and verifies none: what the real one makes of the load,
// less its signature, follows.
func signer(asked *[][2]int32, verdict func(keyring int32, size uint32) error) *faulty {
	return &faulty{before: func(_ int, cmd sys.Cmd, attr unsafe.Pointer) error {
		if cmd != sys.ProgLoadCmd {
			return nil
		}
		a := (*sys.ProgLoadAttr)(attr)
		*asked = append(*asked, [2]int32{a.KeyringID, int32(a.SignatureSize)})
		if err := verdict(a.KeyringID, a.SignatureSize); err != nil {
			return err
		}
		a.Signature, a.SignatureSize, a.KeyringID = sys.Pointer{}, 0, 0
		return nil
	}}
}

func signedBundle(scheme bundle.Scheme) *bundle.Bundle {
	b := handmade{scheme: scheme}.bundle()
	b.Loaders[0].Signatures = []bundle.Signature{
		{KeyID: []byte{1}, Kind: bundle.KindDevelopment, CMS: make([]byte, 1)},
		{KeyID: []byte{2}, Kind: bundle.KindProduction, CMS: make([]byte, 2)},
	}
	return b
}

func TestSignatures(t *testing.T) {
	needMapHash(t)
	holds := func(keyring int32, size uint32) func(int32, uint32) error {
		return func(k int32, s uint32) error {
			if k == keyring && s == size {
				return nil
			}
			return unix.ENOKEY
		}
	}
	always := func(err error) func(int32, uint32) error { return func(int32, uint32) error { return err } }
	for _, test := range []struct {
		name    string
		opts    []Option
		verdict func(int32, uint32) error
		asked   [][2]int32
		want    error
		by      byte
	}{
		{"first key, builtin", nil, holds(0, 1), [][2]int32{{0, 1}}, nil, 1},
		{"second key, secondary", nil, holds(1, 2), [][2]int32{{0, 1}, {0, 2}, {1, 1}, {1, 2}}, nil, 2},
		{"session", []Option{Keyring(KeyringSession)}, holds(-3, 2), [][2]int32{{-3, 1}, {-3, 2}}, nil, 2},
		{"serial", []Option{Keyring(1234)}, holds(1234, 1), [][2]int32{{1234, 1}}, nil, 1},
		{"enrolled", []Option{Enroll([]byte("certificate"))}, holds(-3, 1), [][2]int32{{-3, 1}}, nil, 1},
		{"kind", []Option{RequireKinds(bundle.KindProduction)}, holds(0, 2), [][2]int32{{0, 2}}, nil, 2},
		{"no key", nil, holds(9, 9), [][2]int32{{0, 1}, {0, 2}, {1, 1}, {1, 2}}, ErrKeyNotInKeyring, 0},
		{"rejected", nil, always(unix.EKEYREJECTED), [][2]int32{{0, 1}}, ErrSignatureRejected, 0},
		{"damaged", nil, always(unix.EBADMSG), [][2]int32{{0, 1}}, ErrSignatureRejected, 0},
		{"cannot verify", nil, always(unix.EOPNOTSUPP), nil, ErrVerificationUnavailable, 0},
		{"no algorithm", nil, always(unix.ENOPKG), nil, ErrVerificationUnavailable, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked [][2]int32
			k := signer(&asked, test.verdict)
			c, err := loadInto(t.Context(), k, kernelTypes(), signedBundle(bundle.MapHash), newConfig(test.opts))
			if test.asked != nil {
				qt.Assert(t, qt.DeepEquals(asked, test.asked))
			}
			if test.want != nil {
				qt.Assert(t, qt.ErrorIs(err, test.want))
				t.Log(err)
				assertNothingLeft(t)
				return
			}
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.DeepEquals(c.SignedBy.KeyID, []byte{test.by}))
			qt.Assert(t, qt.Equals(int32(c.SignedBy.Keyring), test.asked[len(test.asked)-1][0]))
			qt.Assert(t, qt.IsNil(c.Close()))
		})
	}
	t.Run("no keyring", func(t *testing.T) {
		var asked [][2]int32
		k := signer(&asked, always(unix.EINVAL))
		k.ring = unix.ENOKEY
		_, err := loadInto(t.Context(), k, kernelTypes(), signedBundle(bundle.MapHash), newConfig([]Option{Keyring(KeyringUser)}))
		qt.Assert(t, qt.ErrorIs(err, ErrKeyNotInKeyring))
		qt.Assert(t, qt.ErrorIs(err, unix.EINVAL))
		qt.Assert(t, qt.ErrorMatches(err, ".*there is no keyring user.*"))
		qt.Assert(t, qt.HasLen(asked, 1)) // the verifier has nothing to say about it
	})
	t.Run("never unsigned", func(t *testing.T) { // whatever a signed load fails with, no load without a signature follows
		for errno := unix.Errno(1); errno < 134; errno++ {
			k := &faulty{before: func(_ int, cmd sys.Cmd, attr unsafe.Pointer) error {
				if cmd != sys.ProgLoadCmd {
					return nil
				}
				if a := (*sys.ProgLoadAttr)(attr); a.SignatureSize == 0 || a.Signature == (sys.Pointer{}) {
					t.Errorf("%s: loaded without a signature", errnoName(errno))
				}
				return errno
			}}
			_, err := loadInto(t.Context(), k, kernelTypes(), signedBundle(bundle.MapHash), newConfig(nil))
			qt.Assert(t, qt.ErrorIs(err, errno))
		}
		assertNothingLeft(t)
	})
	t.Run("payload binds its map", func(t *testing.T) {
		var counts []uint32
		k := &faulty{before: func(_ int, cmd sys.Cmd, attr unsafe.Pointer) error {
			qt.Assert(t, qt.Not(qt.Equals(cmd, sys.ObjGetInfoCmd)))
			if cmd == sys.ProgLoadCmd {
				counts = append(counts, (*sys.ProgLoadAttr)(attr).FDArrayCnt)
				return unix.EKEYREJECTED
			}
			return nil
		}}
		payload := types{}
		payload.facts.Exclusive, payload.facts.Sig = true, true
		_, err := loadInto(t.Context(), k, payload, signedBundle(bundle.Payload), newConfig(nil))
		qt.Assert(t, qt.ErrorIs(err, ErrSignatureRejected))
		qt.Assert(t, qt.DeepEquals(counts, []uint32{1}))
	})
}

// TestVerificationUnavailable is about the development machines' own kernel: it has the scheme and no PKCS#7.
func TestVerificationUnavailable(t *testing.T) {
	needMapHash(t)
	if Probe().Signatures != No {
		t.Skip("needs a kernel without CONFIG_SYSTEM_DATA_VERIFICATION")
	}
	_, err := Load(t.Context(), signedBundle(bundle.MapHash))
	qt.Assert(t, qt.ErrorIs(err, ErrVerificationUnavailable))
	qt.Assert(t, qt.ErrorIs(err, unix.EOPNOTSUPP))
	assertNothingLeft(t)
}

func TestEnrollFails(t *testing.T) {
	needMapHash(t)
	for errno, want := range map[unix.Errno]error{
		unix.EBADMSG: ErrEnroll, unix.ENOPKG: ErrEnroll, unix.EPERM: ErrEnroll, unix.ENODEV: ErrVerificationUnavailable,
	} {
		_, err := loadInto(t.Context(), &faulty{addKey: errno}, kernelTypes(), signedBundle(bundle.MapHash),
			newConfig([]Option{Enroll([]byte("-----BEGIN CERTIFICATE"))}))
		qt.Assert(t, qt.ErrorIs(err, want))
		t.Log(err)
	}
}

func TestCanceled(t *testing.T) {
	needMapHash(t)
	for call := 0; call <= 8; call++ {
		ctx, cancel := context.WithCancel(t.Context())
		k := &faulty{before: func(n int, _ sys.Cmd, _ unsafe.Pointer) error {
			if n == call {
				cancel()
			}
			return nil
		}}
		if call == 0 {
			cancel()
		}
		c, err := loadInto(ctx, k, kernelTypes(), handmade{scheme: bundle.MapHash}.bundle(), newConfig(unsigned()))
		if err == nil { // the last step was begun already
			qt.Assert(t, qt.IsNil(c.Close()))
			continue
		}
		qt.Assert(t, qt.ErrorIs(err, context.Canceled))
		assertNothingLeft(t)
		cancel()
	}
}

// TestTooManyFiles lets the process run out of descriptors at each place, in the kernel's own code too.
func TestTooManyFiles(t *testing.T) {
	needMapHash(t)
	var old unix.Rlimit
	qt.Assert(t, qt.IsNil(unix.Getrlimit(unix.RLIMIT_NOFILE, &old)))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	next, err := unix.Dup(0)
	qt.Assert(t, qt.IsNil(err))
	unix.Close(next)

	b := handmade{scheme: bundle.MapHash}.bundle()
	failures := map[Step]int{}
	for more := 0; more < 12; more++ {
		limit := old
		limit.Cur = uint64(next + more)
		qt.Assert(t, qt.IsNil(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)))
		c, err := Load(t.Context(), b, unsigned()...)
		qt.Assert(t, qt.IsNil(unix.Setrlimit(unix.RLIMIT_NOFILE, &old)))
		if err == nil {
			qt.Assert(t, qt.IsNil(c.Close()))
			break
		}
		var failed *LoadError
		qt.Assert(t, qt.ErrorAs(err, &failed))
		failures[failed.Step]++
		qt.Assert(t, qt.ErrorIs(err, ErrTooManyFiles))
		t.Log(err)
		assertNothingLeft(t)
	}
	qt.Assert(t, qt.IsTrue(failures[StepCreate] > 0 && failures[StepLoad] > 0 && failures[StepRun] > 1)) // StepRun: map and program
}

// TestConcurrent has 32 loads at once.
func TestConcurrent(t *testing.T) {
	needBPF(t)
	b := handmade{}.bundle(bundle.MapHash, bundle.Payload)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 8 {
				c, err := Load(t.Context(), b, unsigned()...)
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	assertNothingLeft(t)
}

// bpffs returns a folder on a bpf filesystem.
func bpffs(t *testing.T) string {
	t.Helper()
	needBPF(t)
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Skip("needs to mount a bpf filesystem:", err)
	}
	t.Cleanup(func() { qt.Check(t, qt.IsNil(unix.Unmount(dir, unix.MNT_DETACH))) })
	return dir
}

func TestPin(t *testing.T) {
	dir := bpffs(t)
	pinned := func(name string, pinning uint32) *bundle.Bundle {
		return handmade{scheme: bundle.Payload, change: func(c *bundle.Contract) { c.Maps[0].Name, c.Maps[0].Pinning = name, pinning }}.bundle()
	}
	b := pinned("counts", pinByName)
	c, err := Load(t.Context(), b, unsigned(PinRoot(dir))...)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(c.Map("counts").IsPinned()))
	qt.Assert(t, qt.IsNil(c.Close()))
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, "counts"), nil)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(m.Close()))

	_, err = Load(t.Context(), b, unsigned(PinRoot(dir))...)
	qt.Assert(t, qt.ErrorIs(err, ErrPinExists))
	qt.Assert(t, qt.ErrorIs(err, unix.EEXIST))
	t.Log(err)
	qt.Assert(t, qt.IsNil(os.Remove(filepath.Join(dir, "counts"))))
	assertNothingLeft(t)

	_, err = Load(t.Context(), b, unsigned(PinRoot(t.TempDir()))...)
	qt.Assert(t, qt.ErrorIs(err, ErrPin))
	t.Log(err)
	assertNothingLeft(t)

	// Pinned by somebody else between the check and the pin.
	k := &faulty{before: func(_ int, cmd sys.Cmd, _ unsafe.Pointer) error {
		if cmd == sys.ProgRunCmd {
			return os.Mkdir(filepath.Join(dir, "counts"), 0o700)
		}
		return nil
	}}
	_, err = loadInto(t.Context(), k, kernelTypes(), b, newConfig(unsigned(PinRoot(dir))))
	qt.Assert(t, qt.ErrorIs(err, ErrPinExists))
	assertNothingLeft(t)

	for _, name := range []string{"a.b", ".."} {
		_, err = Load(t.Context(), pinned(name, pinByName), unsigned(PinRoot(dir))...)
		qt.Check(t, qt.ErrorIs(err, ErrPin))
	}
	for _, b := range []*bundle.Bundle{pinned("../counts", pinByName), pinned("a/b", pinByName), pinned("counts", 2)} {
		_, err = Load(t.Context(), b, unsigned(PinRoot(dir))...)
		qt.Check(t, qt.ErrorIs(err, bundle.ErrMalformed))
	}
}

// TestWarns: an unsigned load is never silent.
func TestWarns(t *testing.T) {
	needBPF(t)
	var said string
	c, err := Load(t.Context(), handmade{scheme: bundle.Payload}.bundle(), AllowUnsigned(),
		Logf(func(format string, args ...any) { said += fmt.Sprintf(format, args...) }))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(c.Close()))
	qt.Assert(t, qt.Equals(said, "warning: loading handmade (BPF) without a signature"))
}

func TestKeyring(t *testing.T) {
	for _, k := range keyringNames {
		id, err := ParseKeyring(k.name)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(id, k.id))
		qt.Assert(t, qt.Equals(id.String(), k.name))
	}
	id, err := ParseKeyring("0x2a")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(id, 42))
	_, err = ParseKeyring("nonsense")
	qt.Assert(t, qt.IsNotNil(err))

	qt.Assert(t, qt.DeepEquals(newConfig(nil).keyrings, []KeyringID{KeyringBuiltin, KeyringSecondary}))
	qt.Assert(t, qt.DeepEquals(newConfig([]Option{Enroll([]byte("x")), Keyring(KeyringPlatform)}).keyrings, []KeyringID{KeyringPlatform, KeyringSession}))
}

func TestExcerpt(t *testing.T) {
	log := `func#0 @0
0: R1=ctx() R10=fp0
; int x = *(int *)ptr; @ a.bpf.c:12
0: (61) r0 = *(u32 *)(r5 +0)
R5 !read_ok
processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`
	qt.Assert(t, qt.Equals(Excerpt(log), `R5 !read_ok, at "0: (61) r0 = *(u32 *)(r5 +0)", from "int x = *(int *)ptr; @ a.bpf.c:12"`))
	const report = `
Verification failed: Register Type Safety: Unreadable register

Reason:
  R5 has never been initialized on this path, so the verifier cannot use it as an input.

Suggestion:
  Initialize R5 on every path before this instruction.

processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`
	qt.Assert(t, qt.Equals(Excerpt("0: (bf) r0 = r5\nR5 !read_ok\n"+report), `R5 !read_ok, at "0: (bf) r0 = r5"`))
	qt.Assert(t, qt.Equals(Excerpt("0: (bf) r0 = r5\n"+report), `Register Type Safety: Unreadable register, at "0: (bf) r0 = r5"`))
	qt.Assert(t, qt.Equals(Excerpt(""), ""))
	qt.Assert(t, qt.Equals(Excerpt("processed 1 insns (limit 1000000)\n"), ""))
}

func TestErrorIsAll(t *testing.T) {
	err := error(&LoadError{Object: "o", Step: StepRun, Err: ErrTampered, Errno: unix.EINVAL, Detail: "d", Hint: "h"})
	qt.Assert(t, qt.ErrorIs(err, ErrTampered))
	qt.Assert(t, qt.ErrorIs(err, unix.EINVAL))
	qt.Assert(t, qt.IsFalse(errors.Is(err, ErrDenied)))
	qt.Assert(t, qt.Equals(err.Error(), "load o: cannot run the loader: the bundle was tampered with: EINVAL (invalid argument): d: h"))
}

// Whatever a name or the verifier's log holds, an error is one line and drives no terminal.
func TestErrorsArePrintable(t *testing.T) {
	const hostile = "x\nload: all is well\x1b[2J\u009b\u202e\xff"
	for _, err := range []error{
		&LoadError{Object: hostile, Step: StepRun, Err: ErrVerifierRefused, Detail: hostile, Hint: hostile, Log: "0: (95) exit\n" + hostile},
		&AttachError{Name: hostile, Section: hostile, Err: errors.New(hostile), Hint: hostile},
		&AttachError{Name: hostile, Err: errors.New(hostile)},
	} {
		qt.Check(t, qt.IsTrue(printable.Is(err.Error())), qt.Commentf("%q", err.Error()))
		qt.Check(t, qt.StringContains(err.Error(), `x\nload: all is well\x1b[2J\u009b\u202e\xff`))
	}
	qt.Check(t, qt.Equals(Excerpt("R1 \x1b[2J!read_ok\u202e"), `R1 \x1b[2J!read_ok\u202e`))
}

// BenchmarkLoad measures whole loads, and how long each command of bpf(2) takes.
func BenchmarkLoad(b *testing.B) {
	needBPF(b)
	for _, scheme := range bundle.Schemes {
		b.Run(scheme.String(), func(b *testing.B) {
			if scheme == bundle.MapHash {
				needMapHash(b)
			}
			benchmarkLoad(b, handmade{scheme: scheme}.bundle(), newConfig(unsigned()))
		})
	}
}

// benchmarkLoad reports medians: the mean says more of what else the machine does.
func benchmarkLoad(b *testing.B, bun *bundle.Bundle, c *config) {
	k := &stopwatch{}
	var total, closing []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		coll, err := loadInto(b.Context(), k, kernelTypes(), bun, c)
		if err != nil {
			b.Fatal(err)
		}
		total = append(total, time.Since(start))
		closing = append(closing, k.closing)
		k.closing = 0
		b.StopTimer()
		coll.Close()
		b.StartTimer()
	}
	report := func(times []time.Duration, name string) {
		if len(times) == 0 {
			return
		}
		slices.Sort(times)
		perLoad := float64(len(times)) / float64(len(total))
		b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000*perLoad, "us-"+name)
	}
	report(total, "total")
	report(k.times[sys.MapCreateCmd], "create")
	report(k.times[sys.MapUpdateCmd], "fill")
	report(k.times[sys.MapFreezeCmd], "freeze")
	report(k.times[sys.ObjGetInfoCmd], "hash+info")
	report(k.times[sys.ProgLoadCmd], "load")
	report(k.times[sys.ProgRunCmd], "run")
	report(closing, "close")
}

// BenchmarkKernelTypes measures what only the first load of a process has to do.
func BenchmarkKernelTypes(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if t := readTypes(vmlinuxBTF); t.err != nil {
			b.Skip("this kernel has no BTF:", t.err)
		}
	}
}

// stopwatch is the kernel with a clock.
type stopwatch struct {
	sys.Native
	times   [64][]time.Duration
	closing time.Duration
}

func (s *stopwatch) BPF(cmd sys.Cmd, attr unsafe.Pointer, size uintptr) (int, error) {
	start := time.Now()
	fd, err := s.Native.BPF(cmd, attr, size)
	s.times[cmd] = append(s.times[cmd], time.Since(start))
	return fd, err
}

func (s *stopwatch) Close(fd int) error {
	start := time.Now()
	err := s.Native.Close(fd)
	s.closing += time.Since(start)
	return err
}
