//go:build linux

package runtime

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// Answer is what a probe found out.
type Answer uint8

// The answers. A probe that may not ask does not know.
const (
	Unknown Answer = iota
	No
	Yes
)

func (a Answer) String() string { return [...]string{"unknown", "no", "yes"}[min(a, Yes)] }

func answer(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

// Features is what the running kernel can do for signed loaders, and what the process may.
type Features struct {
	// BTFError is why the kernel's type information cannot be used, or nil.
	BTFError error
	// ExclusiveMaps: BPF_MAP_CREATE takes excl_prog_hash.
	ExclusiveMaps Answer
	// Scheme is how the kernel attests loaders, 0 when it cannot.
	Scheme bundle.Scheme
	// Signatures: BPF_PROG_LOAD verifies them.
	Signatures Answer
	// Keyrings are the keyrings that have names.
	Keyrings []KeyringState
	// Lockdown is "none", "integrity" or "confidentiality", or empty where that module is not.
	Lockdown string
	// MissingCapabilities are those that a load may need and the process does not have.
	MissingCapabilities []string
	// InitialUserNamespace: capabilities of the process count for bpf(2).
	InitialUserNamespace bool
}

// KeyringState is what can be seen of a keyring.
type KeyringState struct {
	ID KeyringID
	// Exists is unknown where the process may not see the keyring.
	Exists Answer
	// Keys is how many keys and keyrings it holds, or -1 when that is unknown.
	Keys int
}

// Probe finds out what this kernel can do, by asking it: by its types (read once a process) and by calls that change
// nothing. It never looks at version numbers.
func Probe() *Features { return probe(sys.Native{}, kernelTypes()) }

func probe(kernel sys.Kernel, types types) *Features {
	return &Features{
		BTFError:             types.err,
		ExclusiveMaps:        probeExclusive(kernel),
		Scheme:               types.scheme(),
		Signatures:           probeSignatures(kernel),
		Keyrings:             probeKeyrings(kernel),
		Lockdown:             lockdown(),
		MissingCapabilities:  missingCapabilities(programCapabilities),
		InitialUserNamespace: initialUserNamespace(),
	}
}

// probeExclusive makes an exclusive map and lets it go.
func probeExclusive(kernel sys.Kernel) Answer {
	var hash [sys.HashSize]byte
	fd, err := sys.MapCreate(kernel, &sys.MapCreateAttr{
		Type: sys.MapTypeArray, KeySize: 4, ValueSize: 8, MaxEntries: 1, ExclProgHash: sys.BytesPointer(hash[:]), ExclProgHashSize: sys.HashSize,
	})
	switch err {
	case nil:
		_ = kernel.Close(fd)
		return Yes
	case unix.E2BIG, unix.EINVAL:
		return No
	}
	return Unknown
}

// probeSignatures shows the kernel a program with a signature that is none: only one that verifies says so.
func probeSignatures(kernel sys.Kernel) Answer {
	const (
		movImm = 0xb7 // BPF_ALU64 | BPF_MOV | BPF_K
		exit   = 0x95 // BPF_JMP | BPF_EXIT
	)
	insns := make([]byte, 2*bundle.InsnSize)
	insns[0], insns[bundle.InsnSize] = movImm, exit // r0 = 0; exit
	fd, err := sys.ProgLoad(kernel, &sys.ProgLoadAttr{
		Type: sys.ProgTypeSyscall, Flags: sys.FlagSleepable, InsnCnt: 2, Insns: sys.BytesPointer(insns),
		License: sys.BytesPointer([]byte(loaderLicense)), Signature: sys.BytesPointer([]byte("x")), SignatureSize: 1,
	})
	switch err {
	case unix.EBADMSG:
		return Yes
	case nil: // it did not even look
		_ = kernel.Close(fd)
		return No
	case unix.EOPNOTSUPP, unix.E2BIG, unix.EINVAL:
		return No
	}
	return Unknown
}

// probeKeyrings looks for the keyrings. The kernel's own are not for processes: /proc/keys may show them to root.
func probeKeyrings(kernel sys.Kernel) []KeyringState {
	listed, err := os.ReadFile("/proc/keys")
	counts := parseKeys(string(listed))
	bySerial := parseKeySerials(string(listed))
	system := map[KeyringID]string{KeyringBuiltin: ".builtin_trusted_keys", KeyringSecondary: ".secondary_trusted_keys", KeyringPlatform: ".platform"}
	var states []KeyringState
	for _, k := range keyringNames {
		s := KeyringState{ID: k.id, Keys: -1}
		if name, ok := system[k.id]; ok {
			n, ok := counts[name]
			switch {
			case ok:
				s.Exists, s.Keys = Yes, n
			case err == nil && len(counts) > 0 && os.Geteuid() == 0:
				s.Exists = No
			}
		} else if serial, err := kernel.FindKeyring(int(k.id)); err == nil {
			s.Exists = Yes
			if n, ok := bySerial[uint32(serial)]; ok {
				s.Keys = n
			}
		} else {
			s.Exists = No
		}
		states = append(states, s)
	}
	return states
}

// keyringLines calls f for each keyring in /proc/keys, whose lines end in "keyring   .builtin_trusted_keys: 2" and begin
// with the serial number (proc_keys_show, security/keys/proc.c).
func keyringLines(keys string, f func(serial uint32, name string, n int)) {
	for _, line := range strings.Split(keys, "\n") {
		before, what, ok := strings.Cut(line, " keyring ")
		fields := strings.Fields(before)
		name, count, ok2 := strings.Cut(strings.TrimSpace(what), ": ")
		if !ok || !ok2 || len(fields) == 0 {
			continue
		}
		serial, err := strconv.ParseUint(fields[0], 16, 32)
		if err != nil {
			continue
		}
		n, err := strconv.Atoi(count)
		if err != nil && count != "empty" {
			continue
		}
		f(uint32(serial), name, n)
	}
}

func parseKeys(keys string) map[string]int {
	m := map[string]int{}
	keyringLines(keys, func(_ uint32, name string, n int) { m[name] = n })
	return m
}

func parseKeySerials(keys string) map[uint32]int {
	m := map[uint32]int{}
	keyringLines(keys, func(serial uint32, _ string, n int) { m[serial] = n })
	return m
}

// lockdown reads the level in brackets: "none [integrity] confidentiality".
func lockdown() string {
	data, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(data), "[")
	level, _, _ := strings.Cut(rest, "]")
	return level
}

