//go:build linux

package runtime

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// explain turns the kernel's answer into one of this package's errors, and says what to do.
func (l *load) explain(e *LoadError) *LoadError {
	cause := e.Err
	errors.As(cause, &e.Errno)
	set := func(err error, detail, hint string) *LoadError {
		e.Err, e.Detail, e.Hint = err, detail, hint
		return e
	}
	var noKeyring *keyringError
	var differs *mismatch
	var path *os.PathError
	switch {
	case errors.Is(cause, context.Canceled), errors.Is(cause, context.DeadlineExceeded):
		return e
	case errors.As(cause, &noKeyring):
		e.Errno = unix.EINVAL
		return set(ErrKeyNotInKeyring, cause.Error(), "name a keyring that exists: `keyctl show` lists them")
	case errors.As(cause, &differs):
		return set(ErrTampered, cause.Error(), "use the bundle as it was built")
	case errors.As(cause, &path) && e.Step == StepPin:
		return l.explainPin(e, path)
	case e.Errno == 0 && e.Step == StepPin:
		return set(ErrPin, cause.Error(), "")
	case e.Errno == 0:
		return set(ErrLoaderFailed, cause.Error(), "")
	case e.Step == StepEnroll:
		return l.explainEnroll(e)
	}

	switch e.Errno {
	case unix.EMFILE, unix.ENFILE:
		return set(ErrTooManyFiles, fmt.Sprintf("the loader needs %d of them", len(l.bundle.Maps)+len(l.bundle.Programs)+3), "raise the limit: `ulimit -n`, LimitNOFILE=")
	case unix.ENOMEM:
		return set(ErrMemlock, "", "raise the memory cgroup's limit (memory.max)")
	case unix.EPERM:
		return l.explainPermission(e)
	}
	switch e.Step {
	case StepCreate:
		if e.Errno == unix.E2BIG {
			return set(ErrNotExclusiveCapable, "it does not know exclusive maps", "update the kernel")
		}
	case StepLoad:
		return l.explainLoad(e)
	case StepRun:
		return l.explainRun(e)
	}
	return set(ErrLoaderFailed, cause.Error(), "")
}

// explainLoad explains what BPF_PROG_LOAD said of the loader.
func (l *load) explainLoad(e *LoadError) *LoadError {
	if l.config.unsigned {
		e.Err, e.Hint = ErrVerifierRefused, "this is a bug of the loader's generator, or the kernel is older than it expects"
		return e
	}
	var ids []string
	for _, s := range l.signatures {
		ids = append(ids, fmt.Sprintf("%x", s.KeyID))
	}
	signers := strings.Join(ids, ", ")
	const damaged = "the signature is damaged: sign the bundle again"
	if e.Errno == unix.EINVAL && (e.Log == "" || strings.Contains(e.Log, "signature verification failed")) {
		e.Err, e.Detail, e.Hint = ErrSignatureRejected, "signed by "+signers, damaged // pkcs7_parse_message says this, too
		return e
	}
	switch e.Errno {
	case unix.ENOKEY:
		e.Err, e.Detail = ErrKeyNotInKeyring, fmt.Sprintf("signed by %s, asked: %v", signers, l.config.keyrings)
		e.Hint = "add the signer's certificate to one of these keyrings, or name the keyring that has it (Keyring, Enroll)"
	case unix.EKEYREJECTED, unix.EBADMSG, unix.EKEYREVOKED, unix.EKEYEXPIRED, unix.ELIBBAD, unix.ENODATA:
		e.Err, e.Detail = ErrSignatureRejected, "signed by "+signers
		e.Hint = map[unix.Errno]string{
			unix.EBADMSG:     damaged,
			unix.EKEYREVOKED: "the key or its keyring is revoked",
			unix.EKEYEXPIRED: "the key or its keyring has expired",
		}[e.Errno]
		if e.Hint == "" {
			e.Hint = "the bundle was changed after it was signed, or the host has the key on its blacklist: use the bundle as it was built"
		}
	case unix.EOPNOTSUPP, unix.ENOPKG, unix.ENOENT:
		e.Err, e.Hint = ErrVerificationUnavailable, "use a kernel built with CONFIG_SYSTEM_DATA_VERIFICATION; AllowUnsigned (bpfload -unsigned) is for development"
		if e.Errno == unix.ENOPKG {
			e.Hint = "sign with an algorithm that the kernel has: RSA with SHA-256 works wherever CONFIG_CRYPTO_RSA is"
		}
	case unix.E2BIG:
		if l.attestation.SignsMap && e.Log == "" {
			e.Err, e.Hint = ErrVerificationUnavailable, "the kernel does not know signatures, or the bundle is too large for one"
			break
		}
		fallthrough
	default:
		e.Err, e.Hint = ErrVerifierRefused, "this is a bug of the loader's generator, or of the kernel's reading of it"
	}
	return e
}

// explainRun explains what the loader returned. A loader that checks its map says -EINVAL when its map is not the signer's.
func (l *load) explainRun(e *LoadError) *LoadError {
	if e.Errno == unix.EINVAL && l.attestation.LoaderChecks && !bakedIn(l.loader.Insns, l.bundle.Blob) {
		e.Err, e.Detail, e.Hint = ErrTampered, "the metadata is not the one that the loader was made for", "use the bundle as it was built"
		return e
	}
	what, verified, m := l.whereFailed()
	e.Detail, e.Err = "at "+what, ErrLoaderFailed
	switch {
	case verified && Excerpt(e.Log) != "":
		e.Err = ErrVerifierRefused
		return e
	case m != nil && m.MaxEntries == 0 && e.Errno == unix.EINVAL:
		e.Hint = "give map " + m.Name + " its max_entries in the source: what is signed cannot be changed when it is loaded"
		return e
	}
	e.Hint = map[unix.Errno]string{
		unix.ENOENT:     "the kernel lacks a function or type that the object attaches to or uses",
		unix.ESRCH:      "the kernel lacks a function or type that the object attaches to or uses",
		unix.EINVAL:     "the kernel may lack a map type, a program type or a flag that the object uses",
		unix.EOPNOTSUPP: "the kernel may lack a feature that the object uses",
		unix.E2BIG:      "a map or a program is larger than this kernel takes",
	}[e.Errno]
	return e
}

