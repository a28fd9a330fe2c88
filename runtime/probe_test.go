//go:build linux

package runtime

import (
	"os"
	"path/filepath"
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
	}{
		{unix.E2BIG, unix.E2BIG, No, No},
		{unix.EINVAL, unix.EBADMSG, No, Yes},
		{unix.EPERM, unix.EPERM, Unknown, Unknown},
		{unix.EPERM, unix.EOPNOTSUPP, Unknown, No},
	} {
		f := probe(answering(test.mapCreate, test.progLoad), types{err: os.ErrNotExist})
		qt.Assert(t, qt.Equals(f.ExclusiveMaps, test.exclusive))
		qt.Assert(t, qt.Equals(f.Signatures, test.signs))
		qt.Assert(t, qt.ErrorIs(f.CanLoadSigned(), ErrNoKernelBTF))
	}
}

func TestCanLoadSigned(t *testing.T) {
	good := Features{Scheme: bundle.Payload, Signatures: Yes, ExclusiveMaps: Yes, InitialUserNamespace: true}
	qt.Assert(t, qt.IsNil(good.CanLoadSigned()))
	for _, test := range []struct {
		change func(*Features)
		want   error
		says   string
	}{
		{func(f *Features) { f.BTFError = os.ErrNotExist }, ErrNoKernelBTF, "CONFIG_DEBUG_INFO_BTF"},
		{func(f *Features) { f.Scheme = 0 }, ErrNotExclusiveCapable, "CVE-2026-80675"},
		{func(f *Features) { f.Signatures = No }, ErrVerificationUnavailable, "CONFIG_SYSTEM_DATA_VERIFICATION"},
		{func(f *Features) { f.MissingCapabilities = []string{"CAP_BPF"} }, ErrMissingCapability, "CAP_BPF"},
		{func(f *Features) { f.InitialUserNamespace = false }, ErrMissingCapability, "user namespace"},
	} {
		f := good
		test.change(&f)
		qt.Assert(t, qt.ErrorIs(f.CanLoadSigned(), test.want))
		qt.Assert(t, qt.StringContains(f.String(), test.says))
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
