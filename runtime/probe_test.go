//go:build linux

package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

func TestProbe(t *testing.T) {
	f := Probe()
	t.Logf("\n%s", f)
	needBPF(t)
	qt.Assert(t, qt.Not(qt.Equals(f.ExclusiveMaps, Unknown)))
	qt.Assert(t, qt.Not(qt.Equals(f.Signatures, Unknown)))
	qt.Assert(t, qt.Not(qt.Equals(f.Loaders, Unknown)))
	qt.Assert(t, qt.Not(qt.Equals(f.CORE, Unknown)))
	if f.BTFError == nil {
		qt.Assert(t, qt.Equals(f.ExclusiveMaps == Yes, kernelTypes().facts.Exclusive))
	}
	qt.Assert(t, qt.HasLen(openFiles(t), 0))
}

// answering is a kernel that says the same to each command.
func answering(mapCreate, progLoad error) *faulty {
	return &faulty{before: func(_ int, cmd sys.Cmd, _ unsafe.Pointer) error {
		switch cmd {
		case sys.MapCreateCmd:
			return mapCreate
		case sys.ProgLoadCmd:
			return progLoad
		}
		return unix.ENOSYS
	}, ring: unix.ENOKEY}
}

func TestProbeAnswers(t *testing.T) {
	for _, test := range []struct {
		mapCreate, progLoad error
		exclusive, signs    Answer
		loaders             Answer
	}{
		{unix.E2BIG, unix.E2BIG, No, No, No},
		{unix.EINVAL, unix.EINVAL, No, No, No},
		{unix.EINVAL, unix.EBADMSG, No, Yes, Unknown},
		{unix.EPERM, unix.EPERM, Unknown, Unknown, Unknown},
		{unix.EPERM, unix.EOPNOTSUPP, Unknown, No, Unknown},
	} {
		f := probe(answering(test.mapCreate, test.progLoad), types{err: os.ErrNotExist})
		qt.Assert(t, qt.Equals(f.ExclusiveMaps, test.exclusive))
		qt.Assert(t, qt.Equals(f.Signatures, test.signs))
		qt.Assert(t, qt.Equals(f.Loaders, test.loaders))
		qt.Assert(t, qt.Equals(f.CORE, test.loaders))
		qt.Assert(t, qt.ErrorIs(f.CanLoadSigned(), ErrNoKernelBTF))
	}
}

// older is a kernel that does not know some fields of attributes: what Linux says of those that are not zero, by version. The
// rest is this machine's kernel.
type older struct {
	name      string
	exclusive error // excl_prog_hash: 6.18
	signature error // signature: 6.18
	core      error // core_relo_rec_size: 5.17
	programs  error // BPF_PROG_TYPE_SYSCALL: 5.14
	canLoad   error
}

func (o older) kernel() *faulty {
	return &faulty{before: func(_ int, cmd sys.Cmd, attr unsafe.Pointer) error {
		switch {
		case cmd == sys.MapCreateCmd && (*sys.MapCreateAttr)(attr).ExclProgHashSize != 0:
			return o.exclusive
		case cmd == sys.ProgLoadCmd && o.programs != nil:
			return o.programs
		case cmd == sys.ProgLoadCmd && (*sys.ProgLoadAttr)(attr).SignatureSize != 0:
			return o.signature
		case cmd == sys.ProgLoadCmd && (*sys.ProgLoadAttr)(attr).CORESize != 0:
			return o.core
		}
		return nil
	}}
}

// An unsigned bundle loads where the kernel runs loaders, whether or not it knows exclusive maps, and however it says that it
// does not. The probe says the same.
func TestOlderKernels(t *testing.T) {
	needBPF(t)
	for _, o := range []older{
		{name: "5.10", exclusive: unix.EINVAL, signature: unix.EINVAL, core: unix.EINVAL, programs: unix.EINVAL, canLoad: ErrLoadersUnsupported},
		{name: "5.14", exclusive: unix.EINVAL, signature: unix.EINVAL, core: unix.EINVAL},
		{name: "6.1", exclusive: unix.EINVAL, signature: unix.EINVAL},
		{name: "shorter attributes", exclusive: unix.E2BIG, signature: unix.E2BIG, core: unix.E2BIG},
	} {
		t.Run(o.name, func(t *testing.T) {
			f := probe(o.kernel(), types{})
			f.InitialUserNamespace, f.MissingCapabilities = true, nil
			qt.Check(t, qt.Equals(f.ExclusiveMaps, No))
			qt.Check(t, qt.Equals(f.Signatures, No))
			qt.Check(t, qt.Equals(f.Loaders == Yes, o.programs == nil))
			qt.Check(t, qt.Equals(f.CORE == Yes, o.core == nil))
			qt.Check(t, qt.ErrorIs(f.CanLoadSigned(), ErrNotExclusiveCapable))
			qt.Check(t, qt.ErrorIs(f.CanLoadUnsigned(), o.canLoad))

			c, err := loadInto(t.Context(), o.kernel(), types{}, handmade{scheme: bundle.Payload}.bundle(), newConfig(unsigned()))
			qt.Assert(t, qt.ErrorIs(err, o.canLoad))
			if err == nil {
				qt.Assert(t, qt.IsNil(c.Map("counts").Put(uint32(0), uint64(1))))
				qt.Assert(t, qt.IsNil(c.Close()))
			} else {
				qt.Check(t, qt.ErrorIs(err, unix.EINVAL))
				qt.Check(t, qt.ErrorMatches(err, "load handmade: cannot load the loader: the kernel cannot run loaders: .*: use Linux 5.14 or newer"))
			}

			// Signed, it is refused before the kernel is asked.
			_, err = loadInto(t.Context(), noKernel{t}, types{}, signedBundle(bundle.Payload), newConfig(nil))
			qt.Check(t, qt.ErrorIs(err, ErrNotExclusiveCapable))
			assertNothingLeft(t)
		})
	}
}

