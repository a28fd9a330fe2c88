package bundle

import (
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
)

// Sizes of the kernel's structures that a contract's ranges hold, in bytes.
const (
	funcInfoSize   = 8  // struct bpf_func_info
	lineInfoSize   = 16 // struct bpf_line_info
	relocationSize = 16 // struct bpf_core_relo
)

// Types of maps and programs that a contract says more of (include/uapi/linux/bpf.h).
const (
	mapProgArray      = 3  // BPF_MAP_TYPE_PROG_ARRAY
	mapArrayOfMaps    = 12 // BPF_MAP_TYPE_ARRAY_OF_MAPS
	mapHashOfMaps     = 13 // BPF_MAP_TYPE_HASH_OF_MAPS
	mapStructOps      = 26 // BPF_MAP_TYPE_STRUCT_OPS
	mapArena          = 33 // BPF_MAP_TYPE_ARENA
	programStructOps  = 27 // BPF_PROG_TYPE_STRUCT_OPS
	pinByName         = 1  // LIBBPF_PIN_BY_NAME
	descriptorSize    = 4  // an s32 in the context
	tablePointerSize  = 8  // a function pointer in a struct_ops table
	maxKernelName     = 15 // BPF_OBJ_NAME_LEN less the NUL
	maxName, maxPlace = 512, 4096
)

// checker holds a contract to the rules that its types cannot express.
type checker struct {
	*Contract
	blob     uint64 // its size
	ctx      map[uint32]string
	maps     map[string]*Map
	programs map[string]*Program
}

func (c *checker) check() error {
	c.ctx, c.maps, c.programs = map[uint32]string{}, map[string]*Map{}, map[string]*Program{}
	switch {
	case len(c.Object.SHA256) != 32:
		return malformed("the object's digest has %d bytes, want 32", len(c.Object.SHA256))
	case !isPrintable(c.Object.Name, maxName) || c.Object.Name == "" || strings.Contains(c.Object.Name, "/"):
		return malformed("the object's name %.80q is not a file name", c.Object.Name)
	case !isPrintable(c.Object.License, maxName):
		return malformed("the license %.80q is not one line of printable text", c.Object.License)
	case c.CtxSize < CtxHeaderSize || c.CtxSize > MaxCtx:
		return malformed("a context of %d bytes, want %d to %d", c.CtxSize, CtxHeaderSize, MaxCtx)
	case !c.inBlob(c.BTF):
		return malformed("the BTF lies outside the blob")
	}
	for i := range c.Maps {
		m := &c.Maps[i]
		if c.maps[m.Name] != nil {
			return malformed("two maps are named %q", m.Name)
		}
		c.maps[m.Name] = m
	}
	for i := range c.Programs {
		p := &c.Programs[i]
		if c.programs[p.Name] != nil {
			return malformed("two programs are named %q", p.Name)
		}
		c.programs[p.Name] = p
	}
	for i := range c.Maps {
		if err := c.checkMap(&c.Maps[i]); err != nil {
			return malformed("map %.80q: %w", c.Maps[i].Name, err)
		}
	}
	for i := range c.Programs {
		if err := c.checkProgram(&c.Programs[i]); err != nil {
			return malformed("program %.80q: %w", c.Programs[i].Name, err)
		}
	}
	return nil
}

// inBlob reports whether a range is a part of the blob behind the digest, or empty at offset 0.
func (c *checker) inBlob(r Range) bool {
	if r.Size == 0 {
		return r.Offset == 0
	}
	return r.Offset >= ContractOffset+ContractSize && uint64(r.Offset)+uint64(r.Size) <= c.blob
}

// takeDescriptor gives a place in the context to a map or program.
func (c *checker) takeDescriptor(what string, off uint32) error {
	if off < CtxHeaderSize || off%descriptorSize != 0 || uint64(off)+descriptorSize > uint64(c.CtxSize) {
		return fmt.Errorf("its descriptor at %d lies outside the context", off)
	}
	if other, taken := c.ctx[off]; taken {
		return fmt.Errorf("it shares its descriptor with %s", other)
	}
	c.ctx[off] = what
	return nil
}

func (c *checker) checkMap(m *Map) error {
	if m.Section == "" && !isIdentifier(m.Name, maxName) || !isPlace(m.Name) || m.Name == "" {
		return fmt.Errorf("the name is not an identifier")
	}
	if !isPlace(m.Section) {
		return fmt.Errorf("the section %.80q is not printable", m.Section)
	}
	if err := checkAttributes(&m.MapAttributes); err != nil {
		return err
	}
	if err := c.takeDescriptor("map "+m.Name, m.Ctx); err != nil {
		return err
	}
	switch {
	case m.Pinning != 0 && m.Pinning != pinByName:
		return fmt.Errorf("it has the unknown pinning %d", m.Pinning)
	case !c.inBlob(m.Contents):
		return fmt.Errorf("its contents lie outside the blob")
	case m.Contents.Size != 0 && (m.Contents.Size != m.ValueSize || m.MaxEntries != 1):
		return fmt.Errorf("its contents have %d bytes, and the map has %d entries of %d bytes", m.Contents.Size, m.MaxEntries, m.ValueSize)
	case !c.inBlob(m.Arena):
		return fmt.Errorf("its arena variables lie outside the blob")
	case m.Type != mapArena && (m.Arena != Range{} || m.ArenaOffset != 0):
		return fmt.Errorf("it has arena variables but is not an arena")
	case m.Arena.Size == 0 && m.ArenaOffset != 0:
		return fmt.Errorf("it has an offset for arena variables but no variables")
	}
	if err := c.checkInner(m); err != nil {
		return err
	}
	if err := c.checkEntries(m); err != nil {
		return err
	}
	return c.checkStructOps(m)
}

