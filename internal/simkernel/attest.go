package simkernel

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Attestation says what a kernel does about signed loaders.
type Attestation uint8

const (
	// AttestMapHash kernels show the digest and the exclusivity of a map in struct bpf_map, at offsets 0 and 32.
	AttestMapHash Attestation = iota
	// AttestPayload kernels check the metadata map of a signed program themselves. Where the other ones have the
	// exclusivity they have a pointer.
	AttestPayload
	// AttestNone kernels (6.18.0 to 7.1.3) show the digest alone: nothing can tell an exclusive map from another.
	AttestNone
)

// kernelModel is how kernels of one Attestation differ from the others.
type kernelModel struct {
	showsExcl     bool // struct bpf_map has the exclusivity behind the digest
	checksPayload bool // the kernel itself checks the map of a signed program
}

var kernelModels = map[Attestation]kernelModel{
	AttestMapHash: {showsExcl: true},
	AttestPayload: {checksPayload: true},
	AttestNone:    {},
}

// errNoModel says that the simulation does not know a scheme or a kind of kernel.
var errNoModel = errors.New("not simulated")

// hostModel is what a host does for the loaders of one scheme. The simulation does not derive it from bundle.Attestation:
// it is what the compiler and the runtime are tested against.
type hostModel struct {
	attest     Attestation // the kernels that it is for
	hashes     bool        // it has the kernel hash the map
	fdArrayCnt int         // how many maps it has the kernel look at
	// signed returns what the signature covers.
	signed func(l Loader) []byte
	// signature says in a trace what is signed; checked are the checks that the kernel makes at the load.
	signature string
	checked   []string
}

var unsignedHost = hostModel{
	attest:    AttestMapHash,
	signed:    func(l Loader) []byte { return l.Insns },
	signature: "not signed",
}

// hostModels has the hosts for loaders of each scheme, and of none.
var hostModels = map[bundle.Scheme]hostModel{
	0: unsignedHost,
	bundle.MapHash: {
		attest:    AttestMapHash,
		hashes:    true,
		signed:    func(l Loader) []byte { return l.Insns },
		signature: "signed",
		checked:   []string{"the signature is one of the instructions: ok"},
	},
	bundle.Payload: {
		attest:     AttestPayload,
		fdArrayCnt: 1,
		signed:     func(l Loader) []byte { return slices.Concat(l.Insns, l.Blob) },
		signature:  "signed with the map's contents",
		checked: []string{
			"the metadata map is exclusive to the loader and frozen: ok",
			"the signature is one of the instructions and the map's contents: ok",
		},
	},
}

// hostFor returns the host for loaders of a scheme.
func hostFor(s bundle.Scheme) (hostModel, error) {
	if model, ok := hostModels[s]; ok {
		return model, nil
	}
	if _, err := s.Attestation(); err != nil {
		return hostModel{}, err
	}
	return hostModel{}, fmt.Errorf("%w: a host for loaders of scheme %v", errNoModel, s)
}

// model returns what kernels like this one do about signed loaders.
func (k *Kernel) model() (kernelModel, error) {
	if model, ok := kernelModels[k.Attest]; ok {
		return model, nil
	}
	return kernelModel{}, fmt.Errorf("%w: a kernel of Attestation(%d)", errNoModel, k.Attest)
}

func (k *Kernel) verify(signed []byte, a LoadAttr) Errno {
	if k.Verify == nil {
		return 0
	}
	return k.Verify(signed, a.Signature, a.Keyring)
}

// verifyPayload is what a kernel that checks the map itself demands of a signed program.
func (k *Kernel) verifyPayload(a LoadAttr, maps []*Map) (Errno, string) {
	signed := slices.Clone(a.Insns)
	for _, m := range maps {
		switch {
		case m.value == nil:
			return EINVAL, fmt.Sprintf("map %q of a signed program must be an array of one element", m.Name)
		case !m.Frozen:
			return EPERM, fmt.Sprintf("map %q of a signed program must be frozen", m.Name)
		case m.ExclProgHash == nil:
			return EPERM, fmt.Sprintf("map %q of a signed program must be exclusive", m.Name)
		}
		signed = append(signed, m.value[:m.ValueSize]...)
	}
	if len(signed) > bundle.MaxPayload {
		return E2BIG, fmt.Sprintf("a signed payload of %d bytes", len(signed))
	}
	if e := k.verify(signed, a); e != 0 {
		return e, "the signature is not one of the instructions and the map"
	}
	return 0, ""
}

// mapField says which field a load from struct bpf_map takes, 0 for none that a loader may look at.
func (k *Kernel) mapField(off, size uint64) field {
	switch {
	case size == 8 && off%8 == 0 && off < bpfMapSHA+sha256.Size:
		return fieldSHA0 << (off / 8)
	case size == 4 && off == bpfMapExcl && kernelModels[k.Attest].showsExcl:
		return fieldExcl
	}
	return 0
}

// bpfMap is the part of struct bpf_map that a program can read.
func (k *Kernel) bpfMap(m *Map) []byte {
	b := make([]byte, bpfMapSize)
	copy(b[bpfMapSHA:], m.sha[:])
	if kernelModels[k.Attest].showsExcl && m.ExclProgHash != nil {
		k.order().PutUint32(b[bpfMapExcl:], 1)
	}
	return b
}
