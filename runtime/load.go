//go:build linux

package runtime

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// What every gen-loader is called, and its license: the helpers that it calls are for GPL programs.
const (
	loaderName    = "__loader.prog"
	loaderMap     = "__loader.map"
	loaderLicense = "Dual BSD/GPL\x00"
)

const (
	// restarts bounds how often a load begins again after the verifier was interrupted while the loader ran.
	restarts = 10
	// The first and the largest verifier log that is asked for, in bytes: BPF_LOG_SIZE of libbpf is 16 MiB.
	minLog = 1 << 20
	maxLog = 1 << 26
)

// LoadBytes decodes a bundle file's contents and loads it. Contents that are no bundle are bundle.ErrMalformed.
func LoadBytes(ctx context.Context, file []byte, opts ...Option) (*Collection, error) {
	b, err := bundle.Decode(file)
	if err != nil {
		return nil, err
	}
	return Load(ctx, b, opts...)
}

// Load brings a bundle into the running kernel. It fails with a *LoadError, and then nothing is left in the kernel.
//
// The context is looked at between the steps: a system call is not interrupted.
func Load(ctx context.Context, b *bundle.Bundle, opts ...Option) (*Collection, error) {
	return loadInto(ctx, sys.Native{}, kernelTypes(), b, newConfig(opts))
}

// load is one call of Load.
type load struct {
	kernel sys.Kernel
	bundle *bundle.Bundle
	config *config
	loader *bundle.Loader
	// attestation is how the loader's scheme works.
	attestation bundle.Attestation
	progHash    [sys.HashSize]byte
	// signatures are those that may be shown to the kernel, none for an unsigned load.
	signatures []*bundle.Signature
	// log is the verifier's log, nil until a load has failed.
	log []byte
	// failed is the context that a failing loader has left.
	failed []byte
}

func loadInto(ctx context.Context, kernel sys.Kernel, types types, b *bundle.Bundle, c *config) (*Collection, error) {
	l := &load{kernel: kernel, bundle: b, config: c}
	if failed := l.choose(types); failed != nil {
		return nil, failed
	}
	var err error
	if l.attestation, err = l.loader.Scheme.Attestation(); err != nil {
		return nil, l.refuse(bundle.ErrMalformed, err.Error(), "")
	}
	l.progHash = l.loader.ProgHash()
	if failed := l.checkPins(); failed != nil {
		return nil, failed
	}
	if c.unsigned {
		c.logf("warning: loading %s (BPF) without a signature", b.Object.Name)
	}
	var coll *Collection
	var failed *LoadError
	if c.certificate == nil || c.unsigned {
		coll, failed = l.run(ctx)
	} else {
		onOwnThread(func() {
			enroll := func() error { return kernel.AddKey(c.certificate, int(KeyringSession)) }
			if failed = l.step(ctx, StepEnroll, enroll); failed == nil {
				coll, failed = l.run(ctx)
			}
		})
	}
	if failed != nil {
		return nil, l.explain(failed)
	}
	return coll, nil
}

// onOwnThread calls f in a thread that ends with it. Session keyrings belong to threads, as all credentials do: the
// kernel may install a new one for the thread that adds a key, and no other goroutine shall find itself with that.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: then the thread is not used again
		f()
	}()
	<-done
}

// run is a load, once it is known what to do.
func (l *load) run(ctx context.Context) (*Collection, *LoadError) {
	made, failed := l.make(ctx)
	if failed != nil {
		return nil, failed
	}
	return l.collect(ctx, made)
}

