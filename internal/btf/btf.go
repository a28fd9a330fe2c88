// Package btf reads, changes and writes BPF Type Format as clang emits it and as BPF_BTF_LOAD takes it.
//
// It keeps to the wire format (Documentation/bpf/btf.rst): type ids are indexes, nothing is resolved unless asked for.
// That is what a gen-loader needs, which hands CO-RE relocations and map types to the kernel by id; libraries that build a
// graph of Go types renumber on the way.
package btf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ID is the index of a type; 0 is void.
type ID = uint32

// Kind is a BTF_KIND_*.
type Kind uint8

// The kinds of types (include/uapi/linux/btf.h).
const (
	Void Kind = iota
	Int
	Ptr
	Array
	Struct
	Union
	Enum
	Fwd
	Typedef
	Volatile
	Const
	Restrict
	Func
	FuncProto
	Var
	DataSec
	Float
	DeclTag
	TypeTag
	Enum64
	maxKind
)

// kindNames are the names of the kinds, as in C where C has them.
var kindNames = [maxKind]string{
	"void", "int", "pointer", "array", "struct", "union", "enum", "forward declaration", "typedef", "volatile", "const",
	"restrict", "function", "function prototype", "variable", "data section", "float", "declaration tag", "type tag", "enum64",
}

func (k Kind) String() string {
	if k < maxKind {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Linkage of functions and variables.
const (
	Static = 0
	Global = 1
	Extern = 2 // BTF_FUNC_EXTERN and BTF_VAR_GLOBAL_EXTERN
)

const (
	magic           = 0xeb9f
	headerLen       = 24
	maxStringOffset = 1<<24 - 1 // BTF_MAX_NAME_OFFSET, include/uapi/linux/btf.h
	maxTypes        = 1<<20 - 1 // BTF_MAX_TYPE
	maxMembers      = 1<<16 - 1 // BTF_MAX_VLEN
)

// ErrMalformed is in the chain of every error of Parse.
var ErrMalformed = errors.New("malformed BTF")

// Type is one type, or another record of the type section.
type Type struct {
	Kind Kind
	// Flag is the kind_flag: bit-field offsets in a struct, a union for Fwd, signedness of an enum.
	Flag bool
	Name string
	// Size is the size in bytes of Int, Struct, Union, Enum, DataSec, Float and Enum64.
	Size uint32
	// Ref is the type that Ptr, Typedef, Volatile, Const, Restrict, Func, FuncProto (its result), Var, DeclTag, TypeTag and
	// Array (its elements) refer to.
	Ref ID
	// Extra is the encoding of Int, the linkage of Func and Var, the component index of DeclTag, the number of elements of
	// Array.
	Extra uint32
	// Index is the type of an Array's index.
	Index ID
	// Members are those of Struct and Union, the values of Enum and Enum64, the parameters of FuncProto, the variables of
	// DataSec.
	Members []Member
}

// Member is a part of a type.
type Member struct {
	Name string
	Type ID
	// Offset is a struct member's offset as encoded, in bits (see Type.Flag), the value of an enumerator, or the
	// offset of a variable in its section, in bytes.
	Offset uint64
	// Size is a variable's size, in bytes.
	Size uint32
}

// Spec is a set of types. Types[0] is void.
type Spec struct {
	Order binary.ByteOrder
	Types []Type
	// strings is the string section of the input, for offsets that .BTF.ext has, and ends are the places of its zero bytes. All
	// names share its memory: a short input may have a long string that many types are named by.
	strings string
	ends    []uint32
	base    *Spec // of which this is an extension, or nil
}

// Parse reads the contents of a .BTF section, in the byte order given.
func Parse(raw []byte, order binary.ByteOrder) (*Spec, error) {
	return parse(raw, order, nil)
}

// parse reads what extends base, if there is one: ids and string offsets go on where base's end.
func parse(raw []byte, order binary.ByteOrder, base *Spec) (*Spec, error) {
	bad := func(format string, args ...any) (*Spec, error) {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, args...))
	}
	if len(raw) < headerLen {
		return bad("%d bytes, less than a header", len(raw))
	}
	if order.Uint16(raw) != magic || raw[2] != 1 {
		return bad("magic %#x version %d, want %#x version 1", order.Uint16(raw), raw[2], magic)
	}
	hdrLen := uint64(order.Uint32(raw[4:]))
	typeOff, typeLen := uint64(order.Uint32(raw[8:])), uint64(order.Uint32(raw[12:]))
	strOff, strLen := uint64(order.Uint32(raw[16:])), uint64(order.Uint32(raw[20:]))
	if hdrLen < headerLen || hdrLen+typeOff+typeLen > uint64(len(raw)) || hdrLen+strOff+strLen > uint64(len(raw)) {
		return bad("header names sections outside its %d bytes", len(raw))
	}
	s := &Spec{
		Order:   order,
		Types:   make([]Type, 1, typeLen/16+1),
		strings: string(raw[hdrLen+strOff : hdrLen+strOff+strLen]),
		base:    base,
	}
	if base != nil {
		if strLen > 0 && s.strings[0] == 0 { // else its names and types would be taken for the base's
			return bad("string section begins with a zero byte, as in BTF of a kernel or a program: it is no module's")
		}
		s.Types = append(make([]Type, 0, uint64(len(base.Types))+typeLen/16), base.Types...)
	} else if strLen == 0 || s.strings[0] != 0 {
		return bad("string section does not begin with a zero byte, as in %w", ErrNoBase)
	}
	if strLen > 0 && s.strings[strLen-1] != 0 {
		return bad("string section does not end with a zero byte")
	}
	for i := range len(s.strings) {
		if s.strings[i] == 0 {
			s.ends = append(s.ends, uint32(i))
		}
	}
	r := reader{data: raw[hdrLen+typeOff : hdrLen+typeOff+typeLen], spec: s}
	for len(r.data) > 0 {
		t, err := r.next()
		if err != nil {
			return bad("type %d: %v", len(s.Types), err)
		}
		s.Types = append(s.Types, t)
	}
	var refs []*ID
	for id := range s.Types {
		refs = s.Types[id].refs(refs[:0])
		for _, ref := range refs {
			if *ref >= ID(len(s.Types)) {
				return bad("type %d refers to type %d of %d", id, *ref, len(s.Types)-1)
			}
			if !mayRefer(s.Types[id].Kind, s.Types[*ref].Kind) {
				return bad("type %d (%v) refers to type %d, a %v", id, s.Types[id].Kind, *ref, s.Types[*ref].Kind)
			}
		}
	}
	return s, nil
}