// Until 5.11 a program counts against RLIMIT_MEMLOCK, after the kernel has looked at its attribute. If the limit is too low
// for the probe, the load still tells the truth, and the probe says what else it may be.
func TestOlderKernelsMemoryLimit(t *testing.T) {
	needBPF(t)
	k := &faulty{before: func(_ int, cmd sys.Cmd, attr unsafe.Pointer) error {
		switch a := (*sys.ProgLoadAttr)(attr); {
		case cmd == sys.MapCreateCmd && (*sys.MapCreateAttr)(attr).ExclProgHashSize != 0:
			return unix.EINVAL
		case cmd == sys.ProgLoadCmd && (a.FDArray != sys.Pointer{} || a.SignatureSize != 0 || a.CORESize != 0):
			return unix.E2BIG // fields that 5.10 does not know
		case cmd == sys.ProgLoadCmd:
			return unix.EPERM
		}
		return nil
	}}
	_, err := loadInto(t.Context(), k, types{}, handmade{scheme: bundle.Payload}.bundle(), newConfig(unsigned()))
	qt.Check(t, qt.ErrorIs(err, ErrLoadersUnsupported))
	assertNothingLeft(t)

	f := probe(k, types{})
	f.InitialUserNamespace, f.MissingCapabilities = true, nil
	qt.Check(t, qt.Equals(f.Loaders, Unknown))
	qt.Check(t, qt.ErrorIs(f.CanLoadUnsigned(), ErrDenied))
	qt.Check(t, qt.ErrorMatches(f.CanLoadUnsigned(), ".* or before Linux 5.11 RLIMIT_MEMLOCK is too low"))
}

// What fails for another reason does not fail as if the kernel were old: the second error is the one that counts.
func TestNotOlder(t *testing.T) {
	needBPF(t)
	maps := 0
	k := &faulty{before: func(_ int, cmd sys.Cmd, attr unsafe.Pointer) error {
		if cmd != sys.MapCreateCmd {
			return nil
		}
		maps++
		return []error{unix.EINVAL, unix.ENOMEM}[min(maps, 2)-1]
	}}
	_, err := loadInto(t.Context(), k, types{}, handmade{scheme: bundle.Payload}.bundle(), newConfig(unsigned()))
	qt.Assert(t, qt.ErrorIs(err, ErrMemlock))
	qt.Assert(t, qt.Equals(maps, 2))

	// A verifier that says EINVAL of the loader, on a kernel that loads others.
	b := handmade{scheme: bundle.Payload}.bundle()
	b.Loaders[0].Insns[8] = 0xff // an opcode that does not exist
	_, err = Load(t.Context(), b, unsigned()...)
	qt.Assert(t, qt.ErrorIs(err, ErrVerifierRefused))
	qt.Assert(t, qt.ErrorIs(err, unix.EINVAL))

	// A signed load never creates another kind of map.
	needMapHash(t)
	maps = 0
	_, err = loadInto(t.Context(), k, kernelTypes(), signedBundle(bundle.MapHash), newConfig(nil))
	qt.Assert(t, qt.ErrorIs(err, ErrNotExclusiveCapable))
	qt.Assert(t, qt.Equals(maps, 1))
	assertNothingLeft(t)
}

