package simkernel

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
)

// Map is a BPF map, with what BPF_MAP_CREATE was told of it.
type Map struct {
	Type, KeySize, ValueSize, MaxEntries, Flags uint32
	NUMANode, IfIndex                           uint32
	Extra                                       uint64
	Name                                        string
	// BTF is the type information that KeyType and ValueType are ids in, or nil.
	BTF                *BTF
	KeyType, ValueType uint32
	// KernelValue is the kernel's struct that is the value of a struct_ops map, or nil.
	KernelValue *Symbol
	// Inner is the template of a map of maps.
	Inner *Map
	// ExclProgHash is the digest of the only program that may use the map, or nil.
	ExclProgHash []byte
	// Updates are the calls of BPF_MAP_UPDATE_ELEM on the map that succeeded, in order.
	Updates []Update
	Frozen  bool

	// value and sha are the metadata map's only value and what struct bpf_map shows as its digest.
	value []byte
	sha   [sha256.Size]byte
}

// Update is one call of BPF_MAP_UPDATE_ELEM.
type Update struct {
	Key, Value []byte
	Flags      uint64
	// Map and Prog are what the value, a descriptor, stands for in maps that hold such.
	Map  *Map
	Prog *Prog
	// Progs are the programs whose descriptors are in the value of a struct_ops map, by offset.
	Progs map[int]*Prog
}

// Prog is a BPF program, with what BPF_PROG_LOAD was told of it.
type Prog struct {
	Type, ExpectedAttachType, Flags, IfIndex uint32
	Name, License                            string
	// Insns are the instructions as the loader handed them over, in the kernel's byte order. The numbers in them that
	// differ from run to run (descriptors, indices of them, ids, addresses) are explained by Refs.
	Insns []byte
	Refs  map[int]Ref
	// BTF is the program's type information, or nil.
	BTF                            *BTF
	FuncInfo, LineInfo, Relocation Records
	// Attach is the kernel type that attach_btf_id names; AttachProg is the program that attach_prog_fd names.
	Attach     *Symbol
	AttachProg *Prog
	LogLevel   uint32
}

// Records is an array of records of one size.
type Records struct {
	Size, Count uint32
	Data        []byte
}

// Ref says what a number in an instruction stands for. Exactly one of its pointers is set, unless it is unresolved.
type Ref struct {
	Map *Map
	// Offset is the offset in the map's first value; Value says that it is meant and not the map itself.
	Value  bool
	Offset uint32
	// Symbol is a kernel type, function or variable.
	Symbol *Symbol
}

// Symbol is something that the kernel knows by its name.
type Symbol struct {
	Name string
	// Kind is the BTF kind that was asked for, 0 for a symbol of kallsyms.
	Kind uint32
	// Module is the module whose BTF has it, empty for the kernel itself.
	Module string
	id     uint32
	addr   uint64
}

// BTF is type information: an object's, or a kernel module's.
type BTF struct {
	Raw    []byte
	Module string
}

// Link is what BPF_LINK_CREATE or BPF_RAW_TRACEPOINT_OPEN makes.
type Link struct {
	Prog       *Prog
	AttachType uint32
	Name       string
}

// loader is a loaded gen-loader.
type loader struct {
	insns []byte
	meta  *Map
}

// describe names an object for messages.
func describe(object any) string {
	switch o := object.(type) {
	case *Map:
		return fmt.Sprintf("map %q", o.Name)
	case *Prog:
		return fmt.Sprintf("program %q", o.Name)
	case *BTF:
		if o.Module != "" {
			return fmt.Sprintf("BTF of module %s", o.Module)
		}
		return "BTF"
	case *Link:
		return fmt.Sprintf("link of program %q", o.Prog.Name)
	case *loader:
		return "the loader"
	}
	return fmt.Sprintf("%T", object)
}

// file is an open descriptor.
type file struct {
	object any
	// host is set for what the loading process opened itself.
	host bool
	// pc is the instruction that opened it.
	pc int
}

// fdTable is a process' descriptors.
type fdTable struct {
	numbers *rand.Rand
	open    map[int32]file
}

// maxFD is more than the largest descriptor: RLIMIT_NOFILE as root may set it (sysctl_nr_open).
const maxFD = 1 << 20

// firstFD is the first descriptor behind those of the standard streams.
const firstFD = 3

// stream is one of the standard streams, which every process has open.
type stream struct{}

func newFDTable(seed uint64) fdTable {
	t := fdTable{rand.New(rand.NewPCG(seed, seed)), map[int32]file{}}
	for fd := int32(1); fd < firstFD; fd++ { // 0 means none in many attributes
		t.open[fd] = file{object: stream{}, host: true}
	}
	return t
}

// add opens a descriptor. Which one is the host's choice, so no loader can know.
func (t *fdTable) add(f file) int32 {
	for {
		fd := firstFD + t.numbers.Int32N(maxFD-firstFD)
		if _, used := t.open[fd]; !used {
			t.open[fd] = f
			return fd
		}
	}
}

// own returns the object behind a descriptor that a loader names. It has to be one that the loader has opened in this run.
func own[T any](m *machine, fd int32) (T, Errno) {
	if f, open := m.k.fds.open[fd]; open && f.host {
		m.fault("uses descriptor %d, which the host opened", fd)
	}
	return get[T](&m.k.fds, fd)
}

// get returns the object of type T behind a descriptor.
func get[T any](t *fdTable, fd int32) (T, Errno) {
	f, ok := t.open[fd]
	if !ok {
		var none T
		return none, EBADF
	}
	o, ok := f.object.(T)
	if !ok {
		return o, EINVAL
	}
	return o, 0
}

// All returns the records one by one.
func (r Records) All() [][]byte {
	list := make([][]byte, 0, r.Count)
	for b := r.Data; len(b) > 0; b = b[r.Size:] {
		list = append(list, b[:r.Size])
	}
	return list
}