// choose decides which loader is for this kernel, and which signatures may be used.
func (l *load) choose(types types) *LoadError {
	b, c := l.bundle, l.config
	if b.Object.BigEndian != hostBigEndian() {
		return l.refuse(ErrWrongEndian, fmt.Sprintf("the object is %s, this host is %s", endianness(b.Object.BigEndian), endianness(hostBigEndian())),
			"build the bundle for the platform that it runs on")
	}
	if err := check(b); err != nil {
		return l.refuse(bundle.ErrMalformed, err.Error(), "")
	}
	if c.unsigned {
		return l.chooseUnsigned(types)
	}
	if types.err != nil {
		return l.refuse(ErrNoKernelBTF, types.err.Error(), "use a kernel built with CONFIG_DEBUG_INFO_BTF")
	}
	scheme := types.scheme()
	if scheme == 0 {
		return l.refuse(ErrNotExclusiveCapable, "", "update the kernel: signed loaders need the fix of CVE-2026-80675, which has `excl` in struct bpf_map, or 7.3")
	}
	if !c.allows(scheme) {
		return l.refuse(ErrSchemeNotAllowed, fmt.Sprintf("this kernel's scheme is %v", scheme), "")
	}
	l.loader = b.Loader(scheme)
	switch {
	case l.loader == nil:
		return l.refuse(ErrNoLoader, fmt.Sprintf("it attests with scheme %v", scheme), fmt.Sprintf("generate the bundle for scheme %v as well", scheme))
	case len(l.loader.Signatures) == 0:
		return l.refuse(ErrUnsigned, fmt.Sprintf("no signature for scheme %v", scheme), "sign the bundle")
	}
	for i := range l.loader.Signatures {
		if s := &l.loader.Signatures[i]; len(c.kinds) == 0 || slices.Contains(c.kinds, s.Kind) {
			l.signatures = append(l.signatures, s)
		}
	}
	if len(l.signatures) == 0 {
		return l.refuse(ErrKeyKind, fmt.Sprintf("want %q", c.kinds), "sign the bundle with a key of that kind")
	}
	return nil
}

// chooseUnsigned takes the loader whose checks run on this kernel, or the one that makes none.
func (l *load) chooseUnsigned(types types) *LoadError {
	b, c := l.bundle, l.config
	if len(c.kinds) > 0 {
		return l.refuse(ErrKeyKind, fmt.Sprintf("want %q, and the load is to be unsigned", c.kinds), "")
	}
	var anywhere []bundle.Scheme
	for _, scheme := range bundle.Schemes {
		// A loader that makes checks reads a field that other kernels do not have, and their verifiers refuse that.
		if attestation, err := scheme.Attestation(); err != nil || attestation.LoaderChecks && types.scheme() != scheme {
			continue
		}
		anywhere = append(anywhere, scheme)
		if !c.allows(scheme) {
			continue
		}
		if l.loader = b.Loader(scheme); l.loader != nil {
			return nil
		}
	}
	return l.refuse(ErrNoLoader, "", fmt.Sprintf("generate the bundle for one of these schemes as well: %v", anywhere))
}

// allows says whether RequireSchemes names a scheme.
func (c *config) allows(s bundle.Scheme) bool {
	return len(c.schemes) == 0 || slices.Contains(c.schemes, s)
}

// check holds a bundle that nobody decoded to what the code below relies on.
func check(b *bundle.Bundle) error {
	if b.CtxSize < bundle.CtxHeaderSize || b.CtxSize > bundle.MaxCtx || len(b.Blob) == 0 {
		return fmt.Errorf("a context of %d bytes, a blob of %d", b.CtxSize, len(b.Blob))
	}
	for off := range descriptors(b) {
		if off < bundle.CtxHeaderSize || uint64(off)+4 > uint64(b.CtxSize) {
			return fmt.Errorf("a descriptor at %d, outside the context", off)
		}
	}
	for _, l := range b.Loaders {
		if _, err := l.Scheme.Attestation(); err != nil {
			return err
		}
		if len(l.Insns) == 0 || len(l.Insns)%bundle.InsnSize != 0 {
			return fmt.Errorf("a loader of %d bytes", len(l.Insns))
		}
	}
	return nil
}

// made is what a loader that succeeded has left: its context, full of descriptors.
type made struct {
	context []byte
	signer  *Signer
}

