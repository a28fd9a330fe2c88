// Package bundle is the file format that the build side and the run side share: one signed gen-loader for every
// attestation scheme that a kernel may want, with the metadata map's contents and a description of what the loader
// makes.
//
// A bundle file (".bpfl") is one CBOR data item in core deterministic encoding (RFC 8949, section 4.2.1), so equal
// bundles are equal files. Decode takes nothing else: unknown fields, duplicate keys, other encodings of the same value,
// trailing bytes and everything that points outside its container are errors. What a bundle says of itself is not
// trusted: only the signature, which the kernel verifies, protects Insns and Blob.
package bundle

import "crypto/sha256"

// Version is the format's version, the only one that this package reads and writes.
const Version = 1

// Limits of the kernel that a bundle must keep, so that it fails at build time and not on a host.
const (
	// MaxInsns is BPF_COMPLEXITY_LIMIT_INSNS (include/linux/bpf_verifier.h): a loader may not be longer.
	MaxInsns = 1_000_000
	// MaxPayload is the largest dynptr (DYNPTR_SIZE_MASK, kernel/bpf/helpers.c): instructions and blob together, in bytes,
	// when the signature covers both.
	MaxPayload = 1<<24 - 1
	// MaxSignature is KMALLOC_MAX_CACHE_SIZE, in bytes: the kernel refuses a longer signature.
	MaxSignature = 8192
	// MaxCtx is the end of what a syscall program may address in its context (syscall_prog_is_valid_access), in bytes.
	MaxCtx = 1<<16 - 1
	// InsnSize is the size of one BPF instruction, in bytes.
	InsnSize = 8
)

// Bundle is a signed gen-loader: what a `.bpfl` file holds.
type Bundle struct {
	Object Object `cbor:"1,keyasint"`
	// CtxSize is the size of the loader's context, in bytes.
	CtxSize uint32 `cbor:"2,keyasint"`
	// Maps and Programs are what the loader makes, in the order in which it does.
	Maps     []Map     `cbor:"3,keyasint"`
	Programs []Program `cbor:"4,keyasint"`
	// BTF is where in Blob the object's type information is; its Size is 0 when there is none.
	BTF Range `cbor:"5,keyasint"`
	// Loaders holds at most one loader for each scheme, ordered by scheme.
	Loaders []Loader `cbor:"6,keyasint"`
	// Blob is the metadata map's only value.
	Blob []byte `cbor:"7,keyasint"`
}

// Object says what the loader was compiled from.
type Object struct {
	// Name is the object file's name, without folders.
	Name string `cbor:"1,keyasint"`
	// SHA256 is the digest of the object file.
	SHA256 []byte `cbor:"2,keyasint"`
	// BigEndian is set for objects made with -target bpfeb: the loader runs on such hosts only.
	BigEndian bool `cbor:"3,keyasint"`
	// License is what the object's license section says.
	License string `cbor:"4,keyasint"`
}

// Range is a part of Blob, in bytes.
type Range struct {
	Offset uint32 `cbor:"1,keyasint"`
	Size   uint32 `cbor:"2,keyasint"`
}

// Map describes a map that the loader creates. The numbers are those of BPF_MAP_CREATE (include/uapi/linux/bpf.h).
type Map struct {
	// Name is the map's name in the source; Kernel is what BPF_MAP_CREATE gets: cut to 15 bytes, and with the object's
	// name before a data section's.
	Name       string `cbor:"1,keyasint"`
	Kernel     string `cbor:"2,keyasint"`
	Type       uint32 `cbor:"3,keyasint"`
	KeySize    uint32 `cbor:"4,keyasint"`
	ValueSize  uint32 `cbor:"5,keyasint"`
	MaxEntries uint32 `cbor:"6,keyasint"`
	Flags      uint32 `cbor:"7,keyasint"`
	Extra      uint64 `cbor:"8,keyasint"`
	// Ctx is where in its context the loader leaves the map's descriptor (an s32), in bytes from the start.
	Ctx uint32 `cbor:"9,keyasint"`
	// Section is the data section (".rodata", ".data.x") that fills the map, or empty.
	Section string `cbor:"10,keyasint"`
	// Pinning is the map's LIBBPF_PIN_*: 0 none, 1 by name. The runtime pins after the load.
	Pinning uint32 `cbor:"11,keyasint"`
	// KeyType and ValueType are ids in the BTF, 0 for none. A data section's ValueType is its BTF_KIND_DATASEC.
	KeyType   uint32 `cbor:"12,keyasint"`
	ValueType uint32 `cbor:"13,keyasint"`
	// Arena is where in Blob the variables of an arena are, which no loader can put there: the runtime does, at ArenaOffset in
	// the arena's memory.
	Arena       Range  `cbor:"14,keyasint"`
	ArenaOffset uint64 `cbor:"15,keyasint"`
}

// Program describes a program that the loader loads. The numbers are those of BPF_PROG_LOAD.
type Program struct {
	// Name is the function's name in the source; the kernel gets its first 15 bytes.
	Name string `cbor:"1,keyasint"`
	// Section is the ELF section, which says what the program is for: "tp_btf/sched_process_exec".
	Section            string `cbor:"2,keyasint"`
	Type               uint32 `cbor:"3,keyasint"`
	ExpectedAttachType uint32 `cbor:"4,keyasint"`
	// Flags are BPF_F_*, such as BPF_F_SLEEPABLE.
	Flags uint32 `cbor:"5,keyasint"`
	// AttachTo is the kernel symbol or type that the program attaches to, where the section names one.
	AttachTo string `cbor:"6,keyasint"`
	// Insns is where in Blob the instructions are.
	Insns Range `cbor:"7,keyasint"`
	// Ctx is where in its context the loader leaves the program's descriptor (an s32), in bytes from the start.
	Ctx uint32 `cbor:"8,keyasint"`
}

// Loader is the program that makes the maps and loads the programs, for one scheme.
type Loader struct {
	Scheme Scheme `cbor:"1,keyasint"`
	// Insns are the instructions, as bytes in the object's byte order.
	Insns      []byte      `cbor:"2,keyasint"`
	Signatures []Signature `cbor:"3,keyasint"`
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
