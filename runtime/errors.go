//go:build linux

package runtime

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
)

// Errors of Load. Use errors.Is to test for one of them, or for the kernel's errno, and errors.As with a *LoadError for the
// details.
var (
	// ErrNoKernelBTF: a kernel built without BTF (CONFIG_DEBUG_INFO_BTF) does not let a loader read its map, and does not
	// show how it attests loaders.
	ErrNoKernelBTF = errors.New("the kernel has no usable type information (BTF)")
	// ErrNotExclusiveCapable: neither the kernel nor a loader can check that the metadata map belongs to the loader alone, so
	// anyone allowed to use bpf(2) could replace what was signed.
	ErrNotExclusiveCapable = errors.New("the kernel cannot enforce exclusivity of the metadata map")
	// ErrLoadersUnsupported: the kernel has no programs of type syscall, which loaders are. They came with Linux 5.14.
	ErrLoadersUnsupported = errors.New("the kernel cannot run loaders: it has no programs of type syscall")
	// ErrVerificationUnavailable: the kernel was built without CONFIG_SYSTEM_DATA_VERIFICATION, or without the signature's
	// algorithm.
	ErrVerificationUnavailable = errors.New("the kernel cannot verify this signature")
	// ErrKeyNotInKeyring: none of the trusted keyrings holds a key that signed the bundle.
	ErrKeyNotInKeyring = errors.New("no keyring holds a key that signed this bundle")
	// ErrSignatureRejected: a keyring has the key, but the signature does not match these bytes.
	ErrSignatureRejected = errors.New("the kernel rejected the signature")
	// ErrTampered: the loader is the signer's, but its metadata or the bundle's description is not.
	ErrTampered = errors.New("the bundle was tampered with")
	// ErrVerifierRefused: the kernel's verifier rejected the loader or one of the bundle's programs. LoadError.Log says why.
	ErrVerifierRefused = errors.New("the kernel's verifier refused a program")
	// ErrLoaderFailed: the loader could not create one of the maps or programs.
	ErrLoaderFailed = errors.New("the loader could not make its maps and programs")
	// ErrMissingCapability: the process lacks a capability, or has it only in its own user namespace.
	ErrMissingCapability = errors.New("a capability is missing")
	// ErrDenied: the process has the capabilities, but a security policy of the host (an LSM) denied the load.
	ErrDenied = errors.New("a security policy of the host denied it")
	// ErrMemlock: RLIMIT_MEMLOCK or the memory cgroup's limit is too low.
	ErrMemlock = errors.New("a memory limit is too low")
	// ErrTooManyFiles: the process, or the machine, is out of file descriptors.
	ErrTooManyFiles = errors.New("out of file descriptors")
	// ErrUnsigned: the bundle's loader for this kernel has no signature.
	ErrUnsigned = errors.New("the bundle is not signed")
	// ErrKeyKind: the bundle has no signature by a key of a kind in RequireKinds.
	ErrKeyKind = errors.New("no signature is by a key of a required kind")
	// ErrNoLoader: the bundle has no loader for the scheme that this kernel attests with.
	ErrNoLoader = errors.New("the bundle has no loader for this kernel")
	// ErrSchemeNotAllowed: the kernel's scheme is not in RequireSchemes.
	ErrSchemeNotAllowed = errors.New("the kernel's attestation scheme is not one of those required")
	// ErrWrongEndian: the object was compiled for hosts of the other byte order.
	ErrWrongEndian = errors.New("the bundle is for the other byte order")
	// ErrEnroll: the certificate could not be added to the session keyring.
	ErrEnroll = errors.New("the certificate cannot be enrolled")
	// ErrPinExists: something is already pinned at a map's path.
	ErrPinExists = errors.New("something is pinned there already")
	// ErrPin: a map cannot be pinned, for another reason.
	ErrPin = errors.New("a map cannot be pinned")
)

// Step is a step of a load, in words that follow "cannot".
type Step string

// The steps of a load, in order.
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

// LoadError describes a failed load: the step, the reason, and what to do about it.
type LoadError struct {
	// Object is the name of the object file that the bundle was made from, according to the bundle.
	Object string
	Step   Step
	// Err is one of this package's errors, or that of a canceled context.
	Err error
	// Errno is the kernel's answer, or 0 if the error is not the kernel's.
	Errno unix.Errno
	// Detail says more about this case, and Hint what to do.
	Detail, Hint string
	// Log is the verifier's log, empty if it wrote none.
	Log string
	// cause is an error of another package that errors.Is finds too, or nil.
	cause error
}

// Error returns everything in one line, with an excerpt of the log.
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
	return printable.Text(s.String())
}

// Unwrap makes errors.Is find the sentinel and the errno, and bundle.ErrContract beside ErrTampered.
func (e *LoadError) Unwrap() []error {
	all := []error{e.Err}
	if e.Errno != 0 {
		all = append(all, e.Errno)
	}
	if e.cause != nil {
		all = append(all, e.cause)
	}
	return all
}

// ErrnoName returns the name of Errno, such as "EKEYREJECTED", or "" if Errno is 0.
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

// Excerpt returns the end of a verifier log in one line: the complaint, the instruction it is about, and the line of source
// that the instruction comes from. It is empty if the log has no complaint.
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
	return printable.Text(complaint)
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