// CanLoadSigned says whether a signed bundle can load, its key aside, and if not, why.
func (f *Features) CanLoadSigned() error {
	switch {
	case f.BTFError != nil:
		return fmt.Errorf("%w: %w", ErrNoKernelBTF, f.BTFError)
	case f.Scheme == 0:
		return ErrNotExclusiveCapable
	case f.Signatures == No:
		return ErrVerificationUnavailable
	case len(f.MissingCapabilities) > 0:
		return fmt.Errorf("%w: %s", ErrMissingCapability, strings.Join(f.MissingCapabilities, ", "))
	case !f.InitialUserNamespace:
		return fmt.Errorf("%w: in a user namespace", ErrMissingCapability)
	}
	return nil
}

// String tells a person what the kernel can do, and what to change.
func (f *Features) String() string {
	var s strings.Builder
	row := func(what, how, advice string) {
		fmt.Fprintf(&s, "%-28s %s\n", what+":", how)
		if advice != "" {
			fmt.Fprintf(&s, "%-28s -> %s\n", "", advice)
		}
	}
	advise := func(when bool, advice string) string {
		if when {
			return advice
		}
		return ""
	}
	if err := f.CanLoadSigned(); err != nil {
		row("signed bundles", "cannot load: "+err.Error(), "")
	} else {
		row("signed bundles", "can load, with a key in one of the keyrings below", "")
	}
	row("kernel type information", answer(f.BTFError == nil).String(), advise(f.BTFError != nil, "use a kernel built with CONFIG_DEBUG_INFO_BTF"))
	row("exclusive maps", f.ExclusiveMaps.String(), advise(f.ExclusiveMaps == No, "use a newer kernel: they came with Linux 6.18"))
	switch {
	case f.BTFError != nil:
		row("attestation scheme", "unknown without type information", "")
	case f.Scheme != 0:
		row("attestation scheme", f.Scheme.String(), "")
	default:
		row("attestation scheme", "none", "use a kernel with the fix of CVE-2026-80675 (`excl` in struct bpf_map), or 7.3")
	}
	row("verifies signatures", f.Signatures.String(),
		advise(f.Signatures == No, "use a kernel built with CONFIG_SYSTEM_DATA_VERIFICATION; bpfload -unsigned is for development"))
	for _, k := range f.Keyrings {
		how, advice := k.Exists.String(), ""
		switch {
		case k.Exists == Yes && k.Keys > 0:
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
		row("keyring "+k.ID.String(), how, advice)
	}
	if f.Lockdown != "" {
		row("lockdown", f.Lockdown, advise(f.Lockdown == "confidentiality", "programs cannot read kernel memory (bpf_probe_read_kernel)"))
	}
	if len(f.MissingCapabilities) > 0 {
		row("missing capabilities", strings.Join(f.MissingCapabilities, ", "), "run as root, or with these; CAP_NET_ADMIN is for network programs only")
	}
	if !f.InitialUserNamespace {
		row("user namespace", "not the initial one", "load from outside: the capabilities in here do not count")
	}
	return s.String()
}
