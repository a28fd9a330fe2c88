package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
)

// ErrMalformed is in the chain of every error that Decode returns and of what Encode says of a bundle that breaks the
// format's rules.
var ErrMalformed = errors.New("malformed bundle")

// magic is the first field of every bundle, so that a file says what it is.
const magic = "rules_bpf bundle"

// file is what is encoded: the bundle in an envelope that names format and version.
type file struct {
	Format  string `cbor:"1,keyasint"`
	Version uint   `cbor:"2,keyasint"`
	Bundle  Bundle `cbor:"3,keyasint"`
}

// envelope is as much of a file as every version has.
type envelope struct {
	Format  string          `cbor:"1,keyasint"`
	Version uint            `cbor:"2,keyasint"`
	Bundle  cbor.RawMessage `cbor:"3,keyasint"`
}

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		UTF8:              cbor.UTF8RejectInvalid,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,
		MaxArrayElements:  MaxCtx, // more maps or programs have no place in a context
		MaxMapPairs:       64,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options above are constants: wrong for all inputs or for none
	}
	return v
}

// Encode returns the bundle as a file's contents. Equal bundles give equal bytes.
func Encode(b *Bundle) ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	return encMode.Marshal(file{magic, Version, b.canonical()})
}

// canonical returns b with its empty slices non-nil: CBOR tells null from an empty array, a bundle does not.
func (b *Bundle) canonical() Bundle {
	c := *b
	c.Maps = append([]Map{}, b.Maps...)
	c.Programs = append([]Program{}, b.Programs...)
	c.Loaders = append([]Loader{}, b.Loaders...)
	for i := range c.Loaders {
		c.Loaders[i].Signatures = append([]Signature{}, c.Loaders[i].Signatures...)
	}
	return c
}

// Decode reads a file's contents. It trusts nothing: see the package's documentation. The bundle shares no memory
// with data.
func Decode(data []byte) (*Bundle, error) {
	var f file
	if err := decMode.Unmarshal(data, &f); err != nil || f.Format != magic || f.Version != Version {
		return nil, notThisFormat(data, err)
	}
	b := &f.Bundle
	if err := b.check(); err != nil {
		return nil, err
	}
	if same, err := b.encodesTo(data); err != nil {
		return nil, err
	} else if !same {
		return nil, fmt.Errorf("%w: not in core deterministic encoding", ErrMalformed)
	}
	return b, nil
}

// notThisFormat says why data is no file of this version: what the envelope says comes first, since another version's bundle
// is not decoded as one of ours. decoding is what went wrong then, if anything.
func notThisFormat(data []byte, decoding error) error {
	var e envelope
	if err := decMode.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if e.Format != magic {
		return fmt.Errorf("%w: this is not a bundle: format %.40q, want %q", ErrMalformed, e.Format, magic)
	}
	if e.Version != Version {
		return fmt.Errorf("%w: version %d, and this program reads version %d: rebuild one of them", ErrMalformed, e.Version, Version)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, decoding)
}

// encodesTo says whether data is how Encode writes the bundle. Its blob, which may have megabytes, is the last item of all and
// compared in place.
func (b *Bundle) encodesTo(data []byte) (bool, error) {
	head := b.canonical()
	head.Blob = []byte{}
	again, err := encMode.Marshal(file{magic, Version, head})
	if err != nil {
		return false, err
	}
	again = appendByteStringHead(again[:len(again)-1], len(b.Blob)) // in the place of the empty one's
	rest, same := bytes.CutPrefix(data, again)
	return same && bytes.Equal(rest, b.Blob), nil
}

