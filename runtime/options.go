//go:build linux

package runtime

import (
	"fmt"
	"log"
	"slices"
	"strconv"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// KeyringID identifies a keyring to trust: one of the constants, or the serial number of any keyring.
type KeyringID int32

// Keyrings with fixed numbers: include/linux/verification.h and include/uapi/linux/keyctl.h.
const (
	// KeyringBuiltin is .builtin_trusted_keys: the keys compiled into the kernel.
	KeyringBuiltin KeyringID = 0
	// KeyringSecondary is .secondary_trusted_keys, which includes the builtin keys: VERIFY_USE_SECONDARY_KEYRING.
	KeyringSecondary KeyringID = 1
	// KeyringPlatform is .platform: the firmware's keys, VERIFY_USE_PLATFORM_KEYRING.
	KeyringPlatform KeyringID = 2
	// KeyringSession is KEY_SPEC_SESSION_KEYRING: every process of the session can add keys to it.
	KeyringSession KeyringID = -3
	// KeyringUser is KEY_SPEC_USER_KEYRING: every process of the user can add keys to it.
	KeyringUser KeyringID = -4
	// KeyringBPF is KEY_SPEC_BPF_KEYRING: a keyring for BPF alone, under review after Linux 7.3. No released kernel has it.
	KeyringBPF KeyringID = -9
)

var keyringNames = []struct {
	id   KeyringID
	name string
}{
	{KeyringBuiltin, "builtin"},
	{KeyringSecondary, "secondary"},
	{KeyringPlatform, "platform"},
	{KeyringSession, "session"},
	{KeyringUser, "user"},
	{KeyringBPF, "bpf"},
}

// String returns the keyring's name, or its serial number.
func (id KeyringID) String() string {
	for _, k := range keyringNames {
		if k.id == id {
			return k.name
		}
	}
	return strconv.Itoa(int(id))
}

// ParseKeyring parses what KeyringID.String returns.
func ParseKeyring(s string) (KeyringID, error) {
	for _, k := range keyringNames {
		if k.name == s {
			return k.id, nil
		}
	}
	if serial, err := strconv.ParseInt(s, 0, 32); err == nil {
		return KeyringID(serial), nil
	}
	return 0, fmt.Errorf("unknown keyring %q: want builtin, secondary, platform, session, user, bpf or a serial number", s)
}

// system reports whether the kernel takes the number as one of its own keyrings (system_keyring_id_check).
func (id KeyringID) system() bool { return id >= KeyringBuiltin && id <= KeyringPlatform }

// config holds the options.
type config struct {
	keyrings    []KeyringID
	certificate []byte
	kinds       []bundle.Kind
	schemes     []bundle.Scheme
	unsigned    bool
	logLevel    uint32
	logf        func(format string, args ...any)
	pinRoot     string
}

// Option changes how Load works.
type Option func(*config)

func newConfig(opts []Option) *config {
	c := &config{logLevel: 1, logf: log.Printf, pinRoot: "/sys/fs/bpf"}
	for _, opt := range opts {
		opt(c)
	}
	if c.certificate != nil && !slices.Contains(c.keyrings, KeyringSession) {
		c.keyrings = append(c.keyrings, KeyringSession)
	}
	if len(c.keyrings) == 0 {
		c.keyrings = []KeyringID{KeyringBuiltin, KeyringSecondary}
	}
	return c
}

// Keyring trusts the keys in these keyrings, instead of the builtin and the secondary one. The kernel searches them in this
// order. LSM programs (bpf_prog_aux.sig) and Collection.SignedBy show which one held the key.
func Keyring(ids ...KeyringID) Option {
	return func(c *config) { c.keyrings = append(c.keyrings, ids...) }
}

// Enroll adds a certificate (X.509, DER) to the session keyring before the load, and trusts that keyring after those of
// Keyring. It is for development and tests: a process that enrolls keys decides for itself what to trust.
//
// If the process has no session keyring of its own, the kernel creates one that ends with the load.
func Enroll(certificate []byte) Option {
	return func(c *config) { c.certificate = slices.Clone(certificate) }
}

// RequireKinds accepts only signatures by keys of these kinds (bundle.KindProduction, ...). A key's kind is part of the
// bundle and not signed, so this catches mistakes. The keyring is what stops attackers.
func RequireKinds(kinds ...bundle.Kind) Option {
	return func(c *config) { c.kinds = append(c.kinds, kinds...) }
}

// RequireSchemes accepts only these attestation schemes.
func RequireSchemes(schemes ...bundle.Scheme) Option {
	return func(c *config) { c.schemes = append(c.schemes, schemes...) }
}

// AllowUnsigned loads without a signature, whether or not the bundle has one. It is for development, and each such load
// is logged. Without this option, nothing is loaded unsigned.
func AllowUnsigned() Option {
	return func(c *config) { c.unsigned = true }
}

// VerifierLog sets the level of the verifier's log: BPF_LOG_LEVEL1 (1, the default), BPF_LOG_LEVEL2 (2), BPF_LOG_STATS (4),
// or 0 for no log. Load requests a log only after a load has failed.
func VerifierLog(level uint32) Option {
	return func(c *config) { c.logLevel = level }
}

// Logf sets the function that gets warnings. The default is log.Printf.
func Logf(logf func(format string, args ...any)) Option {
	return func(c *config) { c.logf = logf }
}

// PinRoot sets the folder, on a bpf filesystem, for maps that the object pins by name (LIBBPF_PIN_BY_NAME). The default is
// /sys/fs/bpf.
func PinRoot(dir string) Option {
	return func(c *config) { c.pinRoot = dir }
}
