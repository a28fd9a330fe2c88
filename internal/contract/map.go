package contract

import (
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Attributes are what a map is created with. JSON has the type and the flags as the kernel's numbers, and their names.
type Attributes struct {
	KernelName string        `json:"kernelName,omitempty"`
	Type       uapi.MapType  `json:"type"`
	TypeName   string        `json:"typeName"`
	KeySize    uint32        `json:"keySize"`
	ValueSize  uint32        `json:"valueSize"`
	MaxEntries uint32        `json:"maxEntries"`
	Flags      uapi.MapFlags `json:"flags"`
	FlagNames  string        `json:"flagNames"`
	Extra      uint64        `json:"extra,omitempty"`
	NUMANode   uint32        `json:"numaNode,omitempty"`
}

// Map is a map that the loader creates.
type Map struct {
	Name string `json:"name"`
	Attributes
	Section string `json:"section,omitempty"`
	// ContentsSize is how many bytes of the blob the loader puts into the map.
	ContentsSize uint32      `json:"contentsSize,omitempty"`
	Frozen       bool        `json:"frozen,omitempty"`
	Pinned       bool        `json:"pinned,omitempty"`
	Arena        *Arena      `json:"arena,omitempty"`
	Inner        *Attributes `json:"inner,omitempty"`
	Entries      []Entry     `json:"entries,omitempty"`
	StructOps    *StructOps  `json:"structOps,omitempty"`
}

// Arena is what the runtime puts into an arena.
type Arena struct {
	Size   uint32 `json:"size"`
	Offset uint64 `json:"offset"`
}

// Entry is what the loader puts into a map of maps or of programs.
type Entry struct {
	Key     uint32 `json:"key"`
	Map     string `json:"map,omitempty"`
	Program string `json:"program,omitempty"`
}

// StructOps is what a struct_ops map implements.
type StructOps struct {
	Type string `json:"type"`
	// Filled says that the loader fills the map in. It is not attached before somebody makes a link.
	Filled  bool     `json:"filled"`
	Members []Member `json:"members,omitempty"`
}

// Member is a program in a struct_ops table.
type Member struct {
	Name    string `json:"name"`
	Program string `json:"program"`
}

func summarizeAttributes(a *bundle.MapAttributes) Attributes {
	typ, flags := uapi.MapType(a.Type), uapi.MapFlags(a.Flags)
	return Attributes{
		KernelName: a.Kernel, Type: typ, TypeName: typ.String(), KeySize: a.KeySize, ValueSize: a.ValueSize, MaxEntries: a.MaxEntries,
		Flags: flags, FlagNames: flags.String(), Extra: a.Extra, NUMANode: a.NUMANode,
	}
}

func summarizeMap(m *bundle.Map) Map {
	res := Map{
		Name: m.Name, Attributes: summarizeAttributes(&m.MapAttributes), Section: m.Section,
		ContentsSize: m.Contents.Size, Frozen: m.Frozen, Pinned: m.Pinning != 0,
	}
	if m.Arena.Size != 0 {
		res.Arena = &Arena{m.Arena.Size, m.ArenaOffset}
	}
	if m.Inner != nil {
		inner := summarizeAttributes(m.Inner)
		res.Inner = &inner
	}
	for _, e := range m.Entries {
		res.Entries = append(res.Entries, Entry(e))
	}
	if ops := m.StructOps; ops != nil {
		res.StructOps = &StructOps{Type: ops.Type, Filled: ops.Table.Size != 0}
		for _, f := range ops.Members {
			res.StructOps.Members = append(res.StructOps.Members, Member{f.Name, f.Program})
		}
	}
	return res
}

// String describes the attributes in a line.
func (a *Attributes) String() string {
	text := fmt.Sprintf("%s, key %d, value %d, entries %d", a.TypeName, a.KeySize, a.ValueSize, a.MaxEntries)
	if a.Flags != 0 {
		text += ", flags " + a.FlagNames
	}
	switch {
	case a.Type == uapi.MapTypeArena && a.Extra != 0:
		text += fmt.Sprintf(", address %#x", a.Extra)
	case a.Extra != 0:
		text += fmt.Sprintf(", extra %#x", a.Extra)
	}
	if a.Flags&uapi.MapFlagNUMANode != 0 {
		text += fmt.Sprintf(", NUMA node %d", a.NUMANode)
	}
	return text
}

// Notes describe, a line each, what happens to the map after it is created.
func (m *Map) Notes() []string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if state := m.state(); len(state) > 0 {
		add("%s", strings.Join(state, "; "))
	}
	if m.Inner != nil {
		add("its inner maps: %s", m.Inner)
	}
	for _, e := range m.Entries {
		if e.Map != "" {
			add("entry %d: map %s", e.Key, e.Map)
		} else {
			add("entry %d: program %s", e.Key, e.Program)
		}
	}
	if m.StructOps != nil {
		add("%s", m.StructOps)
	}
	return notes
}

// state describes what the map holds, and who can change it.
func (m *Map) state() []string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if m.Section != "" && m.Section != m.Name {
		add("holds the variables of section %s", m.Section)
	}
	if m.ContentsSize != 0 {
		add("starts with %d bytes of signed data", m.ContentsSize)
	}
	if m.Arena != nil {
		add("starts with %d bytes of signed data at offset %d, which the runtime writes", m.Arena.Size, m.Arena.Offset)
	}
	if m.Frozen {
		add("frozen: user space cannot change it")
	}
	if m.Pinned {
		add("pinned by its name: other processes can open it")
	}
	return notes
}

// String describes what the map implements.
func (s *StructOps) String() string {
	if !s.Filled {
		return fmt.Sprintf("implements %s, and is left empty: filling it would attach it", s.Type)
	}
	if len(s.Members) == 0 {
		return fmt.Sprintf("implements %s without a program", s.Type)
	}
	var members []string
	for _, m := range s.Members {
		members = append(members, fmt.Sprintf("%s = %s", m.Name, m.Program))
	}
	return fmt.Sprintf("implements %s: %s", s.Type, strings.Join(members, ", "))
}