// appendByteStringHead appends what stands before n bytes (RFC 8949, 3 and 4.2.1): their number, as short as it can be.
func appendByteStringHead(to []byte, n int) []byte {
	const byteString = 2 << 5
	switch {
	case n < 24:
		return append(to, byteString|byte(n))
	case n <= math.MaxUint8:
		return append(to, byteString|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(to, byteString|25), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(to, byteString|26), uint32(n)) // check allows no more
}

// check holds a bundle to the rules that its types cannot express.
func (b *Bundle) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
	}
	inBlob := func(r Range) bool { return uint64(r.Offset)+uint64(r.Size) <= uint64(len(b.Blob)) }
	switch {
	case len(b.Blob) == 0:
		return bad("the metadata blob is empty")
	case len(b.Blob) > math.MaxInt32:
		return bad("the metadata blob has %d bytes, more than a map's value may", len(b.Blob))
	case len(b.Object.SHA256) != 32:
		return bad("the object's digest has %d bytes, want 32", len(b.Object.SHA256))
	case b.CtxSize < CtxHeaderSize || b.CtxSize > MaxCtx:
		return bad("a context of %d bytes, want %d to %d", b.CtxSize, CtxHeaderSize, MaxCtx)
	case !inBlob(b.BTF):
		return bad("the BTF lies outside the blob")
	case len(b.Loaders) == 0:
		return bad("no loader")
	}

	ctx := map[uint32]string{}
	descriptor := func(what string, off uint32) error {
		if off < CtxHeaderSize || off%4 != 0 || uint64(off)+4 > uint64(b.CtxSize) {
			return bad("the descriptor of %s lies outside the context", what)
		}
		if other, dup := ctx[off]; dup {
			return bad("%s and %s share a descriptor", other, what)
		}
		ctx[off] = what
		return nil
	}
	names := map[string]bool{}
	for _, m := range b.Maps {
		if m.Name == "" || names[m.Name] {
			return bad("two maps named %q, or a nameless one", m.Name)
		}
		names[m.Name] = true
		if err := descriptor("map "+m.Name, m.Ctx); err != nil {
			return err
		}
		if !inBlob(m.Arena) {
			return bad("the variables of arena %s lie outside the blob", m.Name)
		}
	}
	names = map[string]bool{}
	for _, p := range b.Programs {
		if p.Name == "" || names[p.Name] {
			return bad("two programs named %q, or a nameless one", p.Name)
		}
		names[p.Name] = true
		if err := descriptor("program "+p.Name, p.Ctx); err != nil {
			return err
		}
		if !inBlob(p.Insns) || p.Insns.Size == 0 || p.Insns.Size%InsnSize != 0 {
			return bad("the instructions of program %s lie outside the blob or are none", p.Name)
		}
	}

	last := Scheme(0)
	for _, l := range b.Loaders {
		attestation, err := l.Scheme.Attestation()
		switch {
		case err != nil:
			return bad("%w", err)
		case l.Scheme <= last:
			return bad("two loaders for scheme %v, or loaders out of order", l.Scheme)
		case len(l.Insns) == 0 || len(l.Insns)%InsnSize != 0 || len(l.Insns)/InsnSize > MaxInsns:
			return bad("the %v loader has %d bytes: not 1 to %d instructions", l.Scheme, len(l.Insns), MaxInsns)
		case attestation.SignsMap && len(l.Insns)+len(b.Blob) > MaxPayload:
			return bad("instructions and blob have %d bytes, and the signature of scheme %v covers %d at most: "+
				"make the object's data smaller, or generate the bundle without scheme %v", len(l.Insns)+len(b.Blob), l.Scheme, MaxPayload, l.Scheme)
		}
		last = l.Scheme
		for _, s := range l.Signatures {
			_, err := ParseKind(string(s.Kind))
			switch {
			case len(s.CMS) == 0 || len(s.CMS) > MaxSignature:
				return bad("a signature of %d bytes for scheme %v, want 1 to %d", len(s.CMS), l.Scheme, MaxSignature)
			case len(s.KeyID) == 0 || len(s.KeyID) > 64:
				return bad("a key id of %d bytes for scheme %v, want 1 to 64", len(s.KeyID), l.Scheme)
			case err != nil:
				return bad("a signature for scheme %v: %w", l.Scheme, err)
			}
		}
	}
	return nil
}