// make runs attempts until one succeeds or fails for good. The good path is the first attempt, without a log.
func (l *load) make(ctx context.Context) (*made, *LoadError) {
	var first *LoadError
	for restart := 1; ; {
		m, failed := l.attempt(ctx)
		switch {
		case failed == nil:
			return m, nil
		case failed.Errno == unix.EAGAIN && l.failed != nil && restart < restarts:
			restart++ // the verifier of one of the programs was interrupted
		case failed.Errno == unix.ENOSPC && l.log != nil && len(l.log) < maxLog:
			l.log = make([]byte, 4*len(l.log)) // the log was full: the kernel keeps its end, and says so
		case first == nil && l.config.logLevel > 0 && mayLog(failed):
			first, l.log = failed, make([]byte, minLog)
		case first != nil:
			first.Log = cString(l.log)
			return nil, first // the last errno may be one of an overfull log
		default:
			return nil, failed
		}
	}
}

// mayLog says whether a verifier may have more to say of a failure.
func mayLog(e *LoadError) bool {
	switch e.Errno {
	case 0, unix.ENOKEY, unix.EKEYREJECTED, unix.EBADMSG, unix.EMFILE, unix.ENFILE:
		return false
	}
	return e.Step == StepLoad || e.Step == StepRun
}

// attempt takes the loader once from its metadata map to its end.
func (l *load) attempt(ctx context.Context) (*made, *LoadError) {
	var mapFD, progFD int
	m := &made{}
	if failed := l.step(ctx, StepCreate, func() (err error) { mapFD, err = l.createMap(); return err }); failed != nil {
		return nil, failed
	}
	defer l.close(mapFD)
	steps := []struct {
		step Step
		do   func() error
	}{
		{StepFill, func() error { return sys.MapUpdate(l.kernel, mapFD, 0, l.bundle.Blob) }},
		{StepFreeze, func() error { return sys.MapFreeze(l.kernel, mapFD) }},
		{StepHash, func() error {
			if !l.attestation.HostHashes {
				return nil // the kernel does it itself
			}
			_, err := sys.MapHash(l.kernel, mapFD)
			return err
		}},
		{StepLoad, func() (err error) { progFD, m.signer, err = l.loadLoader(int32(mapFD)); return err }},
	}
	for _, s := range steps {
		if failed := l.step(ctx, s.step, s.do); failed != nil {
			return nil, failed
		}
	}
	defer l.close(progFD)
	if failed := l.step(ctx, StepRun, func() (err error) { m.context, err = l.runLoader(progFD); return err }); failed != nil {
		return nil, failed
	}
	return m, nil
}

// createMap creates the metadata map. It is exclusive to the loader wherever the kernel can do that.
func (l *load) createMap() (int, error) {
	attr := sys.MapCreateAttr{
		Type: sys.MapTypeArray, KeySize: 4, ValueSize: uint32(len(l.bundle.Blob)), MaxEntries: 1, Name: sys.NewName(loaderMap),
		ExclProgHash: sys.BytesPointer(l.progHash[:]), ExclProgHashSize: sys.HashSize,
	}
	fd, err := sys.MapCreate(l.kernel, &attr)
	if err == unix.E2BIG && l.config.unsigned {
		// The kernel does not know these fields (bpf_check_uarg_tail_zero): it is older than exclusive maps.
		attr.ExclProgHash, attr.ExclProgHashSize = sys.Pointer{}, 0
		fd, err = sys.MapCreate(l.kernel, &attr)
	}
	return fd, err
}

