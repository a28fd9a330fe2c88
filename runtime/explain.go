//go:build linux

package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// explain is the last stage of a load that failed: it turns the kernel's answer into one of this package's errors, and
// says what to do.
func explain(j *job, f *fault, o *outcome) *LoadError {
	m := meaningOf(j, f, o)
	return &LoadError{
		Object: j.bundle.Object.Name, Step: f.step, Err: m.err, Errno: f.errno(), Detail: m.detail, Hint: m.hint, Log: o.log,
	}
}

// meaning is what a fault means: one of this package's errors, more about this case, and what to do.
type meaning struct {
	err          error
	detail, hint string
}

func meaningOf(j *job, f *fault, o *outcome) meaning {
	var noKeyring *keyringError
	var unsupported *noLoaders
	var differs *mismatch
	switch {
	case errors.Is(f.err, context.Canceled), errors.Is(f.err, context.DeadlineExceeded):
		return meaning{err: f.err}
	case errors.As(f.err, &noKeyring):
		return meaning{ErrKeyNotInKeyring, f.err.Error(), "name a keyring that exists: `keyctl show` lists them"}
	case errors.As(f.err, &unsupported):
		return meaning{ErrLoadersUnsupported, "", "use Linux 5.14 or newer"}
	case errors.As(f.err, &differs):
		return meaning{ErrTampered, f.err.Error(), useAsBuilt}
	case f.step == StepPin:
		return pinMeaning(f)
	case f.errno() == 0:
		return meaning{ErrLoaderFailed, f.err.Error(), ""}
	case f.step == StepEnroll:
		return enrollMeaning(j, f)
	}
	return errnoMeaning(j, f, o)
}

const useAsBuilt = "use the bundle as it was built"

// errnoMeaning is about what the kernel itself said, first of what it says at any step.
func errnoMeaning(j *job, f *fault, o *outcome) meaning {
	switch f.errno() {
	case unix.EMFILE, unix.ENFILE:
		const others = 3 // metadata map, loader, and the loader's own BTF
		needs := len(j.bundle.Maps) + len(j.bundle.Programs) + others
		return meaning{ErrTooManyFiles, fmt.Sprintf("the loader needs %d of them", needs), "raise the limit: `ulimit -n`, LimitNOFILE="}
	case unix.ENOMEM:
		return meaning{ErrMemlock, "", "raise the memory cgroup's limit (memory.max)"}
	case unix.EPERM:
		return permissionMeaning(j, f, o)
	}
	switch f.step {
	case StepCreate:
		if !j.unsigned && unknownField(f.errno()) {
			return meaning{ErrNotExclusiveCapable, "it does not know exclusive maps", "update the kernel"}
		}
	case StepLoad:
		return loadMeaning(j, f, o)
	case StepRun:
		return runMeaning(j, f, o)
	}
	m := meaning{err: ErrLoaderFailed}
	if f.err != f.errno() { // it says more than the errno, such as which map it was
		m.detail = f.err.Error()
	}
	return m
}

// loadMeaning is about what BPF_PROG_LOAD said of the loader.
func loadMeaning(j *job, f *fault, o *outcome) meaning {
	if j.unsigned {
		return meaning{ErrVerifierRefused, "", "this is a bug of the loader's generator, or the kernel is older than it expects"}
	}
	var ids []string
	for _, s := range j.signatures {
		ids = append(ids, fmt.Sprintf("%x", s.KeyID))
	}
	signedBy := "signed by " + strings.Join(ids, ", ")
	switch errno := f.errno(); errno {
	case unix.ENOKEY:
		return meaning{ErrKeyNotInKeyring, fmt.Sprintf("%s, asked: %v", signedBy, j.keyrings),
			"add the signer's certificate to one of these keyrings, or name the keyring that has it (Keyring, Enroll)"}
	case unix.EKEYREJECTED, unix.EBADMSG, unix.EKEYREVOKED, unix.EKEYEXPIRED, unix.ELIBBAD, unix.ENODATA:
		return meaning{ErrSignatureRejected, signedBy, signatureHint(errno)}
	case unix.EINVAL:
		if o.log == "" || strings.Contains(o.log, "signature verification failed") { // pkcs7_parse_message says this, too
			return meaning{ErrSignatureRejected, signedBy, signatureHint(unix.EBADMSG)}
		}
	case unix.ENOPKG:
		return meaning{ErrVerificationUnavailable, "", "sign with an algorithm that the kernel has: RSA with SHA-256 works wherever CONFIG_CRYPTO_RSA is"}
	case unix.EOPNOTSUPP, unix.ENOENT:
		return meaning{ErrVerificationUnavailable, "", "use a kernel built with CONFIG_SYSTEM_DATA_VERIFICATION; AllowUnsigned (bpfload -unsigned) is for development"}
	case unix.E2BIG:
		if j.attestation.SignsMap && o.log == "" {
			return meaning{ErrVerificationUnavailable, "", "the kernel does not know signatures, or the bundle is too large for one"}
		}
	}
	return meaning{ErrVerifierRefused, "", "this is a bug of the loader's generator, or of the kernel's reading of it"}
}

// signatureHint says what to do about a signature that the kernel rejected.
func signatureHint(errno unix.Errno) string {
	switch errno {
	case unix.EBADMSG:
		return "the signature is damaged: sign the bundle again"
	case unix.EKEYREVOKED:
		return "the key or its keyring is revoked"
	case unix.EKEYEXPIRED:
		return "the key or its keyring has expired"
	}
	return "the bundle was changed after it was signed, or the host has the key on its blacklist: " + useAsBuilt
}

