// Package object reads a BPF ELF object, as clang makes it for libbpf, into a model of its maps and programs: what the
// loader compiler starts from. It follows libbpf's conventions (section names, map definitions in BTF, externs), so that
// an object means here what it means to `bpftool prog load`.
package object

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// ErrObject is in the chain of every error about an object's contents.
var ErrObject = errors.New("cannot load object")

// ErrUnsupported says that an object is sound, and asks for something that a signed loader cannot do.
var ErrUnsupported = errors.New("not supported in a signed loader")

// Object is what an ELF file defines. All slices are in libbpf's order, which is the order of the file.
type Object struct {
	// Name is the file's name up to the first dot; data sections' maps are named after it.
	Name string
	// File is the file's name as given, for messages.
	File     string
	SHA256   [sha256.Size]byte
	Order    binary.ByteOrder
	License  string
	BTF      *btf.Spec // nil if the object has none
	Maps     []*Map
	Programs []*Program
	Externs  []*Extern
}

// Map is a map that the object defines. The numbers are those of BPF_MAP_CREATE.
type Map struct {
	Name       string // in the source
	KernelName string // at most 15 bytes
	Type       uapi.MapType
	KeySize    uint32
	ValueSize  uint32
	MaxEntries uint32
	Flags      uapi.MapFlags
	NUMANode   uint32
	Extra      uint64
	Pinning    uint32
	KeyType    btf.ID
	ValueType  btf.ID
	// Inner is the template for the maps in a map of maps.
	Inner *Map
	// Slots are the initial contents of a map of maps or of programs.
	Slots []Slot
	// Section is the data section behind the map, or empty; Data are its contents, nil when all zero.
	Section string
	Data    []byte
	// DataOffset is where in an arena Data belongs, in bytes.
	DataOffset uint32
	// Freeze makes the map immutable for user space after it is filled.
	Freeze bool
	// StructOps is set for a struct_ops map.
	StructOps *StructOps
	// Disabled maps (SEC("?.struct_ops")) are not created.
	Disabled bool
}

// Slot is an element of a map of maps or of programs.
type Slot struct {
	Index   uint32
	Map     *Map
	Program *Program
}

// Program is an entry point with all the functions that it reaches, relocated against one another.
type Program struct {
	Name    string
	Section string
	Kind    SectionKind
	// Attach is the kernel symbol that the section names, without a module's name.
	Attach string
	// Autoload is false for SEC("?..."), unless an enabled struct_ops map names the program, and for a program that only
	// disabled ones name.
	Autoload bool
	Insns    []insn.Insn
	Refs     []Ref
	Funcs    []btf.FuncInfo       // Offset is an index into Insns
	Lines    []btf.LineInfo       // Offset is an index into Insns
	Relos    []btf.CORERelocation // Offset is an index into Insns
}

// Ref is a reference from an instruction to something that has no number until the loader runs.
type Ref struct {
	Insn int
	// Map is the map whose descriptor, or (Value) the address of whose first value plus Offset, is loaded.
	Map    *Map
	Value  bool
	Offset int32
	// Extern is the kernel variable or function that is meant.
	Extern *Extern
}

// Extern is something that the object declares and the kernel defines.
type Extern struct {
	Name string
	Kind ExternKind
	// Weak externs may be missing: their address is then zero.
	Weak bool
	Type btf.ID
	// Offset and Size are a kernel configuration variable's place in the map .kconfig, in bytes.
	Offset, Size uint32
}

// ExternKind says how an extern is found.
type ExternKind int

// The kinds of externs.
const (
	Kfunc        ExternKind = iota // a kernel function, by BTF
	TypedKsym                      // a kernel variable, by BTF
	TypelessKsym                   // a kernel symbol, by kallsyms
	Kconfig                        // a value in the map .kconfig
)

// errorf makes an error about a part of the object: a section, map, program or symbol.
func (o *Object) errorf(what, format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s: %w", o.File, ErrObject, what, fmt.Errorf(format, args...))
}

// SourceLine returns "file:line" for an instruction of p, or "" when the object has no line information.
func (p *Program) SourceLine(index int) string {
	line := ""
	for _, l := range p.Lines {
		if int(l.Offset) > index {
			break
		}
		line = fmt.Sprintf("%s:%d", l.File, l.Line())
	}
	return line
}