// loadLoader has the kernel verify the loader, with the first signature whose key a keyring holds.
func (l *load) loadLoader(mapFD int32) (int, *Signer, error) {
	attr := sys.ProgLoadAttr{
		Type: sys.ProgTypeSyscall, Flags: sys.FlagSleepable, Name: sys.NewName(loaderName),
		InsnCnt: uint32(len(l.loader.Insns) / bundle.InsnSize), Insns: sys.BytesPointer(l.loader.Insns),
		License: sys.BytesPointer([]byte(loaderLicense)),
		FDArray: sys.PointerTo(&mapFD),
	}
	if l.log != nil {
		attr.LogLevel, attr.LogSize, attr.LogBuf = l.config.logLevel, uint32(len(l.log)), sys.BytesPointer(l.log)
	}
	if l.config.unsigned {
		fd, err := sys.ProgLoad(l.kernel, &attr)
		return fd, nil, err
	}
	if l.attestation.SignsMap {
		attr.FDArrayCnt = 1 // the kernel itself hashes these maps, and takes no others
	}
	var failed error
	for _, keyring := range l.config.keyrings {
		for _, s := range l.signatures {
			attr.Signature, attr.SignatureSize, attr.KeyringID = sys.BytesPointer(s.CMS), uint32(len(s.CMS)), int32(keyring)
			fd, err := sys.ProgLoad(l.kernel, &attr)
			switch err {
			case nil:
				return fd, &Signer{KeyID: slices.Clone(s.KeyID), Kind: s.Kind, Keyring: keyring}, nil
			case unix.ENOKEY, unix.ENOPKG:
				// Another key, or another algorithm. That the key is missing says more than the rest.
				if failed == nil || err == unix.ENOKEY {
					failed = err
				}
			case unix.EINVAL:
				if !keyring.system() && !l.haveKeyring(keyring) {
					return -1, nil, &keyringError{keyring}
				}
				return -1, nil, err
			default:
				return -1, nil, err
			}
		}
	}
	return -1, nil, failed
}

// keyringError says that a keyring does not exist. The kernel itself says EINVAL, of this and of everything else.
type keyringError struct{ id KeyringID }

func (e *keyringError) Error() string { return fmt.Sprintf("there is no keyring %v", e.id) }

func (l *load) haveKeyring(id KeyringID) bool {
	_, err := l.kernel.FindKeyring(int(id))
	return err == nil
}

// absent marks a place in the context where the loader has put no descriptor.
const absent = -1

// runLoader runs the loader once, and returns the context that it has filled.
func (l *load) runLoader(progFD int) ([]byte, error) {
	b, order := l.bundle, binary.NativeEndian
	c := make([]byte, b.CtxSize)
	order.PutUint32(c[0:], b.CtxSize)
	if l.log != nil {
		order.PutUint32(c[8:], l.config.logLevel)
		order.PutUint32(c[12:], uint32(len(l.log)))
		order.PutUint64(c[16:], sys.Address(l.log))
	}
	for off := range descriptors(b) {
		putFD(c, off, absent)
	}
	l.failed = nil
	retval, err := sys.ProgRun(l.kernel, progFD, c)
	runtime.KeepAlive(l.log)
	if err != nil {
		return nil, err
	}
	if retval != 0 {
		l.failed = c
		return nil, loaderErrno(retval)
	}
	return c, nil
}

// loaderErrno is what a loader returned in the place of 0.
func loaderErrno(retval int32) error {
	if retval < 0 && retval > -4096 {
		return unix.Errno(-retval)
	}
	return fmt.Errorf("the loader returned %d", retval)
}

// step does one step, unless the context has ended, and says in the error which one it was.
func (l *load) step(ctx context.Context, s Step, do func() error) *LoadError {
	err := ctx.Err()
	if err == nil {
		err = do()
	}
	if err == nil {
		return nil
	}
	e := &LoadError{Object: l.bundle.Object.Name, Step: s, Err: err}
	errors.As(err, &e.Errno)
	return e
}

// refuse is an error of the loader's choice, before the kernel is asked.
func (l *load) refuse(err error, detail, hint string) *LoadError {
	return &LoadError{Object: l.bundle.Object.Name, Step: StepChoose, Err: err, Detail: detail, Hint: hint}
}

// close closes a descriptor whose fate nobody can do anything about.
func (l *load) close(fd int) { _ = l.kernel.Close(fd) }

func hostBigEndian() bool { return binary.NativeEndian.Uint16([]byte{0, 1}) == 1 }

func endianness(big bool) string {
	if big {
		return "big-endian"
	}
	return "little-endian"
}

func cString(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}
