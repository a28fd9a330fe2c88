// Package bundle is the file format that the build side and the run side share: one signed gen-loader for every
// attestation scheme that a kernel may want, the metadata map's contents (the blob), and a contract that says what the
// loaders make.
//
// A bundle file (".bpfl") is one CBOR data item in core deterministic encoding (RFC 8949, section 4.2.1), so equal
// bundles are equal files. Decode rejects everything else: unknown fields, duplicate keys, other encodings of the same
// value, trailing bytes, and offsets that point outside their container.
//
// A signature covers a loader's instructions and the blob. The blob holds the digest of the contract, so the signature
// covers the contract too, and Decode rejects a bundle whose contract has another digest. What the kernel has not
// verified is still not trusted: whoever can write a bundle file can write a contract and a digest that match, and the
// kernel then rejects the signature. Nothing protects a Signature's KeyID and Kind.
package bundle

import "crypto/sha256"

// Version is the format's version, the only one that this package reads and writes.
const Version = 2

// Limits of the kernel that a bundle must keep, so that it fails at build time and not on a host.
const (
	// MaxInsns is BPF_COMPLEXITY_LIMIT_INSNS (include/linux/bpf_verifier.h): a loader may not be longer.
	MaxInsns = 1_000_000
	// MaxPayload is the largest dynptr (DYNPTR_SIZE_MASK, kernel/bpf/helpers.c): instructions and blob together, in bytes,
	// when the signature covers both.
	MaxPayload = 1<<24 - 1
	// MaxFile is the size of the largest bundle file, in bytes. Encode writes no larger one, and programs that read bundles need
	// not take larger ones into memory.
	MaxFile = 256 << 20
	// MaxSignature is KMALLOC_MAX_CACHE_SIZE, in bytes: the kernel refuses a longer signature.
	MaxSignature = 8192
	// MaxCtx is the end of what a syscall program may address in its context (syscall_prog_is_valid_access), in bytes.
	MaxCtx = 1<<16 - 1
	// InsnSize is the size of one BPF instruction, in bytes.
	InsnSize = 8
)

// Bundle is a signed gen-loader: what a `.bpfl` file holds.
type Bundle struct {
	// Contract describes what the loaders make. Its digest is in Blob.
	Contract `cbor:"1,keyasint"`
	// Loaders holds at most one loader for each scheme, ordered by scheme.
	Loaders []Loader `cbor:"2,keyasint"`
	// Blob is the metadata map's only value.
	Blob []byte `cbor:"3,keyasint"`
}

// Loader is the program that makes the maps and loads the programs, for one scheme.
type Loader struct {
	Scheme Scheme `cbor:"1,keyasint"`
	// Insns are the instructions, as bytes in the object's byte order.
	Insns      []byte      `cbor:"2,keyasint"`
	Signatures []Signature `cbor:"3,keyasint,omitempty"`
}

// Signature is one signer's signature of a loader.
type Signature struct {
	// KeyID is the SubjectKeyIdentifier of the signer's certificate: how the kernel finds the key in a keyring.
	KeyID []byte `cbor:"1,keyasint"`
	// Kind says what the key is for.
	Kind Kind `cbor:"2,keyasint"`
	// CMS is the detached signature (RFC 5652 SignedData, DER), as BPF_PROG_LOAD takes it.
	CMS []byte `cbor:"3,keyasint"`
}

// Loader returns the loader for a scheme, or nil.
func (b *Bundle) Loader(s Scheme) *Loader {
	for i := range b.Loaders {
		if b.Loaders[i].Scheme == s {
			return &b.Loaders[i]
		}
	}
	return nil
}

// ProgHash returns the loader's digest, the excl_prog_hash that ties the metadata map to it.
func (l *Loader) ProgHash() [sha256.Size]byte { return sha256.Sum256(l.Insns) }