func TestCanLoad(t *testing.T) {
	good := Features{Scheme: bundle.Payload, Signatures: Yes, ExclusiveMaps: Yes, Loaders: Yes, CORE: Yes, InitialUserNamespace: true}
	qt.Assert(t, qt.IsNil(good.CanLoadSigned()))
	qt.Assert(t, qt.IsNil(good.CanLoadUnsigned()))
	for _, test := range []struct {
		change           func(*Features)
		signed, unsigned error
		says             string
	}{
		{func(f *Features) { f.BTFError = os.ErrNotExist }, ErrNoKernelBTF, nil, "CONFIG_DEBUG_INFO_BTF"},
		{func(f *Features) { f.Scheme = 0 }, ErrNotExclusiveCapable, nil, "CVE-2026-80675"},
		{func(f *Features) { f.Signatures = No }, ErrVerificationUnavailable, nil, "CONFIG_SYSTEM_DATA_VERIFICATION"},
		{func(f *Features) { f.MissingCapabilities = []string{"CAP_BPF"} }, ErrMissingCapability, ErrMissingCapability, "CAP_BPF"},
		{func(f *Features) { f.InitialUserNamespace = false }, ErrMissingCapability, ErrMissingCapability, "user namespace"},
		{func(f *Features) { f.Loaders, f.Scheme = No, 0 }, ErrNotExclusiveCapable, ErrLoadersUnsupported, "Linux 5.14"},
		{func(f *Features) { f.Loaders = Unknown }, nil, ErrDenied, "unsigned bundles:            cannot load: a security policy"},
		{func(f *Features) { f.CORE = No }, nil, nil, "Linux 5.17"},
	} {
		f := good
		test.change(&f)
		qt.Assert(t, qt.ErrorIs(f.CanLoadSigned(), test.signed))
		qt.Assert(t, qt.ErrorIs(f.CanLoadUnsigned(), test.unsigned))
		qt.Assert(t, qt.StringContains(f.String(), test.says))
	}
}

// The probe gives no advice that cannot work on this kernel.
func TestAdvice(t *testing.T) {
	keyrings := []KeyringState{{KeyringBuiltin, Yes, 0}, {KeyringSecondary, No, -1}, {KeyringSession, Yes, 0}}
	signs := Features{Scheme: bundle.MapHash, Signatures: Yes, ExclusiveMaps: Yes, Loaders: Yes, CORE: Yes, InitialUserNamespace: true, Keyrings: keyrings}
	unsignedOnly := Features{Signatures: No, ExclusiveMaps: No, Loaders: Yes, CORE: Yes, InitialUserNamespace: true, Keyrings: keyrings}
	without := signs
	without.Signatures = No
	nothing := unsignedOnly
	nothing.Loaders, nothing.CORE = No, No
	for _, test := range []struct {
		name         string
		f            Features
		says, silent []string
	}{
		{"signs", signs, []string{"bpfload -unsigned", "-enroll", "CONFIG_SECONDARY_TRUSTED_KEYRING"}, []string{"newer"}},
		{"too old to sign", unsignedOnly, []string{"bpfload -unsigned", "signatures came with Linux 6.18"},
			[]string{"-enroll", "CONFIG_SYSTEM_DATA_VERIFICATION", "CONFIG_SECONDARY_TRUSTED_KEYRING", "CONFIG_SYSTEM_TRUSTED_KEYS"}},
		{"built without signatures", without, []string{"bpfload -unsigned", "CONFIG_SYSTEM_DATA_VERIFICATION"}, []string{"-enroll", "newer"}},
		{"too old to load", nothing, []string{"Linux 5.14"}, []string{"-unsigned", "-enroll", "5.17", "CONFIG_"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := test.f.String()
			for _, s := range test.says {
				qt.Check(t, qt.StringContains(text, s))
			}
			for _, s := range test.silent {
				qt.Check(t, qt.IsFalse(strings.Contains(text, s)), qt.Commentf("%s in\n%s", s, text))
			}
		})
	}
}

func TestParseKeys(t *testing.T) {
	const keys = `147d6c59 I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: empty
17d936dd I--Q---     2 perm 1f3f0000     0 65534 keyring   _uid.0: 3
2385433f I------     1 perm 1f030000     0     0 asymmetri Debian Secure Boot CA: 6ccece7e: X509.rsa 0d28c2c7 []
29aac2f5 I--Q---     1 perm 0c030000     0 65534 keyring   .with: colon: 2
nonsense
`
	qt.Assert(t, qt.DeepEquals(parseKeys(keys), map[string]int{".builtin_trusted_keys": 0, "_uid.0": 3}))
	qt.Assert(t, qt.DeepEquals(parseKeySerials(keys), map[uint32]int{0x147d6c59: 0, 0x17d936dd: 3}))
}

func TestReadTypes(t *testing.T) {
	dir := t.TempDir()
	qt.Assert(t, qt.ErrorIs(readTypes(filepath.Join(dir, "absent")).err, os.ErrNotExist))
	for name, content := range map[string]string{"empty": "", "garbage": "this is not BTF, and long enough for a header"} {
		path := filepath.Join(dir, name)
		qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte(content), 0o600)))
		got := readTypes(path)
		qt.Assert(t, qt.IsNotNil(got.err))
		qt.Assert(t, qt.Equals(got.scheme(), 0))
	}
}

func TestScheme(t *testing.T) {
	var both types
	both.facts.Excl, both.facts.Sig = true, true
	qt.Assert(t, qt.Equals(both.scheme(), bundle.MapHash)) // 7.2 has both
	both.err = os.ErrNotExist
	qt.Assert(t, qt.Equals(both.scheme(), 0))
}