// whereFailed says what a failing loader could not make: the first thing that has no descriptor in the context, since
// loaders make them in the bundle's order. It also says whether a verifier had to do with it, or which map it was about.
func (l *load) whereFailed() (what string, verified bool, about *bundle.Map) {
	b := l.bundle
	if l.failed == nil {
		return "its start", false, nil
	}
	for i := range b.Maps {
		m := &b.Maps[i]
		switch {
		case getFD(l.failed, m.Ctx) != absent:
		case i == 0:
			return "the types, the kernel's functions and types that it looks for, or map " + m.Name, false, m
		default:
			return "map " + m.Name, false, m
		}
	}
	for i := range b.Programs {
		if getFD(l.failed, b.Programs[i].Ctx) == absent {
			return "program " + b.Programs[i].Name, true, nil
		}
	}
	return "the filling of the maps", false, nil
}

// bakedIn says whether a loader compares the map with this blob's hash: whether its instructions load the four
// words of the hash, in their order.
func bakedIn(insns, blob []byte) bool {
	const loadImm64 = 0x18 // BPF_LD | BPF_IMM | BPF_DW
	// The kernel hashes whole array elements, which are multiples of 8 bytes (array_map_get_hash).
	hash := sha256.Sum256(append(bytes.Clone(blob), make([]byte, -len(blob)&7)...))
	want := hash[:]
	for i := 0; i+16 <= len(insns) && len(want) > 0; i += bundle.InsnSize {
		if insns[i] != loadImm64 {
			continue
		}
		// The immediate's halves are in the host's order, the word is compared as memory: lower half first.
		lower, upper := binary.NativeEndian.Uint32(insns[i+4:]), binary.NativeEndian.Uint32(insns[i+12:])
		if binary.NativeEndian.Uint64(want) == uint64(upper)<<32|uint64(lower) {
			want = want[8:]
		}
		i += bundle.InsnSize
	}
	return len(want) == 0
}

// explainPermission tells a missing capability from a policy.
func (l *load) explainPermission(e *LoadError) *LoadError {
	needs := loaderCapabilities
	if e.Step == StepRun {
		needs = programCapabilities
	}
	switch missing := missingCapabilities(needs); {
	case len(missing) > 0:
		e.Err, e.Detail = ErrMissingCapability, "the process has no "+strings.Join(missing, ", ")
		e.Hint = "run as root, or give the binary what it needs (setcap cap_bpf,cap_perfmon,cap_net_admin+ep, AmbientCapabilities=)"
	case !initialUserNamespace():
		e.Err, e.Detail = ErrMissingCapability, "the process is in a user namespace, whose capabilities do not count"
		e.Hint = "load from the initial user namespace"
	case e.Step == StepCreate && l.config.unsigned:
		e.Err, e.Hint = ErrMemlock, "before Linux 5.11, EPERM can also mean RLIMIT_MEMLOCK: raise it (`ulimit -l`, LimitMEMLOCK=); or a security policy of the host denied it"
	default:
		e.Err, e.Hint = ErrDenied, "look for BPF LSM programs, lockdown and other policies in the kernel's and the audit log"
		if e.Step == StepRun {
			what, _, _ := l.whereFailed()
			e.Detail = "at " + what
		}
	}
	return e
}

func (l *load) explainEnroll(e *LoadError) *LoadError {
	e.Err = ErrEnroll
	switch e.Errno {
	case unix.EBADMSG, unix.EINVAL:
		e.Hint = "the kernel takes an X.509 certificate as DER"
		if bytes.HasPrefix(l.config.certificate, []byte("-----BEGIN")) {
			e.Hint = "this certificate is PEM, and the kernel takes DER: `openssl x509 -outform der`"
		}
	case unix.ENODEV, unix.ENOSYS:
		e.Err, e.Hint = ErrVerificationUnavailable, "use a kernel built with CONFIG_KEYS, CONFIG_ASYMMETRIC_KEY_TYPE and CONFIG_X509_CERTIFICATE_PARSER"
	case unix.ENOPKG:
		e.Hint = "the kernel does not have the certificate's algorithm: RSA with SHA-256 works wherever CONFIG_CRYPTO_RSA is"
	case unix.EPERM, unix.EACCES:
		e.Hint = "a container's seccomp filter may forbid add_key(2)"
	case unix.EDQUOT:
		e.Hint = "the user's quota of keys is used up: /proc/key-users"
	}
	return e
}

func (l *load) explainPin(e *LoadError, path *os.PathError) *LoadError {
	e.Detail = path.Path
	switch {
	case e.Errno == unix.EEXIST:
		e.Err, e.Hint = ErrPinExists, "remove it, or pin elsewhere (PinRoot): a signed loader makes its own maps and cannot use one that exists"
	default:
		e.Err, e.Detail, e.Hint = ErrPin, path.Error(), "the folder must be on a bpf filesystem: `mount -t bpf bpf /sys/fs/bpf`"
	}
	return e
}
