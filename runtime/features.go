//go:build linux

package runtime

import (
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Features describes the kernel's support for loaders and what this process is allowed to do.
type Features struct {
	// BTFError is why the kernel's BTF cannot be used, or nil.
	BTFError error
	// ExclusiveMaps: BPF_MAP_CREATE takes excl_prog_hash.
	ExclusiveMaps Answer
	// Scheme is how the kernel attests loaders, 0 if it cannot.
	Scheme bundle.Scheme
	// Signatures: BPF_PROG_LOAD verifies them.
	Signatures Answer
	// Loaders: BPF_PROG_LOAD takes programs of the loaders' type, BPF_PROG_TYPE_SYSCALL, without a signature.
	Loaders Answer
	// CORE: the kernel applies CO-RE relocations, which loaders leave to it.
	CORE Answer
	// Keyrings are the keyrings that have names.
	Keyrings []KeyringState
	// Lockdown is "none", "integrity" or "confidentiality", or empty if the kernel has no lockdown.
	Lockdown string
	// MissingCapabilities are those that a load may need and the process does not have.
	MissingCapabilities []string
	// InitialUserNamespace: capabilities of the process count for bpf(2).
	InitialUserNamespace bool
}

// CanLoadSigned returns nil if a signed bundle can load, provided a keyring holds its key, or else the reason why not.
func (f *Features) CanLoadSigned() error {
	switch {
	case f.BTFError != nil:
		return fmt.Errorf("%w: %w", ErrNoKernelBTF, f.BTFError)
	case f.Scheme == 0:
		return ErrNotExclusiveCapable
	case f.Signatures == No:
		return ErrVerificationUnavailable
	}
	return f.allowed()
}

// CanLoadUnsigned returns nil if a bundle can load with AllowUnsigned, or else the reason why not. Which of a bundle's maps and
// programs a kernel knows, only the load tells.
func (f *Features) CanLoadUnsigned() error {
	if f.Loaders == No {
		return ErrLoadersUnsupported
	}
	if err := f.allowed(); err != nil {
		return err
	}
	if f.Loaders == Unknown { // the process has all capabilities, and a program that does nothing was not loaded
		return fmt.Errorf("%w, or before Linux 5.11 RLIMIT_MEMLOCK is too low", ErrDenied)
	}
	return nil
}

// allowed is about the process.
func (f *Features) allowed() error {
	switch {
	case len(f.MissingCapabilities) > 0:
		return fmt.Errorf("%w: %s", ErrMissingCapability, strings.Join(f.MissingCapabilities, ", "))
	case !f.InitialUserNamespace:
		return fmt.Errorf("%w: in a user namespace", ErrMissingCapability)
	}
	return nil
}

// String returns a table for people: what the kernel can do, and what to change. It advises only what can help on this
// kernel.
func (f *Features) String() string {
	var t table
	t.loads(f)
	t.kernel(f)
	for _, k := range f.Keyrings {
		t.keyring(k, f.CanLoadSigned() == nil)
	}
	t.process(f)
	return t.String()
}

type table struct{ strings.Builder }

func (t *table) row(what, how, advice string) {
	fmt.Fprintf(t, "%-28s %s\n", what+":", how)
	if advice != "" {
		fmt.Fprintf(t, "%-28s -> %s\n", "", advice)
	}
}

// when returns advice if a condition holds.
func when(condition bool, advice string) string {
	if condition {
		return advice
	}
	return ""
}

func (t *table) loads(f *Features) {
	load := func(what, how string, err error) {
		if err != nil {
			how = "cannot load: " + err.Error()
		}
		t.row(what, how, "")
	}
	load("signed bundles", "can load, with a key in one of the keyrings below", f.CanLoadSigned())
	load("unsigned bundles", "can load, for development: bpfload -unsigned", f.CanLoadUnsigned())
}

func (t *table) kernel(f *Features) {
	t.row("loaders", f.Loaders.String(), when(f.Loaders == No, "use a newer kernel: programs of type syscall came with Linux 5.14"))
	t.row("CO-RE", f.CORE.String(), when(f.Loaders == Yes && f.CORE == No, "use a newer kernel for programs with CO-RE relocations: Linux 5.17"))
	t.row("kernel type information", answer(f.BTFError == nil).String(), when(f.BTFError != nil, "signed loads need a kernel built with CONFIG_DEBUG_INFO_BTF"))
	t.row("exclusive maps", f.ExclusiveMaps.String(), when(f.ExclusiveMaps == No, "use a newer kernel: they came with Linux 6.18"))
	switch {
	case f.BTFError != nil:
		t.row("attestation scheme", "unknown without type information", "")
	case f.Scheme != 0:
		t.row("attestation scheme", f.Scheme.String(), "")
	default:
		t.row("attestation scheme", "none", "use a kernel with the fix of CVE-2026-80675 (`excl` in struct bpf_map), or 7.3 or newer")
	}
	advice := "use a kernel built with CONFIG_SYSTEM_DATA_VERIFICATION"
	if f.ExclusiveMaps == No { // then it is too old for either, however it was built
		advice = "use a newer kernel: signatures came with Linux 6.18"
	}
	t.row("verifies signatures", f.Signatures.String(), when(f.Signatures == No, advice))
}

// keyring adds a keyring's row. Advice about keys is for kernels that would use them.
func (t *table) keyring(k KeyringState, useful bool) {
	how, advice := k.Exists.String(), ""
	switch {
	case k.Exists == Yes && k.Keys == 1:
		how = "1 key"
	case k.Exists == Yes && k.Keys > 1:
		how = fmt.Sprintf("%d keys", k.Keys)
	case k.Exists == Yes && k.Keys == 0:
		how = "empty"
	}
	switch {
	case k.ID == KeyringBPF && k.Exists == No:
		how = "no (no released kernel has it yet)"
	case k.ID == KeyringBuiltin && k.Keys == 0:
		advice = "keys get there when the kernel is built (CONFIG_SYSTEM_TRUSTED_KEYS)"
	case k.ID == KeyringSecondary && k.Exists == No:
		advice = "use a kernel built with CONFIG_SECONDARY_TRUSTED_KEYRING to add keys that a builtin key vouches for"
	case k.ID == KeyringSession && k.Keys == 0:
		advice = "for development: bpfload -enroll CERT.der"
	}
	t.row("keyring "+k.ID.String(), how, when(useful, advice))
}

func (t *table) process(f *Features) {
	if f.Lockdown != "" {
		t.row("lockdown", f.Lockdown, when(f.Lockdown == "confidentiality", "programs cannot read kernel memory (bpf_probe_read_kernel)"))
	}
	if len(f.MissingCapabilities) > 0 {
		t.row("missing capabilities", strings.Join(f.MissingCapabilities, ", "), "run as root, or with these; CAP_NET_ADMIN is for network programs only")
	}
	if !f.InitialUserNamespace {
		t.row("user namespace", "not the initial one", "load from outside: the capabilities in here do not count")
	}
}