// mayRefer says whether a type of one kind may be made of, or say something about, one of another: not all records are types
// of something.
func mayRefer(from, to Kind) bool {
	switch to {
	case DataSec, DeclTag:
		return false
	case Var, Func:
		return from == DataSec || from == DeclTag
	}
	return true
}

// reader decodes the type section, one record at a time.
type reader struct {
	data []byte
	spec *Spec
	err  error
}

func (r *reader) u32() uint32 {
	if len(r.data) < 4 {
		r.err = errors.New("truncated")
		return 0
	}
	v := r.spec.Order.Uint32(r.data)
	r.data = r.data[4:]
	return v
}

func (r *reader) name() string {
	s, err := r.spec.String(r.u32())
	if err != nil && r.err == nil {
		r.err = err
	}
	return s
}

func (r *reader) next() (t Type, err error) {
	t.Name = r.name()
	info := r.u32()
	size := r.u32()
	t.Kind, t.Flag = Kind(info>>24&0x1f), info>>31 == 1
	vlen := int(info & 0xffff)
	if t.Kind == Void || t.Kind >= maxKind {
		return t, fmt.Errorf("unknown kind %d", t.Kind)
	}
	switch t.Kind {
	case Int, Struct, Union, Enum, DataSec, Float, Enum64:
		t.Size = size
	default:
		t.Ref = size
	}
	if perMember := memberLen(t.Kind); perMember > 0 {
		if vlen*perMember > len(r.data) { // before allocating what the input merely claims
			return t, errors.New("truncated")
		}
		t.Members = make([]Member, vlen)
	}
	for i := range t.Members {
		m := &t.Members[i]
		switch t.Kind {
		case Struct, Union:
			m.Name, m.Type, m.Offset = r.name(), r.u32(), uint64(r.u32())
		case Enum:
			m.Name, m.Offset = r.name(), uint64(r.u32())
		case Enum64:
			m.Name = r.name()
			lo := r.u32()
			m.Offset = uint64(r.u32())<<32 | uint64(lo)
		case FuncProto:
			m.Name, m.Type = r.name(), r.u32()
		case DataSec:
			m.Type, m.Offset, m.Size = r.u32(), uint64(r.u32()), r.u32()
		}
	}
	switch t.Kind {
	case Int, Var, DeclTag:
		t.Extra = r.u32()
	case Func:
		t.Extra = uint32(vlen)
	case Array:
		t.Ref, t.Index, t.Extra = r.u32(), r.u32(), r.u32()
	}
	if (t.Kind == Var || t.Kind == Func) && t.Extra > Extern && r.err == nil {
		return t, fmt.Errorf("%v %s has linkage %d", t.Kind, t.Name, t.Extra)
	}
	return t, r.err
}

