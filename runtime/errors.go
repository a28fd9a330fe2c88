//go:build linux

package runtime

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// What a load can fail with: errors.Is finds these in what Load returns, and errors.As a *LoadError with the details.
// Where the kernel gave an errno, errors.Is finds that one as well.
var (
	// ErrNoKernelBTF: without type information of its own (CONFIG_DEBUG_INFO_BTF), a kernel does not let a loader look at its
	// map, and does not say which scheme it attests with.
	ErrNoKernelBTF = errors.New("the kernel has no usable type information (BTF)")
	// ErrNotExclusiveCapable: the kernel can tie the metadata map to the loader in no way that the loader or the kernel
	// itself would check, so whoever may use bpf(2) could exchange what was signed.
	ErrNotExclusiveCapable = errors.New("the kernel cannot enforce exclusivity of the metadata map")
	// ErrVerificationUnavailable: the kernel was built without what verifies signatures
	// (CONFIG_SYSTEM_DATA_VERIFICATION, or the signature's algorithm).
	ErrVerificationUnavailable = errors.New("the kernel cannot verify this signature")
	// ErrKeyNotInKeyring: no keyring that was asked holds a key that signed the bundle.
	ErrKeyNotInKeyring = errors.New("no keyring holds a key that signed this bundle")
	// ErrSignatureRejected: a keyring has the key, and the signature is not its signature of these bytes.
	ErrSignatureRejected = errors.New("the kernel rejected the signature")
	// ErrTampered: the loader is the signer's, and what came with it is not.
	ErrTampered = errors.New("the bundle was tampered with")
	// ErrVerifierRefused: the kernel's verifier refused the loader or one of the bundle's programs. LoadError.Log says why.
	ErrVerifierRefused = errors.New("the kernel's verifier refused a program")
	// ErrLoaderFailed: the loader ran, and one of the maps or programs could not be made.
	ErrLoaderFailed = errors.New("the loader could not make its maps and programs")
	// ErrMissingCapability: the process lacks a capability, or has it in its user namespace only.
	ErrMissingCapability = errors.New("a capability is missing")
	// ErrDenied: the process has the capabilities, and a security policy of the host (an LSM) said no.
	ErrDenied = errors.New("a security policy of the host denied it")
	// ErrMemlock: RLIMIT_MEMLOCK or the memory cgroup's limit is too low.
	ErrMemlock = errors.New("a memory limit is too low")
	// ErrTooManyFiles: the process, or the machine, is out of file descriptors.
	ErrTooManyFiles = errors.New("out of file descriptors")
	// ErrUnsigned: the bundle has a loader for this kernel, and nobody signed it.
	ErrUnsigned = errors.New("the bundle is not signed")
	// ErrKeyKind: no key of a kind that RequireKinds names signed the bundle.
	ErrKeyKind = errors.New("no signature is by a key of a required kind")
	// ErrNoLoader: the bundle has no loader for the scheme that this kernel attests with.
	ErrNoLoader = errors.New("the bundle has no loader for this kernel")
	// ErrSchemeNotAllowed: the kernel attests with a scheme that RequireSchemes does not name.
	ErrSchemeNotAllowed = errors.New("the kernel's attestation scheme is not one of those required")
	// ErrWrongEndian: the object was compiled for hosts of the other byte order.
	ErrWrongEndian = errors.New("the bundle is for the other byte order")
	// ErrEnroll: the certificate could not be added to the session keyring.
	ErrEnroll = errors.New("the certificate cannot be enrolled")
	// ErrPinExists: a map is to be pinned where something is already.
	ErrPinExists = errors.New("something is pinned there already")
	// ErrPin: a map cannot be pinned for another reason.
	ErrPin = errors.New("a map cannot be pinned")
)

// Step is a part of a load, in words that follow "cannot".
type Step string

// The steps in their order.
const (
	StepChoose  Step = "choose a loader"
	StepEnroll  Step = "enroll the certificate"
	StepCreate  Step = "create the metadata map"
	StepFill    Step = "fill the metadata map"
	StepFreeze  Step = "freeze the metadata map"
	StepHash    Step = "have the metadata map hashed"
	StepLoad    Step = "load the loader"
	StepRun     Step = "run the loader"
	StepCollect Step = "take over maps and programs"
	StepPin     Step = "pin the maps"
)

// LoadError is what Load returns when it fails: at which step, why, and what to do about it.
type LoadError struct {
	// Object is the name of the object file that the bundle was made from, as the bundle says.
	Object string
	Step   Step
	// Err is one of this package's errors, or that of a canceled context.
	Err error
	// Errno is the kernel's answer, or 0 when it was not asked.
	Errno unix.Errno
	// Detail says more about this case, and Hint what to do.
	Detail, Hint string
	// Log is the verifier's, empty when it wrote none.
	Log string
}

// Error says all but the whole log in one line.
func (e *LoadError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "load %s: cannot %s: %v", e.Object, e.Step, e.Err)
	if e.Errno != 0 {
		fmt.Fprintf(&s, ": %s (%s)", errnoName(e.Errno), e.Errno.Error())
	}
	for _, more := range []string{e.Detail, Excerpt(e.Log), e.Hint} {
		if more != "" {
			s.WriteString(": " + more)
		}
	}
	return s.String()
}

// Unwrap makes errors.Is find both the sentinel and the errno.
func (e *LoadError) Unwrap() []error {
	if e.Errno == 0 {
		return []error{e.Err}
	}
	return []error{e.Err, e.Errno}
}

// ErrnoName returns the name of Errno, such as "EKEYREJECTED", or nothing when it is 0.
func (e *LoadError) ErrnoName() string {
	if e.Errno == 0 {
		return ""
	}
	return errnoName(e.Errno)
}

func errnoName(errno unix.Errno) string {
	const enotsupp = 524 // include/linux/errno.h: the kernel's own, and it gets out
	switch errno {
	case enotsupp:
		return "ENOTSUPP"
	case unix.EOPNOTSUPP: // the same number as ENOTSUP, and the kernel never means that
		return "EOPNOTSUPP"
	}
	if name := unix.ErrnoName(errno); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", int(errno))
}

// Excerpt returns what a verifier log says in the end, in one line: the complaint, the instruction that it is about, and
// the line of source that the instruction is from. It is empty when the log holds no complaint.
func Excerpt(log string) string {
	// From Linux 7.3, a report for people follows (kernel/bpf/diagnostics.c): its title will do.
	log, report, _ := strings.Cut(log, "\nVerification failed: ")
	var complaint, insn, source string
	for _, line := range strings.Split(log, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || isStatistics(line):
		case strings.HasPrefix(line, ";"):
			source = strings.TrimSpace(strings.TrimLeft(line, "; "))
		case isInstruction(line):
			insn, complaint = line, ""
		default:
			complaint = line
		}
	}
	if complaint == "" {
		complaint, _, _ = strings.Cut(report, "\n")
	}
	if complaint == "" {
		return ""
	}
	if insn != "" {
		complaint += fmt.Sprintf(", at %q", insn)
	}
	if source != "" {
		complaint += fmt.Sprintf(", from %q", source)
	}
	return complaint
}

// isStatistics says whether a line is one of those that the verifier ends every log with (print_verification_stats).
func isStatistics(line string) bool {
	for _, prefix := range []string{"processed ", "verification time ", "stack depth ", "mark_precise: ", "insns processed "} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// isInstruction says whether a line is an instruction or the state before one: "12: (79) r1 = *(u64 *)(r1 +0)".
func isInstruction(line string) bool {
	number, _, ok := strings.Cut(line, ":")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}
