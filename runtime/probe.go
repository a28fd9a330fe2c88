//go:build linux

package runtime

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// Answer is what a probe found out.
type Answer uint8

// The answers. A probe that the process is not permitted to make does not know.
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

// Probe finds out what this kernel can do, from its BTF (which it reads once per process) and by calls that change nothing.
// It never looks at version numbers.
func Probe() *Features { return probe(sys.Native{}, kernelTypes()) }

func probe(kernel sys.Kernel, types types) *Features {
	f := &Features{
		BTFError:             types.err,
		ExclusiveMaps:        probeExclusive(kernel),
		Scheme:               types.scheme(),
		Signatures:           probeSignatures(kernel),
		Loaders:              probeLoad(kernel, func(*sys.ProgLoadAttr) {}),
		Keyrings:             probeKeyrings(kernel),
		Lockdown:             lockdown(),
		MissingCapabilities:  missingCapabilities(programCapabilities),
		InitialUserNamespace: initialUserNamespace(),
	}
	f.CORE = f.Loaders // nothing is known without a program that would load
	if f.Loaders == Yes {
		// With a size and no relocation, a kernel that knows CO-RE has nothing to do, and one that does not refuses the field.
		f.CORE = probeLoad(kernel, func(attr *sys.ProgLoadAttr) { attr.CORESize = 16 })
	}
	return f
}

// probeExclusive creates an exclusive map and closes it.
func probeExclusive(kernel sys.Kernel) Answer {
	var hash [sys.HashSize]byte
	fd, err := sys.MapCreate(kernel, &sys.MapCreateAttr{
		Type: sys.MapTypeArray, KeySize: 4, ValueSize: 8, MaxEntries: 1, ExclProgHash: sys.BytesPointer(hash[:]), ExclProgHashSize: sys.HashSize,
	})
	switch {
	case err == nil:
		closeFD(kernel, fd)
		return Yes
	case unknownField(err):
		return No
	}
	return Unknown
}

// unknownField reports whether a kernel may have refused an attribute because of a field that it does not know. It says
// EINVAL if the field lies within its own attribute of any command (CHECK_ATTR), and E2BIG if it lies beyond
// (bpf_check_uarg_tail_zero).
func unknownField(err error) bool { return err == unix.EINVAL || err == unix.E2BIG }

// probeSignatures shows the kernel a program with something that is not a signature: only a kernel that verifies
// signatures says so.
func probeSignatures(kernel sys.Kernel) Answer {
	err := loadNothing(kernel, func(attr *sys.ProgLoadAttr) {
		attr.Signature, attr.SignatureSize = sys.BytesPointer([]byte("x")), 1
	})
	switch {
	case err == unix.EBADMSG:
		return Yes
	case err == nil, err == unix.EOPNOTSUPP, unknownField(err): // nil: it did not even look
		return No
	}
	return Unknown
}

// probeLoad reports whether the kernel loads a program of the loaders' type that does nothing, with a change to the attribute.
func probeLoad(kernel sys.Kernel, change func(*sys.ProgLoadAttr)) Answer {
	switch err := loadNothing(kernel, change); {
	case err == nil:
		return Yes
	case unknownField(err):
		return No
	}
	return Unknown
}

// loadNothing loads a program of the loaders' type that does nothing, and closes it.
func loadNothing(kernel sys.Kernel, change func(*sys.ProgLoadAttr)) error {
	const (
		movImm = 0xb7 // BPF_ALU64 | BPF_MOV | BPF_K
		exit   = 0x95 // BPF_JMP | BPF_EXIT
	)
	insns := make([]byte, 2*bundle.InsnSize)
	insns[0], insns[bundle.InsnSize] = movImm, exit // r0 = 0; exit
	attr := sys.ProgLoadAttr{
		Type: sys.ProgTypeSyscall, Flags: sys.FlagSleepable, InsnCnt: 2, Insns: sys.BytesPointer(insns),
		License: sys.BytesPointer([]byte(loaderLicense)),
	}
	change(&attr)
	fd, err := sys.ProgLoad(kernel, &attr)
	if err == nil {
		closeFD(kernel, fd)
	}
	return err
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
