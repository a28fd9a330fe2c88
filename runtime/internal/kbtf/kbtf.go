// Package kbtf finds in a kernel's type information (BTF) what that kernel does to attest loaders. It reads two structs
// out of some 100,000 types without parsing the others, so that a program may ask at its start.
package kbtf

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Facts are what the types say.
type Facts struct {
	// Exclusive: the kernel can tie a map to one program: struct bpf_map has excl_prog_sha.
	Exclusive bool
	// Excl: a loader can see that its map is exclusive: struct bpf_map begins with u8 sha[32] and a 4-byte excl.
	Excl bool
	// Sig: the kernel keeps what came of a program's signature: struct bpf_prog_aux has sig.
	Sig bool
}

// ErrFormat is in the chain of every error of Scan.
var ErrFormat = errors.New("malformed BTF")

// Kinds of types, and how many bytes follow their struct btf_type: include/uapi/linux/btf.h.
const (
	kindInt       = 1
	kindArray     = 3
	kindStruct    = 4
	kindUnion     = 5
	kindEnum      = 6
	kindTypedef   = 8
	kindVolatile  = 9
	kindConst     = 10
	kindRestrict  = 11
	kindFuncProto = 13
	kindVar       = 14
	kindDataSec   = 15
	kindDeclTag   = 17
	kindTypeTag   = 18
	kindEnum64    = 19
)

// extra is what follows a type: fixed bytes, and some for each of its members. A newer kernel says it itself, in the
// layout section.
type extra struct{ fixed, each uint8 }

var extras = []extra{
	kindInt: {4, 0}, kindArray: {12, 0}, kindStruct: {0, memberSize}, kindUnion: {0, memberSize}, kindEnum: {0, 8},
	kindFuncProto: {0, 8}, kindVar: {4, 0}, kindDataSec: {0, 12}, kindDeclTag: {4, 0}, kindEnum64: {0, 12},
}

const (
	typeSize   = 12 // struct btf_type
	memberSize = 12 // struct btf_member
	headerSize = 24 // struct btf_header without the layout section
	// stride: the scan remembers where every stride-th type is.
	stride = 256
	// maxChain bounds typedefs of typedefs.
	maxChain = 32
)

// Where the digest and the exclusivity are in the struct bpf_map of kernels that show both to loaders, in bytes (BUILD_BUG_ON
// in map_create, kernel/bpf/syscall.c).
const (
	mapSHA  = 0  // u8 sha[32]
	mapExcl = 32 // u32 excl
)

// scanner walks the types of a BTF blob.
type scanner struct {
	order   binary.ByteOrder
	types   []byte
	strings []byte
	extras  []extra
	index   []uint32 // where types 1, 1+stride, 1+2*stride, ... begin
}

// Scan looks for the structs. It stops as soon as it has seen them.
func Scan(btf []byte) (Facts, error) {
	s, err := newScanner(btf)
	if err != nil {
		return Facts{}, err
	}
	var facts Facts
	var haveMap, haveAux bool
	var bpfMap typ
	err = s.walk(0, 1, func(t typ) bool {
		if t.kind != kindStruct {
			return true
		}
		switch {
		case !haveMap && s.hasName(t.name, "bpf_map"):
			haveMap, bpfMap = true, t
		case !haveAux && s.hasName(t.name, "bpf_prog_aux"):
			haveAux = true
			_, facts.Sig = s.member(t, "sig")
		}
		return !haveMap || !haveAux
	})
	if err != nil {
		return Facts{}, err
	}
	if !haveMap {
		return Facts{}, fmt.Errorf("%w: no struct bpf_map", ErrFormat)
	}
	_, facts.Exclusive = s.member(bpfMap, "excl_prog_sha")
	sha, ok1 := s.member(bpfMap, "sha")
	excl, ok2 := s.member(bpfMap, "excl")
	if ok1 && ok2 && sha.offset == 8*mapSHA && excl.offset == 8*mapExcl {
		facts.Excl = s.isInt(excl.typ, 4) && s.isBytes(sha.typ, mapExcl-mapSHA)
	}
	return facts, nil
}

