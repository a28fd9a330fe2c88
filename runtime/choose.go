//go:build linux

package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// job is what choose decided: everything that execute and collect need to know of a load.
type job struct {
	bundle *bundle.Bundle
	// loader is the bundle's loader that runs, and attestation how its scheme works.
	loader      *bundle.Loader
	attestation bundle.Attestation
	// unsigned loads show no signature to the kernel. All others show one of signatures, of which there is at least one.
	unsigned   bool
	signatures []*bundle.Signature
	// keyrings are searched for a signer's key, in this order.
	keyrings []KeyringID
	// certificate is added to the session keyring first, if it is not nil.
	certificate []byte
	logLevel    uint32
	pins        []pin
}

// choose is the first stage of a load: it decides which loader fits the kernel and how to load it, and refuses what cannot
// or must not be loaded. It makes no system call that changes anything.
func choose(b *bundle.Bundle, types types, c *config) (*job, *LoadError) {
	if b.Object.BigEndian != hostBigEndian() {
		return nil, refuse(b, ErrWrongEndian, fmt.Sprintf("the object is %s, this host is %s", endianness(b.Object.BigEndian), endianness(hostBigEndian())),
			"build the bundle for the platform that it runs on")
	}
	j := &job{bundle: b, unsigned: c.unsigned, keyrings: c.keyrings, certificate: c.certificate, logLevel: c.logLevel}
	chooseLoader := j.chooseSigned
	if c.unsigned {
		chooseLoader = j.chooseUnsigned
	}
	if refused := chooseLoader(types, c); refused != nil {
		return nil, refused
	}
	var err error
	if j.attestation, err = j.loader.Scheme.Attestation(); err != nil {
		return nil, refuse(b, bundle.ErrMalformed, err.Error(), "")
	}
	if j.pins, err = planPins(b, c.pinRoot); err != nil {
		return nil, explain(j, &fault{StepPin, err}, &outcome{})
	}
	return j, nil
}

// chooseSigned takes the loader for the scheme that the kernel attests with, and the signatures that may be used.
func (j *job) chooseSigned(types types, c *config) *LoadError {
	b := j.bundle
	if types.err != nil {
		return refuse(b, ErrNoKernelBTF, types.err.Error(), "use a kernel built with CONFIG_DEBUG_INFO_BTF")
	}
	scheme := types.scheme()
	if scheme == 0 {
		return refuse(b, ErrNotExclusiveCapable, "", "update the kernel: signed loaders need the fix of CVE-2026-80675, which has `excl` in struct bpf_map, or 7.3")
	}
	if !c.allows(scheme) {
		return refuse(b, ErrSchemeNotAllowed, fmt.Sprintf("this kernel's scheme is %v", scheme), "")
	}
	j.loader = b.Loader(scheme)
	switch {
	case j.loader == nil:
		return refuse(b, ErrNoLoader, fmt.Sprintf("it attests with scheme %v", scheme), fmt.Sprintf("generate the bundle for scheme %v as well", scheme))
	case len(j.loader.Signatures) == 0:
		return refuse(b, ErrUnsigned, fmt.Sprintf("no signature for scheme %v", scheme), "sign the bundle")
	}
	for i := range j.loader.Signatures {
		if s := &j.loader.Signatures[i]; len(c.kinds) == 0 || slices.Contains(c.kinds, s.Kind) {
			j.signatures = append(j.signatures, s)
		}
	}
	if len(j.signatures) == 0 {
		return refuse(b, ErrKeyKind, fmt.Sprintf("want %q", c.kinds), "sign the bundle with a key of that kind")
	}
	return nil
}

// chooseUnsigned takes the loader whose checks run on this kernel, or the one that makes none.
func (j *job) chooseUnsigned(types types, c *config) *LoadError {
	j.certificate = nil
	if len(c.kinds) > 0 {
		return refuse(j.bundle, ErrKeyKind, fmt.Sprintf("want %q, and the load is to be unsigned", c.kinds), "")
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
		if j.loader = j.bundle.Loader(scheme); j.loader != nil {
			return nil
		}
	}
	return refuse(j.bundle, ErrNoLoader, "", fmt.Sprintf("generate the bundle for one of these schemes as well: %v", anywhere))
}

// allows says whether RequireSchemes names a scheme.
func (c *config) allows(s bundle.Scheme) bool {
	return len(c.schemes) == 0 || slices.Contains(c.schemes, s)
}

// checkContract refuses a bundle in memory that is not as it was built. All stages act on what its contract says.
func checkContract(b *bundle.Bundle) *LoadError {
	err := b.CheckContract()
	if errors.Is(err, bundle.ErrContract) {
		refused := refuse(b, ErrTampered, err.Error(), "use the bundle as it was built")
		refused.cause = bundle.ErrContract
		return refused
	}
	if err != nil {
		return refuse(b, bundle.ErrMalformed, err.Error(), "")
	}
	return nil
}

// refuse is an error of choose, before the kernel is asked.
func refuse(b *bundle.Bundle, err error, detail, hint string) *LoadError {
	return &LoadError{Object: b.Object.Name, Step: StepChoose, Err: err, Detail: detail, Hint: hint}
}

func hostBigEndian() bool { return binary.NativeEndian.Uint16([]byte{0, 1}) == 1 }

func endianness(big bool) string {
	if big {
		return "big-endian"
	}
	return "little-endian"
}
