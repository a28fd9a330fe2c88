package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Where in Blob the digest of the contract is, in bytes. The blob is signed under every scheme, so the digest is too, and with
// it everything that the contract says.
const (
	ContractOffset = 0
	ContractSize   = sha256.Size
)

// ErrContract is in the chain of the error for a bundle whose contract does not match the digest in its blob. Somebody changed
// the contract after the bundle was built, or the blob.
var ErrContract = errors.New("the contract does not match its digest in the blob")

// Contract describes everything that the loaders make, in the order in which they make it, and everything that the runtime
// acts on: which map is which, where a program attaches, what is pinned. All loaders of a bundle keep the same contract.
//
// The SHA-256 digest of the contract's encoding is in the blob (ContractOffset), so a signature covers the contract. Decode and
// CheckContract compare the two. The contract refers to the blob's bytes by their place and holds no digest of them: the
// signature covers those directly.
//
// The keys 6 to 9 are reserved for what a host may choose: 6 for parameters and their place in the context, 7 for members that
// may be absent, 8 for groups, 9 for descriptors that come from the host. A key that this package does not know is an error, so
// no runtime ignores a choice that it does not understand.
type Contract struct {
	Object Object `cbor:"1,keyasint"`
	// CtxSize is the size of the loader's context, in bytes.
	CtxSize  uint32    `cbor:"2,keyasint"`
	Maps     []Map     `cbor:"3,keyasint,omitempty"`
	Programs []Program `cbor:"4,keyasint,omitempty"`
	// BTF is where in Blob the object's type information is; its Size is 0 when there is none.
	BTF Range `cbor:"5,keyasint,omitzero"`
}

// Object says what the loader was compiled from.
type Object struct {
	// Name is the object file's name, without folders.
	Name string `cbor:"1,keyasint"`
	// SHA256 is the digest of the object file.
	SHA256 []byte `cbor:"2,keyasint"`
	// BigEndian is set for objects made with -target bpfeb: the loader runs on such hosts only.
	BigEndian bool `cbor:"3,keyasint,omitempty"`
	// License is what the object's license section says.
	License string `cbor:"4,keyasint,omitempty"`
}

// Range is a part of Blob, in bytes.
type Range struct {
	Offset uint32 `cbor:"1,keyasint"`
	Size   uint32 `cbor:"2,keyasint"`
}

// MapAttributes are what BPF_MAP_CREATE gets (include/uapi/linux/bpf.h).
type MapAttributes struct {
	// Kernel is the map's name in the kernel: cut to 15 bytes, and with the object's name before a data section's.
	Kernel     string `cbor:"1,keyasint,omitempty"`
	Type       uint32 `cbor:"2,keyasint"`
	KeySize    uint32 `cbor:"3,keyasint"`
	ValueSize  uint32 `cbor:"4,keyasint"`
	MaxEntries uint32 `cbor:"5,keyasint"`
	Flags      uint32 `cbor:"6,keyasint,omitempty"`
	Extra      uint64 `cbor:"7,keyasint,omitempty"`
	NUMANode   uint32 `cbor:"8,keyasint,omitempty"`
	// KeyType and ValueType are ids in the BTF, 0 for none. A data section's ValueType is its BTF_KIND_DATASEC.
	KeyType   uint32 `cbor:"9,keyasint,omitempty"`
	ValueType uint32 `cbor:"10,keyasint,omitempty"`
}

// Map describes a map that the loader creates.
type Map struct {
	MapAttributes
	// Name is the map's name in the source.
	Name string `cbor:"16,keyasint"`
	// Ctx is where in its context the loader leaves the map's descriptor (an s32), in bytes from the start.
	Ctx uint32 `cbor:"17,keyasint"`
	// Section is the data section (".rodata", ".data.x") that the map holds, or empty.
	Section string `cbor:"18,keyasint,omitempty"`
	// Pinning is the map's LIBBPF_PIN_*: 0 none, 1 by name. The runtime pins after the load.
	Pinning uint32 `cbor:"19,keyasint,omitempty"`
	// Contents is where in Blob the value is that the loader puts into the map's only element, on all CPUs if there is one for
	// each. Its Size is 0 when the map begins with zeros.
	Contents Range `cbor:"20,keyasint,omitzero"`
	// Frozen says that the loader freezes the map: user space cannot change it afterwards.
	Frozen bool `cbor:"21,keyasint,omitempty"`
	// Arena is where in Blob the variables of an arena are. No loader can put them there: the runtime does, at ArenaOffset in the
	// arena's memory.
	Arena       Range  `cbor:"22,keyasint,omitzero"`
	ArenaOffset uint64 `cbor:"23,keyasint,omitempty"`
	// Inner is the template for the maps in a map of maps.
	Inner *MapAttributes `cbor:"24,keyasint,omitempty"`
	// Entries are what the loader puts into a map of maps or of programs.
	Entries []Entry `cbor:"25,keyasint,omitempty"`
	// StructOps is set for a struct_ops map.
	StructOps *StructOps `cbor:"26,keyasint,omitempty"`
}

// Entry is an element of a map of maps or of programs.
type Entry struct {
	Key uint32 `cbor:"1,keyasint"`
	// Map or Program is the Name of the map or program that the element refers to; the other one is empty.
	Map     string `cbor:"2,keyasint,omitempty"`
	Program string `cbor:"3,keyasint,omitempty"`
}