func newScanner(btf []byte) (*scanner, error) {
	if len(btf) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, len(btf))
	}
	s := &scanner{order: binary.LittleEndian, extras: extras}
	const magic = 0xeb9f
	if s.order.Uint16(btf) != magic {
		s.order = binary.BigEndian
	}
	if s.order.Uint16(btf) != magic {
		return nil, fmt.Errorf("%w: it begins with %#x", ErrFormat, btf[:2])
	}
	u32 := func(off int) uint64 { return uint64(s.order.Uint32(btf[off:])) }
	header := u32(4)
	section := func(off int) ([]byte, error) {
		start := header + u32(off)
		end := start + u32(off+4)
		if header < headerSize || end > uint64(len(btf)) {
			return nil, fmt.Errorf("%w: a section lies outside the %d bytes", ErrFormat, len(btf))
		}
		return btf[start:end], nil
	}
	var err error
	if s.types, err = section(8); err != nil {
		return nil, err
	}
	if s.strings, err = section(16); err != nil {
		return nil, err
	}
	if header >= headerSize+8 && len(btf) >= headerSize+8 && u32(headerSize+4) > 0 {
		layout, err := section(headerSize)
		if err != nil {
			return nil, err
		}
		s.extras = make([]extra, len(layout)/4)
		for i := range s.extras {
			s.extras[i] = extra{layout[4*i], layout[4*i+1]}
		}
	}
	return s, nil
}

// typ is one type: struct btf_type and what follows it.
type typ struct {
	name     uint32
	kind     uint32
	vlen     uint32
	kindFlag bool
	ref      uint32 // its size in bytes, or the type that it refers to
	rest     []byte
}

// walk calls f for each type from the one at off, whose id is id, until f returns false.
func (s *scanner) walk(off uint64, id uint32, f func(typ) bool) error {
	for ; off < uint64(len(s.types)); id++ {
		if int(id/stride) == len(s.index) && id%stride == 1 {
			s.index = append(s.index, uint32(off))
		}
		b := s.types[off:]
		if len(b) < typeSize {
			return fmt.Errorf("%w: type %d is cut short", ErrFormat, id)
		}
		info := s.order.Uint32(b[4:])
		kind, vlen := info>>24&0x7f, info&0xffffff
		if kind == 0 || int(kind) >= len(s.extras) {
			return fmt.Errorf("%w: type %d is of the unknown kind %d", ErrFormat, id, kind)
		}
		e := s.extras[kind]
		size := typeSize + uint64(e.fixed) + uint64(e.each)*uint64(vlen)
		if size > uint64(len(b)) {
			return fmt.Errorf("%w: type %d is cut short", ErrFormat, id)
		}
		t := typ{s.order.Uint32(b), kind, vlen, info>>31 != 0, s.order.Uint32(b[8:]), b[typeSize:size]}
		if !f(t) {
			return nil
		}
		off += size
	}
	return nil
}

// lookup returns the type with an id. Only the types that a walk has passed, and those soon after, are found fast.
func (s *scanner) lookup(id uint32) (found typ, ok bool) {
	if id == 0 || len(s.index) == 0 {
		return typ{}, false
	}
	slot := min(int((id-1)/stride), len(s.index)-1)
	at := uint32(slot)*stride + 1
	err := s.walk(uint64(s.index[slot]), at, func(t typ) bool {
		found, ok = t, at == id
		at++
		return !ok
	})
	return found, ok && err == nil
}

func (s *scanner) hasName(off uint32, name string) bool {
	end := uint64(off) + uint64(len(name))
	return end < uint64(len(s.strings)) && s.strings[end] == 0 && string(s.strings[off:end]) == name
}

// member is a member of a struct. Its offset is in bits.
type member struct{ typ, offset uint32 }

// member finds a member that is no bit field.
func (s *scanner) member(t typ, name string) (member, bool) {
	for b := t.rest; len(b) >= memberSize; b = b[memberSize:] {
		if !s.hasName(s.order.Uint32(b), name) {
			continue
		}
		m := member{s.order.Uint32(b[4:]), s.order.Uint32(b[8:])}
		// With the kind flag, the upper 8 bits are the width of a bit field (BTF_MEMBER_BITFIELD_SIZE).
		return m, !t.kindFlag || m.offset>>24 == 0
	}
	return member{}, false
}

// isInt says whether a type is an integer of so many bytes.
func (s *scanner) isInt(id, size uint32) bool {
	for range maxChain {
		t, ok := s.lookup(id)
		if !ok {
			return false
		}
		switch t.kind {
		case kindInt:
			return t.ref == size
		case kindTypedef, kindVolatile, kindConst, kindRestrict, kindTypeTag:
			id = t.ref
		default:
			return false
		}
	}
	return false
}

// isBytes says whether a type is an array of n bytes.
func (s *scanner) isBytes(id, n uint32) bool {
	t, ok := s.lookup(id)
	if !ok || t.kind != kindArray || len(t.rest) < 12 {
		return false
	}
	elem, count := s.order.Uint32(t.rest), s.order.Uint32(t.rest[8:])
	return count == n && s.isInt(elem, 1)
}
