package bundle

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownScheme is in the chain of every error about a scheme that this package does not know.
var ErrUnknownScheme = errors.New("unknown attestation scheme")

// Scheme says what a loader's signature covers, and who checks that the metadata map is the signer's.
type Scheme uint8

const (
	// MapHash: the signature covers the instructions, and these compare the map's exclusivity and its hash with the values
	// baked into them. Kernels that show the exclusivity flag in struct bpf_map: some 6.18.y and 7.1.y, and 7.2.
	MapHash Scheme = 1
	// Payload: the signature covers the instructions followed by the map's contents, and the kernel itself requires an
	// exclusive, frozen map. From 7.3.
	Payload Scheme = 2
)

// Attestation is how a scheme attests a loader. Code that depends on the scheme asks for these properties and does not
// compare schemes, so that it cannot mistake a new scheme for an old one.
type Attestation struct {
	// SignsMap: the signature covers the metadata map's contents too. The host tells the kernel which map that is.
	SignsMap bool
	// LoaderChecks: the loader refuses to act unless the metadata map is exclusive to it and holds what the signer saw.
	// Otherwise the kernel checks both before it runs the loader.
	LoaderChecks bool
	// HostHashes: the host has the kernel hash the frozen map before the loader runs.
	HostHashes bool
	// Kernels says in words which kernels attest this way, and Covers what the signature covers.
	Kernels, Covers string
}

// schemeRow is what sets one scheme apart from the others.
type schemeRow struct {
	scheme Scheme
	name   string // in flags, attributes and file names
	Attestation
}

// schemeTable has all schemes, in the order in which a bundle holds their loaders.
var schemeTable = []schemeRow{
	{MapHash, "map-hash", Attestation{
		LoaderChecks: true,
		HostHashes:   true,
		Kernels:      "7.2, and 6.18.y and 7.1.y with the fix of CVE-2026-80675: the kernel's BTF has the field excl in struct bpf_map",
		Covers:       "the instructions; they compare the digest and the exclusivity of the metadata map themselves",
	}},
	{Payload, "payload", Attestation{
		SignsMap: true,
		Kernels:  "7.3 and later",
		Covers:   "the instructions and the metadata map; the kernel requires that it is exclusive and frozen",
	}},
}

// Schemes are all schemes, in the order in which a bundle holds their loaders.
var Schemes = allSchemes()

func allSchemes() []Scheme {
	var all []Scheme
	for _, row := range schemeTable {
		all = append(all, row.scheme)
	}
	return all
}

// row returns the scheme's row of the table, or nil if the scheme is unknown.
func (s Scheme) row() *schemeRow {
	for i := range schemeTable {
		if schemeTable[i].scheme == s {
			return &schemeTable[i]
		}
	}
	return nil
}

// Attestation returns how the scheme attests a loader. The properties of an unknown scheme are unknown, so there is no
// default: the error is ErrUnknownScheme.
func (s Scheme) Attestation() (Attestation, error) {
	row := s.row()
	if row == nil {
		return Attestation{}, fmt.Errorf("%w %d (known: %s)", ErrUnknownScheme, uint8(s), schemeNames())
	}
	return row.Attestation, nil
}

// String returns the scheme's name as flags and attributes spell it.
func (s Scheme) String() string {
	if row := s.row(); row != nil {
		return row.name
	}
	return fmt.Sprintf("Scheme(%d)", uint8(s))
}

// MarshalText returns what String does. For an unknown scheme that is a text which ParseScheme refuses: a report may name
// such a scheme, and nothing takes it for a known one when the report is read.
func (s Scheme) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseScheme is the inverse of Scheme.String.
func ParseScheme(name string) (Scheme, error) {
	for _, row := range schemeTable {
		if row.name == name {
			return row.scheme, nil
		}
	}
	return 0, fmt.Errorf("%w %.40q: want one of %s", ErrUnknownScheme, name, schemeNames())
}

// schemeNames lists the names of all schemes for error messages.
func schemeNames() string {
	var names []string
	for _, row := range schemeTable {
		names = append(names, row.name)
	}
	return strings.Join(names, ", ")
}

// SignedBytes returns the bytes that the signature of b's loader l covers, as the kernel assembles them at
// BPF_PROG_LOAD. The error is ErrUnknownScheme.
func (b *Bundle) SignedBytes(l *Loader) ([]byte, error) {
	attestation, err := l.Scheme.Attestation()
	if err != nil {
		return nil, err
	}
	if !attestation.SignsMap {
		return l.Insns, nil
	}
	tbs := make([]byte, 0, len(l.Insns)+len(b.Blob))
	return append(append(tbs, l.Insns...), b.Blob...), nil
}