// memberLen is the encoded size of one member, in bytes; 0 for kinds without.
func memberLen(k Kind) int {
	switch k {
	case Struct, Union, Enum64, DataSec:
		return 12
	case Enum, FuncProto:
		return 8
	}
	return 0
}

// String returns the string at an offset of the string section of the input.
func (s *Spec) String(off uint32) (string, error) {
	if s.base != nil {
		if off < uint32(len(s.base.strings)) {
			return s.base.String(off)
		}
		off -= uint32(len(s.base.strings))
	}
	end, _ := slices.BinarySearch(s.ends, off)
	if end == len(s.ends) { // the last string ends where the section does
		return "", fmt.Errorf("%w: string offset %d of %d", ErrMalformed, off, len(s.strings))
	}
	return s.strings[off:s.ends[end]], nil
}

// refs appends pointers to all type ids within t.
func (t *Type) refs(to []*ID) []*ID {
	switch t.Kind {
	case Ptr, Typedef, Volatile, Const, Restrict, Func, FuncProto, Var, DeclTag, TypeTag:
		to = append(to, &t.Ref)
	case Array:
		to = append(to, &t.Ref, &t.Index)
	}
	switch t.Kind {
	case Struct, Union, FuncProto, DataSec:
		for i := range t.Members {
			to = append(to, &t.Members[i].Type)
		}
	}
	return to
}

// Find returns the first type of a kind and name, or 0.
func (s *Spec) Find(kind Kind, name string) ID {
	for id := range s.Types {
		if t := &s.Types[id]; t.Kind == kind && t.Name == name {
			return ID(id)
		}
	}
	return 0
}

// Strip follows modifiers and typedefs from id and returns the first type that is neither.
func (s *Spec) Strip(id ID) ID {
	for range len(s.Types) { // malformed input may have a cycle
		switch s.Types[id].Kind {
		case Typedef, Volatile, Const, Restrict, TypeTag:
			id = s.Types[id].Ref
		default:
			return id
		}
	}
	return 0
}

// BitField returns the offset of a member of a struct or union in bits and, if it is a bit-field, its width.
func (s *Spec) BitField(t *Type, m *Member) (offset, width uint64) {
	if t.Flag {
		return m.Offset & 0xffffff, m.Offset >> 24
	}
	// Before kind_flag, bit-fields had integer types of their own: with the width, and an offset within the integer.
	if of := &s.Types[s.Strip(m.Type)]; of.Kind == Int {
		bits, within := uint64(of.Extra&0xff), uint64(of.Extra>>16&0xff)
		if bits != uint64(of.Size)*8 || within != 0 {
			return m.Offset + within, bits
		}
	}
	return m.Offset, 0
}

// SizeOf returns a type's size in bytes, given the size of a pointer: 8 for BPF.
func (s *Spec) SizeOf(id ID) (uint32, error) {
	n := uint64(1)
	for range len(s.Types) {
		t := &s.Types[id]
		switch t.Kind {
		case Int, Struct, Union, Enum, DataSec, Float, Enum64:
			n *= uint64(t.Size)
		case Ptr:
			n *= 8
		case Array:
			n *= uint64(t.Extra)
			id = t.Ref
			if n > math.MaxUint32 {
				return 0, fmt.Errorf("type %d is larger than 4 GiB", id)
			}
			continue
		case Typedef, Volatile, Const, Restrict, Var, TypeTag, DeclTag:
			id = t.Ref
			continue
		default:
			return 0, fmt.Errorf("type %d has no size", id)
		}
		if n > math.MaxUint32 {
			return 0, fmt.Errorf("type %d is larger than 4 GiB", id)
		}
		return uint32(n), nil
	}
	return 0, fmt.Errorf("type %d refers to itself", id)
}