func checkAttributes(a *MapAttributes) error {
	if !isIdentifier(a.Kernel, maxKernelName) && a.Kernel != "" {
		return fmt.Errorf("the kernel does not accept the name %.80q", a.Kernel)
	}
	return nil
}

func isMapOfMaps(typ uint32) bool { return typ == mapArrayOfMaps || typ == mapHashOfMaps }

func (c *checker) checkInner(m *Map) error {
	if m.Inner == nil {
		return nil
	}
	if !isMapOfMaps(m.Type) {
		return fmt.Errorf("it has a template for inner maps but is not a map of maps")
	}
	if err := checkAttributes(m.Inner); err != nil {
		return fmt.Errorf("inner map: %w", err)
	}
	return nil
}

func (c *checker) checkEntries(m *Map) error {
	if len(m.Entries) > maxElements {
		return fmt.Errorf("it has %d entries, and a bundle can list %d", len(m.Entries), maxElements)
	}
	seen := make(map[uint32]bool, len(m.Entries))
	for _, e := range m.Entries {
		switch {
		case seen[e.Key]:
			return fmt.Errorf("two entries have the key %d", e.Key)
		case isMapOfMaps(m.Type) && e.Program == "" && c.maps[e.Map] != nil:
		case m.Type == mapProgArray && e.Map == "" && c.programs[e.Program] != nil:
		default:
			return fmt.Errorf("entry %d refers to map %.80q, program %.80q: want one of them, which must exist and fit the map's type", e.Key, e.Map, e.Program)
		}
		seen[e.Key] = true
	}
	return nil
}

func (c *checker) checkStructOps(m *Map) error {
	s := m.StructOps
	switch {
	case s == nil && m.Type == mapStructOps:
		return fmt.Errorf("it is a struct_ops map without a type")
	case s == nil:
		return nil
	case m.Type != mapStructOps:
		return fmt.Errorf("it implements %.80q but is not a struct_ops map", s.Type)
	case !isIdentifier(s.Type, maxName):
		return fmt.Errorf("the name %.80q of its type is not an identifier", s.Type)
	case !c.inBlob(s.Table) || s.Table.Size != 0 && s.Table.Size != m.ValueSize:
		return fmt.Errorf("its table lies outside the blob, or is not as large as the map's value")
	}
	seen := make(map[uint32]bool, len(s.Members))
	for _, f := range s.Members {
		p := c.programs[f.Program]
		switch {
		case !isIdentifier(f.Name, maxName):
			return fmt.Errorf("the name %.80q of a member is not an identifier", f.Name)
		case p == nil || p.Type != programStructOps:
			return fmt.Errorf("member %s: there is no struct_ops program %.80q", f.Name, f.Program)
		case seen[f.Offset] || uint64(f.Offset)+tablePointerSize > uint64(s.Table.Size):
			return fmt.Errorf("member %s lies outside the table or over another member", f.Name)
		}
		seen[f.Offset] = true
	}
	return nil
}

func (c *checker) checkProgram(p *Program) error {
	switch {
	case !isIdentifier(p.Name, maxName):
		return fmt.Errorf("the name is not an identifier")
	case !isPrintable(p.Section, maxPlace):
		return fmt.Errorf("the section %.80q is not printable", p.Section)
	case !isPrintable(p.AttachTo, maxPlace):
		return fmt.Errorf("the attach target %.80q is not printable", p.AttachTo)
	case !c.inBlob(p.Insns) || p.Insns.Size == 0 || p.Insns.Size%InsnSize != 0:
		return fmt.Errorf("its instructions lie outside the blob, or there are none")
	}
	for _, info := range []struct {
		what string
		r    Range
		unit uint32
	}{
		{"function", p.FuncInfo, funcInfoSize}, {"line", p.LineInfo, lineInfoSize}, {"relocation", p.Relocations, relocationSize},
	} {
		if !c.inBlob(info.r) || info.r.Size%info.unit != 0 {
			return fmt.Errorf("its %s records lie outside the blob, or one is cut off", info.what)
		}
	}
	if len(p.Externs) > maxElements {
		return fmt.Errorf("%d of its instructions refer to the kernel, and a bundle can list %d: split the program", len(p.Externs), maxElements)
	}
	next := uint32(0)
	for _, e := range p.Externs {
		switch {
		case e.Insn < next || e.Insn >= p.Insns.Size/InsnSize:
			return fmt.Errorf("extern %.80q is at instruction %d: outside the program, or out of order", e.Name, e.Insn)
		case !isPlace(e.Name) || e.Name == "":
			return fmt.Errorf("the extern's name %.80q is not a symbol name", e.Name)
		case e.Kind != ExternFunction && e.Kind != ExternVariable && e.Kind != ExternAddress:
			return fmt.Errorf("extern %s is of the unknown kind %d", e.Name, e.Kind)
		}
		next = e.Insn + 1
	}
	return c.takeDescriptor("program "+p.Name, p.Ctx)
}

// isIdentifier reports whether the kernel accepts s as a name (bpf_obj_name_cpy, kernel/bpf/syscall.c), apart from its length.
func isIdentifier(s string, limit int) bool {
	for _, c := range []byte(s) {
		if c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= limit
}

// isPlace reports whether s can name a section or a symbol: printable ASCII without spaces.
func isPlace(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(s) <= maxPlace
}

// isPrintable reports whether s is text that stays in one line wherever it is shown.
func isPrintable(s string, limit int) bool { return len(s) <= limit && printable.Is(s) }