// StructOps describes what a struct_ops map implements.
type StructOps struct {
	// Type is the kernel's type, a table of functions: "tcp_congestion_ops".
	Type string `cbor:"1,keyasint"`
	// Table is where in Blob the map's value is. Its Size is 0 if the loader leaves the map empty, because filling it would attach
	// it: without BPF_F_LINK.
	Table Range `cbor:"2,keyasint,omitzero"`
	// Members are the programs that the loader puts into the table.
	Members []Member `cbor:"3,keyasint,omitempty"`
}

// Member is a program in the table of a struct_ops map.
type Member struct {
	// Name is the member's name in the kernel's type.
	Name string `cbor:"1,keyasint"`
	// Offset is where in the table the loader puts the program's descriptor (a u64), in bytes.
	Offset uint32 `cbor:"2,keyasint"`
	// Program is its Name.
	Program string `cbor:"3,keyasint"`
}

// Program describes a program that the loader loads. The numbers are those of BPF_PROG_LOAD.
type Program struct {
	// Name is the function's name in the source; the kernel gets its first 15 bytes.
	Name string `cbor:"1,keyasint"`
	// Section is the ELF section, which says what the program is for: "tp_btf/sched_process_exec".
	Section string `cbor:"2,keyasint,omitempty"`
	Type    uint32 `cbor:"3,keyasint"`
	// ExpectedAttachType is the program's enum bpf_attach_type; that of a struct_ops program is the number of its member.
	ExpectedAttachType uint32 `cbor:"4,keyasint,omitempty"`
	// Flags are BPF_F_*, such as BPF_F_SLEEPABLE.
	Flags uint32 `cbor:"5,keyasint,omitempty"`
	// AttachTo is the kernel symbol or type that the program attaches to, where the section or the struct_ops map names one.
	AttachTo string `cbor:"6,keyasint,omitempty"`
	// Insns is where in Blob the instructions are. They refer to maps by their number in Maps (BPF_PSEUDO_MAP_IDX and
	// BPF_PSEUDO_MAP_IDX_VALUE); the loader fills in what Externs lists.
	Insns Range `cbor:"7,keyasint"`
	// Ctx is where in its context the loader leaves the program's descriptor (an s32), in bytes from the start.
	Ctx uint32 `cbor:"8,keyasint"`
	// FuncInfo, LineInfo and Relocations are where in Blob the program's struct bpf_func_info, bpf_line_info and bpf_core_relo are.
	FuncInfo    Range `cbor:"9,keyasint,omitzero"`
	LineInfo    Range `cbor:"10,keyasint,omitzero"`
	Relocations Range `cbor:"11,keyasint,omitzero"`
	// Externs are the instructions that refer to the kernel, in order.
	Externs []Extern `cbor:"12,keyasint,omitempty"`
}

// Extern is an instruction's reference to something that the kernel defines and the loader looks up.
type Extern struct {
	// Insn is the instruction's number in the program.
	Insn uint32 `cbor:"1,keyasint"`
	// Name is the symbol's name in the kernel.
	Name string     `cbor:"2,keyasint"`
	Kind ExternKind `cbor:"3,keyasint"`
	// Weak symbols may be missing: the program is then loaded with zero in their place.
	Weak bool `cbor:"4,keyasint,omitempty"`
}

// ExternKind says how the loader finds an extern.
type ExternKind uint8

// The kinds of externs.
const (
	ExternFunction ExternKind = 1 // a kernel function that the program calls (kfunc), found by BTF
	ExternVariable ExternKind = 2 // a kernel variable, found by BTF
	ExternAddress  ExternKind = 3 // an address from kallsyms
)

// String returns the kind's name.
func (k ExternKind) String() string {
	switch k {
	case ExternFunction:
		return "function"
	case ExternVariable:
		return "variable"
	case ExternAddress:
		return "address"
	}
	return fmt.Sprintf("ExternKind(%d)", uint8(k))
}

// encode returns the contract in core deterministic encoding: what the digest is of.
func (c *Contract) encode() ([]byte, error) { return encMode.Marshal(c) }

// Seal puts the contract's digest into the blob. It comes last when a bundle is built, and before anything hashes or signs the
// blob.
func (b *Bundle) Seal() error {
	if len(b.Blob) < ContractOffset+ContractSize {
		return malformed("the blob has %d bytes and no room for the contract's digest", len(b.Blob))
	}
	data, err := b.Contract.encode()
	if err != nil {
		return fmt.Errorf("encode the contract: %w", err)
	}
	digest := sha256.Sum256(data)
	copy(b.Blob[ContractOffset:], digest[:])
	return nil
}

// CheckContract returns an error unless the bundle keeps the format's rules and its contract is the one whose digest is in the
// blob. Decode has done the same already. Code that acts on a contract or signs it calls CheckContract first, because a bundle
// in memory may have been changed since.
func (b *Bundle) CheckContract() error {
	if err := b.check(); err != nil {
		return err
	}
	data, err := b.Contract.encode()
	if err != nil {
		return fmt.Errorf("encode the contract: %w", err)
	}
	return b.checkDigest(data)
}

// ContractDigest returns the digest in the blob, which is that of the contract if CheckContract returns nil.
func (b *Bundle) ContractDigest() []byte {
	return b.Blob[ContractOffset : ContractOffset+ContractSize]
}

// checkDigest compares the encoded contract with the digest in the blob.
func (b *Bundle) checkDigest(contract []byte) error {
	digest := sha256.Sum256(contract)
	if !bytes.Equal(digest[:], b.ContractDigest()) {
		return fmt.Errorf("%w: the bundle was changed after it was built", ErrContract)
	}
	return nil
}
