package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
)

// ErrMalformed is in the chain of the errors of Decode and Encode for what breaks the format's rules. Their only other error is
// ErrContract.
var ErrMalformed = errors.New("malformed bundle")

// magic is the first field of every bundle, so that a file says what it is.
const magic = "rules_bpf bundle"

// maxElements is the length of the longest array in a bundle: more maps or programs have no place in a context.
const maxElements = MaxCtx

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
		MaxNestedLevels:   12,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       64,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options above are constants: wrong for all inputs or for none
	}
	return v
}

// raw is a file whose contract is encoded already.
type raw struct {
	Format  string `cbor:"1,keyasint"`
	Version uint   `cbor:"2,keyasint"`
	Bundle  struct {
		Contract cbor.RawMessage `cbor:"1,keyasint"`
		Loaders  []Loader        `cbor:"2,keyasint"`
		Blob     []byte          `cbor:"3,keyasint"`
	} `cbor:"3,keyasint"`
}

// encode writes b around its encoded contract, without checking it, and blob in the place of b's.
func (b *Bundle) encode(contract, blob []byte) ([]byte, error) {
	f := raw{Format: magic, Version: Version}
	f.Bundle.Contract, f.Bundle.Loaders, f.Bundle.Blob = contract, b.Loaders, blob
	return encMode.Marshal(f)
}

// Encode returns the bundle as a file's contents. Equal bundles give equal bytes.
func Encode(b *Bundle) ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	contract, err := b.Contract.encode()
	if err != nil {
		return nil, err
	}
	if err := b.checkDigest(contract); err != nil {
		return nil, err
	}
	data, err := b.encode(contract, b.Blob)
	if err == nil && len(data) > MaxFile {
		err = malformed("the file has %d bytes, and %d at most: make the object's data smaller", len(data), MaxFile)
	}
	return data, err
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
	contract, err := b.Contract.encode()
	if err != nil {
		return nil, err
	}
	if same, err := b.encodesTo(data, contract); err != nil {
		return nil, err
	} else if !same {
		return nil, malformed("not in core deterministic encoding")
	}
	if err := b.checkDigest(contract); err != nil {
		return nil, err
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
	if e.Version < Version {
		return malformed("unsupported bundle version %d (want %d): rebuild the bundle", e.Version, Version)
	}
	if e.Version > Version {
		return malformed("unsupported bundle version %d (want %d): rebuild the bundle or update this program", e.Version, Version)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, decoding)
}

// encodesTo reports whether data is how Encode writes the bundle. The blob, which may have megabytes, comes last and is
// compared in place.
func (b *Bundle) encodesTo(data, contract []byte) (bool, error) {
	again, err := b.encode(contract, []byte{})
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