// runMeaning is about what the loader returned. A loader that checks its map returns -EINVAL if it is not the signer's.
func runMeaning(j *job, f *fault, o *outcome) meaning {
	errno := f.errno()
	if errno == unix.EINVAL && j.attestation.LoaderChecks && !j.bundle.HoldsDigest(j.loader) {
		return meaning{ErrTampered, "the metadata is not what the loader was made for", useAsBuilt}
	}
	at := whereFailed(j.bundle, o.context)
	m := meaning{err: ErrLoaderFailed, detail: "at " + at.what}
	switch {
	case at.program != nil && Excerpt(o.log) != "":
		m.err = ErrVerifierRefused
	case at.bpfMap != nil && at.bpfMap.MaxEntries == 0 && hasEntries(at.bpfMap) && errno == unix.EINVAL:
		m.hint = "give map " + at.bpfMap.Name + " its max_entries in the source: what is signed cannot be changed when it is loaded"
	default:
		m.hint = map[unix.Errno]string{
			unix.ENOENT:     "the kernel lacks a function or type that the object attaches to or uses",
			unix.ESRCH:      "the kernel lacks a function or type that the object attaches to or uses",
			unix.EINVAL:     "the kernel may lack a map type, a program type or a flag that the object uses",
			unix.EOPNOTSUPP: "the kernel may lack a feature that the object uses",
			unix.E2BIG:      "a map or a program is larger than this kernel takes",
		}[errno]
	}
	return m
}

// hasEntries reports whether maps of this type need max_entries. The kernel requires 0 of storages, which hang on their
// owners.
func hasEntries(m *bundle.Map) bool {
	switch ebpf.MapType(m.Type) {
	case ebpf.SkStorage, ebpf.InodeStorage, ebpf.TaskStorage, ebpf.CgroupStorage, ebpf.CGroupStorage, ebpf.PerCPUCGroupStorage:
		return false
	}
	return true
}

// place is where a loader failed, in words, and the map or program it could not make, if it is known to be one.
type place struct {
	what    string
	bpfMap  *bundle.Map
	program *bundle.Program
}

// whereFailed says what a failing loader could not make: the first thing that has no descriptor in the context, since
// loaders make them in the bundle's order.
func whereFailed(b *bundle.Bundle, context []byte) place {
	if context == nil {
		return place{what: "its start"}
	}
	for i := range b.Maps {
		m := &b.Maps[i]
		switch {
		case getFD(context, m.Ctx) != absent:
		case i == 0:
			return place{what: "the types, the kernel's functions and types that it looks for, or map " + m.Name, bpfMap: m}
		default:
			return place{what: "map " + m.Name, bpfMap: m}
		}
	}
	for i := range b.Programs {
		if p := &b.Programs[i]; getFD(context, p.Ctx) == absent {
			return place{what: "program " + p.Name, program: p}
		}
	}
	return place{what: "the filling of the maps"}
}

// permissionMeaning tells a missing capability from a policy.
func permissionMeaning(j *job, f *fault, o *outcome) meaning {
	needs := loaderCapabilities
	if f.step == StepRun {
		needs = programCapabilities
	}
	missing := missingCapabilities(needs)
	switch {
	case len(missing) > 0:
		return meaning{ErrMissingCapability, "the process has no " + strings.Join(missing, ", "),
			"run as root, or give the binary what it needs (setcap cap_bpf,cap_perfmon,cap_net_admin+ep, AmbientCapabilities=)"}
	case !initialUserNamespace():
		return meaning{ErrMissingCapability, "the process is in a user namespace, whose capabilities do not count", "load from the initial user namespace"}
	case f.step == StepCreate && j.unsigned:
		return meaning{ErrMemlock, "", "before Linux 5.11, EPERM can also mean RLIMIT_MEMLOCK: raise it (`ulimit -l`, LimitMEMLOCK=); or a security policy of the host denied it"}
	}
	m := meaning{ErrDenied, "", "look for BPF LSM programs, lockdown and other policies in the kernel's and the audit log"}
	if f.step == StepRun {
		m.detail = "at " + whereFailed(j.bundle, o.context).what
	}
	return m
}

func enrollMeaning(j *job, f *fault) meaning {
	switch f.errno() {
	case unix.EBADMSG, unix.EINVAL:
		if bytes.HasPrefix(j.certificate, []byte("-----BEGIN")) {
			return meaning{ErrEnroll, "", "this certificate is PEM, and the kernel takes DER: `openssl x509 -outform der`"}
		}
		return meaning{ErrEnroll, "", "the kernel takes an X.509 certificate as DER"}
	case unix.ENODEV, unix.ENOSYS:
		return meaning{ErrVerificationUnavailable, "", "use a kernel built with CONFIG_KEYS, CONFIG_ASYMMETRIC_KEY_TYPE and CONFIG_X509_CERTIFICATE_PARSER"}
	case unix.ENOPKG:
		return meaning{ErrEnroll, "", "the kernel does not have the certificate's algorithm: RSA with SHA-256 works wherever CONFIG_CRYPTO_RSA is"}
	case unix.EPERM, unix.EACCES:
		return meaning{ErrEnroll, "", "a container's seccomp filter may forbid add_key(2)"}
	case unix.EDQUOT:
		return meaning{ErrEnroll, "", "the user's quota of keys is used up: /proc/key-users"}
	}
	return meaning{err: ErrEnroll}
}

func pinMeaning(f *fault) meaning {
	var path *os.PathError
	switch {
	case !errors.As(f.err, &path):
		return meaning{ErrPin, f.err.Error(), ""}
	case f.errno() == unix.EEXIST:
		return meaning{ErrPinExists, path.Path, "remove it, or pin elsewhere (PinRoot): a signed loader makes its own maps and cannot use one that exists"}
	}
	return meaning{ErrPin, path.Error(), "the folder must be on a bpf filesystem: `mount -t bpf bpf /sys/fs/bpf`"}
}
