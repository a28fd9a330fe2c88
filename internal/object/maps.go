package object

import (
	"debug/elf"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Sizes that libbpf takes from the machine it runs on, and a signed loader has to fix when it is made.
const (
	// pageSize is the unit of a ring buffer's size: that of the machines with the smallest pages.
	pageSize = 4096
	// perfEventCPUs is the size of a perf event array that names none: enough for the CPUs of any host.
	perfEventCPUs = 4096
)

// pinByName is LIBBPF_PIN_BY_NAME (tools/lib/bpf/libbpf.h). The only other way to pin is LIBBPF_PIN_NONE, 0.
const pinByName = 1

// maxKernelName is the length of the longest name that the kernel takes.
const maxKernelName = uapi.ObjNameLen - 1

// hasNoBTF tells the map types that the kernel creates without key and value types.
func hasNoBTF(typ uapi.MapType) bool {
	switch typ {
	case uapi.MapTypePerfEventArray, uapi.MapTypeCgroupArray, uapi.MapTypeStackTrace, uapi.MapTypeArrayOfMaps,
		uapi.MapTypeHashOfMaps, uapi.MapTypeDevMap, uapi.MapTypeDevMapHash, uapi.MapTypeCPUMap, uapi.MapTypeXSKMap,
		uapi.MapTypeSockMap, uapi.MapTypeSockHash, uapi.MapTypeQueue, uapi.MapTypeStack, uapi.MapTypeArena:
		return true
	}
	return false
}

func isMapOfMaps(typ uapi.MapType) bool {
	return typ == uapi.MapTypeArrayOfMaps || typ == uapi.MapTypeHashOfMaps
}

// readMaps reads the definitions in section .maps: each is a variable whose type's members say what the map is.
func (r *reader) readMaps() error {
	if r.mapsSec == 0 {
		return nil
	}
	if r.BTF == nil {
		return r.errorf("section .maps", "maps are defined by their BTF, and the object has none; compile it with -g")
	}
	sec := r.BTF.Find(btf.DataSec, ".maps")
	if sec == 0 {
		return r.errorf("section .maps", "has no BTF; compile with -g")
	}
	for _, m := range r.BTF.Types[sec].Members {
		v := r.BTF.Types[m.Type]
		if v.Kind != btf.Var {
			return r.errorf("section .maps", "its BTF has a member that is not a variable")
		}
		if v.Extra != btf.Global {
			return r.errorf("map "+v.Name, "is static: make it global")
		}
		def := &Map{Name: v.Name}
		if err := r.mapDefinition(def, v.Ref, false); err != nil {
			return r.errorf("map "+v.Name, "%w", err)
		}
		r.maps[r.mapsSec] = append(r.maps[r.mapsSec], mapAt{m.Offset, uint64(m.Size), def})
		r.Maps = append(r.Maps, def)
		if def.Type == uapi.MapTypeArena {
			if r.arena != nil {
				return r.errorf("map "+v.Name, "is a second arena, beside %s: an object may have one", r.arena.Name)
			}
			r.arena = def
		}
	}
	return nil
}

// mapDefinition fills in a map from the members of its defining type.
func (r *reader) mapDefinition(m *Map, typ btf.ID, inner bool) error {
	m.KernelName = kernelName(m.Name)
	def := &r.BTF.Types[r.BTF.Strip(typ)]
	if def.Kind != btf.Struct {
		return errors.New("is not defined by a struct")
	}
	for i, f := range def.Members {
		var err error
		switch f.Name {
		case "type":
			err = r.defNumber((*uint32)(&m.Type), f.Type)
		case "max_entries":
			err = r.defNumber(&m.MaxEntries, f.Type)
		case "map_flags":
			err = r.defNumber((*uint32)(&m.Flags), f.Type)
		case "numa_node":
			err = r.defNumber(&m.NUMANode, f.Type)
		case "key_size":
			err = r.defSize(&m.KeySize, f.Type)
		case "value_size":
			err = r.defSize(&m.ValueSize, f.Type)
		case "key":
			m.KeyType, err = r.defType(&m.KeySize, f.Type)
		case "value":
			m.ValueType, err = r.defType(&m.ValueSize, f.Type)
		case "map_extra":
			m.Extra, err = r.defUlong(f.Type)
		case "pinning":
			if m.Pinning, err = r.defUint(f.Type); err == nil && (inner || m.Pinning > pinByName) {
				err = errors.New("only LIBBPF_PIN_NONE and LIBBPF_PIN_BY_NAME are known, and not for inner maps")
			}
		case "values":
			if inner || i != len(def.Members)-1 {
				err = errors.New("only an outer map has values, and they come last")
			} else {
				err = r.defValues(m, f.Type)
			}
		default:
			err = errors.New("is not known")
		}
		if err != nil {
			return fmt.Errorf("member %s: %w", f.Name, err)
		}
	}
	if m.Type == 0 {
		return errors.New("has no member type: __uint(type, BPF_MAP_TYPE_...)")
	}
	switch m.Type {
	case uapi.MapTypeRingBuf, uapi.MapTypeUserRingBuf:
		m.MaxEntries = ringbufSize(m.MaxEntries)
	case uapi.MapTypePerfEventArray:
		if m.MaxEntries == 0 {
			m.MaxEntries = perfEventCPUs
		}
	}
	// The kernel wants both types or, where there are keys at all, none (map_check_btf, kernel/bpf/syscall.c).
	if hasNoBTF(m.Type) || m.KeySize != 0 && (m.KeyType == 0 || m.ValueType == 0) {
		m.KeyType, m.ValueType = 0, 0
	}
	return nil
}

// defUint reads a number that __uint(name, number) encodes: a pointer to an array of that many elements.
func (r *reader) defUint(id btf.ID) (uint32, error) {
	t := &r.BTF.Types[r.BTF.Strip(id)]
	if t.Kind == btf.Ptr {
		if a := &r.BTF.Types[t.Ref]; a.Kind == btf.Array {
			return a.Extra, nil
		}
	}
	return 0, errors.New("want __uint(name, number)")
}

// defNumber reads such a number into to.
func (r *reader) defNumber(to *uint32, id btf.ID) (err error) {
	*to, err = r.defUint(id)
	return err
}

// defUlong reads a number that __ulong(name, number) encodes, as the value of an enumerator, or __uint.
func (r *reader) defUlong(id btf.ID) (uint64, error) {
	t := &r.BTF.Types[r.BTF.Strip(id)]
	if (t.Kind == btf.Enum || t.Kind == btf.Enum64) && len(t.Members) > 0 {
		return t.Members[0].Offset, nil
	}
	v, err := r.defUint(id)
	return uint64(v), err
}

func (r *reader) defSize(size *uint32, id btf.ID) error {
	n, err := r.defUint(id)
	return errors.Join(err, setSize(size, n))
}

// defType reads a type that __type(name, type) encodes, a pointer to it, and its size.
func (r *reader) defType(size *uint32, id btf.ID) (btf.ID, error) {
	t := &r.BTF.Types[r.BTF.Strip(id)]
	if t.Kind != btf.Ptr {
		return 0, errors.New("want __type(name, type)")
	}
	n, err := r.BTF.SizeOf(t.Ref)
	return t.Ref, errors.Join(err, setSize(size, n))
}

func setSize(size *uint32, n uint32) error {
	if *size != 0 && *size != n {
		return fmt.Errorf("two sizes, %d and %d bytes", *size, n)
	}
	*size = n
	return nil
}

// defValues reads the declaration of a map's initial contents: what they are; relocateMaps finds which.
func (r *reader) defValues(m *Map, id btf.ID) error {
	if !isMapOfMaps(m.Type) && m.Type != uapi.MapTypeProgArray {
		return errors.New("only maps of maps and of programs have values")
	}
	if err := setSize(&m.ValueSize, 4); err != nil {
		return err
	}
	a := &r.BTF.Types[r.BTF.Strip(id)]
	if a.Kind != btf.Array || a.Extra != 0 {
		return errors.New("want __array(values, ...)")
	}
	p := &r.BTF.Types[r.BTF.Strip(a.Ref)]
	if p.Kind != btf.Ptr {
		return errors.New("want an array of pointers")
	}
	if m.Type == uapi.MapTypeProgArray {
		if r.BTF.Types[r.BTF.Strip(p.Ref)].Kind != btf.FuncProto {
			return errors.New("want pointers to functions")
		}
		return nil
	}
	m.Inner = &Map{Name: m.Name + ".inner"}
	return r.mapDefinition(m.Inner, p.Ref, true)
}

// relocateMaps fills in the slots of maps that the object gives contents.
func (r *reader) relocateMaps() error {
	maps := func(t elf.SectionIndex) bool { return t == r.mapsSec && t != 0 }
	return r.relocations(maps, func(_ elf.SectionIndex, off uint64, _ int, sym elf.Symbol) error {
		for _, at := range r.maps[r.mapsSec] {
			if off < at.off || off-at.off >= at.size {
				continue
			}
			if err := r.addSlot(at, off-at.off, sym, r.pointee(r.mapsSec, off, sym)); err != nil {
				return r.errorf("map "+at.m.Name, "%w", err)
			}
			return nil
		}
		return r.errorf("section .maps", "a relocation at byte %d is in no map", off)
	})
}

func (r *reader) addSlot(at mapAt, off uint64, sym elf.Symbol, to pointee) error {
	var values uint64
	for _, m := range r.BTF.Types[r.BTF.Find(btf.DataSec, ".maps")].Members {
		if m.Offset != at.off {
			continue
		}
		def := r.BTF.Types[r.BTF.Strip(r.BTF.Types[m.Type].Ref)]
		values = def.Members[len(def.Members)-1].Offset / 8
	}
	if off < values || (off-values)%8 != 0 {
		return fmt.Errorf("a reference to %s is not among its values", sym.Name)
	}
	slot := Slot{Index: uint32(off-values) / 8}
	switch {
	case at.m.Type == uapi.MapTypeProgArray:
		if to.function == nil || to.function.program == nil {
			return fmt.Errorf("value %d: %s is not a program", slot.Index, to.name)
		}
		slot.Program = to.function.program
	case isMapOfMaps(at.m.Type):
		for _, other := range r.maps[r.mapsSec] {
			if sym.Section == r.mapsSec && other.off == sym.Value {
				slot.Map = other.m
			}
		}
		if slot.Map == nil {
			return fmt.Errorf("value %d: %s is not a map of section .maps", slot.Index, sym.Name)
		}
		if at.m.Type == uapi.MapTypeHashOfMaps && at.m.KeySize != 4 {
			return fmt.Errorf("keys of %d bytes, and values are numbered by keys of 4", at.m.KeySize)
		}
	default:
		return errors.New("a map of this type cannot be given contents")
	}
	at.m.Slots = append(at.m.Slots, slot)
	return nil
}

// readDataMaps makes a map of every section of global variables.
func (r *reader) readDataMaps() error {
	for i, sec := range r.elf.Sections {
		if sec.Name == ".addr_space.1" && sec.Size > 0 {
			if err := r.readArenaData(elf.SectionIndex(i), sec); err != nil {
				return err
			}
		}
		m := dataMap(sec)
		if m == nil || sec.Size == 0 {
			continue
		}
		if sec.Size > 1<<31-1 {
			return r.errorf("section "+sec.Name, "%d bytes are more than a map's value may have", sec.Size)
		}
		m.Name, m.KernelName = sec.Name, r.dataMapName(sec.Name)
		m.Section, m.KeySize, m.ValueSize, m.MaxEntries = sec.Name, 4, uint32(sec.Size), 1
		if sec.Type == elf.SHT_PROGBITS {
			data, err := sec.Data()
			if err != nil {
				return r.errorf("section "+sec.Name, "%w", err)
			}
			m.Data = data
		}
		if r.BTF != nil {
			m.ValueType = r.BTF.Find(btf.DataSec, sec.Name)
		}
		if m.Type == uapi.MapTypeArray && r.visible(m.ValueType) {
			m.Flags |= uapi.MapFlagMmapable
		}
		index := elf.SectionIndex(i)
		r.maps[index] = append(r.maps[index], mapAt{0, sec.Size, m})
		r.Maps = append(r.Maps, m)
	}
	return nil
}

// dataMap returns the beginnings of the map for a section, or nil if it is not one of variables.
func dataMap(sec *elf.Section) *Map {
	is := func(name string) bool { return sec.Name == name || strings.HasPrefix(sec.Name, name+".") }
	if sec.Flags&elf.SHF_EXECINSTR != 0 {
		return nil
	}
	switch {
	case sec.Type == elf.SHT_PROGBITS && is(".data"):
		return &Map{Type: uapi.MapTypeArray}
	case sec.Type == elf.SHT_PROGBITS && is(".rodata"):
		return &Map{Type: uapi.MapTypeArray, Flags: uapi.MapFlagReadOnlyProg, Freeze: true}
	case sec.Type == elf.SHT_PROGBITS && is(".percpu"):
		return &Map{Type: uapi.MapTypePerCPUArray}
	case sec.Type == elf.SHT_NOBITS && is(".bss"):
		return &Map{Type: uapi.MapTypeArray}
	}
	return nil
}

// visible says whether a data section has a variable that user space should see: one that is not static.
func (r *reader) visible(section btf.ID) bool {
	if section == 0 {
		return false
	}
	for _, m := range r.BTF.Types[section].Members {
		if v := &r.BTF.Types[m.Type]; v.Kind == btf.Var && v.Extra != btf.Static {
			return true
		}
	}
	return false
}

// dataMapName is the name that the kernel is given for a data section's map: as libbpf names them, so that tools find
// them.
func (r *reader) dataMapName(section string) string {
	if strings.Contains(section[1:], ".") || strings.HasPrefix(section, ".percpu") {
		return kernelName(section)
	}
	prefix := min(maxKernelName-max(7, len(section)), len(r.Name))
	return kernelName(r.Name[:max(prefix, 0)] + section)
}

// kernelName cuts a name to what the kernel takes, and replaces what it does not take.
func kernelName(name string) string {
	b := []byte(name[:min(len(name), maxKernelName)])
	for i, c := range b {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.'
		if !ok {
			b[i] = '_'
		}
	}
	return string(b)
}

// ringbufSize rounds a ring buffer's size up to what the kernel takes: a page times a power of two.
func ringbufSize(n uint32) uint32 {
	if n == 0 || n > 1<<31 {
		return n // the kernel says what is wrong with it
	}
	return max(pageSize, uint32(1)<<bits.Len32(n-1))
}

// readArenaData notes the initial contents of an arena's variables, which stand at the end of the arena, so that the
// address of none is zero.
func (r *reader) readArenaData(index elf.SectionIndex, sec *elf.Section) error {
	if r.arena == nil {
		return r.errorf("section "+sec.Name, "arena variables need a map of type BPF_MAP_TYPE_ARENA")
	}
	data, err := sec.Data()
	if err != nil {
		return r.errorf("section "+sec.Name, "%w", err)
	}
	size := uint64(r.arena.MaxEntries) * pageSize
	need := (uint64(len(data)) + pageSize - 1) / pageSize * pageSize
	if need > size {
		return r.errorf("map "+r.arena.Name, "%d pages do not hold arena variables of %d bytes", r.arena.MaxEntries, len(data))
	}
	if offset := size - need; offset < uapi.MaxVarOff {
		r.arena.DataOffset = uint32(offset)
	}
	r.arena.Data, r.arenaSec = data, index
	return nil
}
