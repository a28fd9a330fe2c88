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

// executor is the second stage of a load: it runs the loader that choose took, however it does that. It takes nothing but
// the job and returns nothing but the outcome, so that the stages around it do not depend on the way.
type executor func(context.Context, *job) *outcome

// outcome is what executing a job has led to.
type outcome struct {
	// context is the loader's context as the loader left it, or nil if the loader did not run to its end. After a success it
	// holds a descriptor for each map and program; they belong to whoever has the outcome.
	context []byte
	// signer is whose signature the kernel verified, nil after an unsigned load.
	signer *Signer
	// fault is why it failed, nil after a success.
	fault *fault
	// log is the verifier's, if it wrote one about the fault.
	log string
}

// fault is where a load failed and with which error.
type fault struct {
	step Step
	err  error
}

// errno is the kernel's answer, or 0 if it was not the kernel that failed.
func (f *fault) errno() (errno unix.Errno) {
	errors.As(f.err, &errno)
	return errno
}

// step does one step, unless the caller has canceled the load.
func step(ctx context.Context, s Step, do func() error) *fault {
	err := ctx.Err()
	if err == nil {
		err = do()
	}
	if err == nil {
		return nil
	}
	return &fault{s, err}
}

// inKernel is the executor that has the kernel verify the loader's signature and run it.
func inKernel(kernel sys.Kernel) executor {
	return func(ctx context.Context, j *job) (o *outcome) {
		run := func() {
			o = repeat(j.logLevel, func(log []byte) *outcome {
				a := &attempt{kernel, j, log}
				return a.run(ctx)
			})
		}
		if j.certificate == nil {
			run()
			return o
		}
		onOwnThread(func() {
			enroll := func() error { return kernel.AddKey(j.certificate, int(KeyringSession)) }
			if f := step(ctx, StepEnroll, enroll); f != nil {
				o = &outcome{fault: f}
				return
			}
			run()
		})
		return o
	}
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

const (
	// restarts bounds how often a load begins again after the verifier was interrupted while the loader ran.
	restarts = 10
	// The first and the largest verifier log that is asked for, in bytes: BPF_LOG_SIZE of libbpf is 16 MiB.
	minLog = 1 << 20
	maxLog = 1 << 26
)

// repeat makes attempts until one succeeds or fails for good. The good path is the first attempt, without a log. Only when
// that has failed does another one follow with a log, and the outcome is then the first one's, with what the log says.
func repeat(logLevel uint32, try func(log []byte) *outcome) *outcome {
	var first *outcome
	var log []byte
	for restart := 1; ; {
		o := try(log)
		switch {
		case o.fault == nil:
			return o
		case o.fault.errno() == unix.EAGAIN && o.context != nil && restart < restarts:
			restart++ // the verifier of one of the programs was interrupted
		case o.fault.errno() == unix.ENOSPC && log != nil && len(log) < maxLog:
			log = make([]byte, 4*len(log)) // the log was full: the kernel keeps its end, and says so
		case first == nil && logLevel > 0 && mayLog(o.fault):
			first, log = o, make([]byte, minLog)
		case first != nil:
			first.log = cString(log)
			return first // the last errno may be one of an overfull log
		default:
			return o
		}
	}
}

// mayLog says whether a verifier may have more to say of a fault.
func mayLog(f *fault) bool {
	switch f.err.(type) {
	case *keyringError, *noLoaders:
		return false
	}
	switch f.errno() {
	case 0, unix.ENOKEY, unix.EKEYREJECTED, unix.EBADMSG, unix.EMFILE, unix.ENFILE:
		return false
	}
	return f.step == StepLoad || f.step == StepRun
}

// attempt takes the loader once from its metadata map to its end.
type attempt struct {
	kernel sys.Kernel
	*job
	// log is for the verifier to write to, or nil for none.
	log []byte
}

func (a *attempt) run(ctx context.Context) *outcome {
	var o outcome
	var mapFD, progFD int
	if o.fault = step(ctx, StepCreate, func() (err error) { mapFD, err = a.createMap(); return err }); o.fault != nil {
		return &o
	}
	defer closeFD(a.kernel, mapFD)
	steps := []struct {
		step Step
		do   func() error
	}{
		{StepFill, func() error { return sys.MapUpdate(a.kernel, mapFD, 0, a.bundle.Blob) }},
		{StepFreeze, func() error { return sys.MapFreeze(a.kernel, mapFD) }},
		{StepHash, func() error { return a.hashMap(mapFD) }},
		{StepLoad, func() (err error) { progFD, o.signer, err = a.loadLoader(int32(mapFD)); return err }},
	}
	for _, s := range steps {
		if o.fault = step(ctx, s.step, s.do); o.fault != nil {
			return &o
		}
	}
	defer closeFD(a.kernel, progFD)
	o.fault = step(ctx, StepRun, func() (err error) { o.context, err = a.runLoader(progFD); return err })
	return &o
}

// What every gen-loader is called, and its license: the helpers that it calls are for GPL programs.
const (
	loaderName    = "__loader.prog"
	loaderMap     = "__loader.map"
	loaderLicense = "Dual BSD/GPL\x00"
)

// createMap creates the metadata map. It is exclusive to the loader wherever the kernel can do that.
func (a *attempt) createMap() (int, error) {
	hash := a.loader.ProgHash()
	attr := sys.MapCreateAttr{
		Type: sys.MapTypeArray, KeySize: 4, ValueSize: uint32(len(a.bundle.Blob)), MaxEntries: 1, Name: sys.NewName(loaderMap),
		ExclProgHash: sys.BytesPointer(hash[:]), ExclProgHashSize: sys.HashSize,
	}
	fd, err := sys.MapCreate(a.kernel, &attr)
	if a.unsigned && unknownField(err) { // the kernel is older than exclusive maps
		attr.ExclProgHash, attr.ExclProgHashSize = sys.Pointer{}, 0
		fd, err = sys.MapCreate(a.kernel, &attr)
	}
	return fd, err
}

// hashMap has the kernel compute the map's hash, if the kernel does not do so by itself.
func (a *attempt) hashMap(mapFD int) error {
	if !a.attestation.HostHashes {
		return nil
	}
	_, err := sys.MapHash(a.kernel, mapFD)
	return err
}

// loadLoader has the kernel verify the loader and, unless the load is unsigned, a signature.
func (a *attempt) loadLoader(mapFD int32) (int, *Signer, error) {
	attr := sys.ProgLoadAttr{
		Type: sys.ProgTypeSyscall, Flags: sys.FlagSleepable, Name: sys.NewName(loaderName),
		InsnCnt: uint32(len(a.loader.Insns) / bundle.InsnSize), Insns: sys.BytesPointer(a.loader.Insns),
		License: sys.BytesPointer([]byte(loaderLicense)),
		FDArray: sys.PointerTo(&mapFD),
	}
	if a.log != nil {
		attr.LogLevel, attr.LogSize, attr.LogBuf = a.logLevel, uint32(len(a.log)), sys.BytesPointer(a.log)
	}
	if a.unsigned {
		fd, err := sys.ProgLoad(a.kernel, &attr)
		// Not "== No": a kernel from before 5.11 may say EPERM to the probe because of RLIMIT_MEMLOCK.
		if unknownField(err) && probeLoad(a.kernel, func(*sys.ProgLoadAttr) {}) != Yes {
			err = &noLoaders{err}
		}
		return fd, nil, err
	}
	if a.attestation.SignsMap {
		attr.FDArrayCnt = 1 // the kernel itself hashes these maps, and takes no others
	}
	return a.trySignatures(&attr)
}

// trySignatures loads the loader with the first signature whose key a keyring holds.
func (a *attempt) trySignatures(attr *sys.ProgLoadAttr) (int, *Signer, error) {
	var noKey error
	for _, keyring := range a.keyrings {
		for _, s := range a.signatures {
			attr.Signature, attr.SignatureSize, attr.KeyringID = sys.BytesPointer(s.CMS), uint32(len(s.CMS)), int32(keyring)
			fd, err := sys.ProgLoad(a.kernel, attr)
			switch {
			case err == nil:
				return fd, &Signer{KeyID: slices.Clone(s.KeyID), Kind: s.Kind, Keyring: keyring}, nil
			case err == unix.ENOKEY, err == unix.ENOPKG: // another key, or another algorithm
				if noKey == nil || err == unix.ENOKEY {
					noKey = err // that the key is missing says more than the rest
				}
			case err == unix.EINVAL && !keyring.system() && !a.haveKeyring(keyring):
				return -1, nil, &keyringError{keyring}
			default:
				return -1, nil, err
			}
		}
	}
	return -1, nil, noKey
}

// noLoaders says that the kernel knows no programs of the loaders' type, whatever is in them.
type noLoaders struct{ errno error }

func (e *noLoaders) Error() string { return e.errno.Error() }

func (e *noLoaders) Unwrap() error { return e.errno }

// keyringError says that a keyring does not exist. The kernel itself says EINVAL, of this and of everything else.
type keyringError struct{ id KeyringID }

func (e *keyringError) Error() string { return fmt.Sprintf("there is no keyring %v", e.id) }

func (e *keyringError) Unwrap() error { return unix.EINVAL }

func (a *attempt) haveKeyring(id KeyringID) bool {
	_, err := a.kernel.FindKeyring(int(id))
	return err == nil
}

// runLoader runs the loader once. The context that it has filled is returned with its error, too: it tells how far it got.
func (a *attempt) runLoader(progFD int) ([]byte, error) {
	c := a.newContext()
	retval, err := sys.ProgRun(a.kernel, progFD, c)
	runtime.KeepAlive(a.log)
	if err != nil {
		return nil, err
	}
	return c, loaderError(retval)
}

// newContext returns the context that a loader starts with, struct bpf_loader_ctx: no descriptor in any place.
func (a *attempt) newContext() []byte {
	c, order := make([]byte, a.bundle.CtxSize), binary.NativeEndian
	order.PutUint32(c[bundle.CtxSz:], a.bundle.CtxSize)
	if a.log != nil {
		order.PutUint32(c[bundle.CtxLogLevel:], a.logLevel)
		order.PutUint32(c[bundle.CtxLogSize:], uint32(len(a.log)))
		order.PutUint64(c[bundle.CtxLogBuf:], sys.Address(a.log))
	}
	for off := range descriptors(a.bundle) {
		putFD(c, off, absent)
	}
	return c
}

// loaderError is what a loader's return value means.
func loaderError(retval int32) error {
	switch {
	case retval == 0:
		return nil
	case retval < 0 && retval > -4096:
		return unix.Errno(-retval)
	}
	return fmt.Errorf("the loader returned %d", retval)
}

// closeFD closes fd, ignoring any error.
func closeFD(kernel sys.Kernel, fd int) { _ = kernel.Close(fd) }

func cString(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}
