package provenance

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
)

// ErrProducer is in the chain of errors about objects that do not say what compiled them.
var ErrProducer = errors.New("the object does not say what compiled it")

// Producer returns the compiler's name and version as the compiler itself has put them into an object's debug information, so it is
// what ran, whatever was meant to run.
func Producer(object []byte) (string, error) {
	data, err := debugInformation(object)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrProducer, err)
	}
	entry, err := data.Reader().Next()
	if err != nil {
		return "", fmt.Errorf("%w: DWARF: %w", ErrProducer, err)
	}
	if entry == nil || entry.Tag != dwarf.TagCompileUnit {
		return "", fmt.Errorf("%w: its debug information does not begin with a compile unit", ErrProducer)
	}
	name, _ := entry.Val(dwarf.AttrProducer).(string)
	if name == "" {
		return "", fmt.Errorf("%w: its debug information has no DW_AT_producer: compile it without -fno-ident", ErrProducer)
	}
	return name, nil
}

// dwarf5 are the sections that a compile unit of DWARF 5 refers to.
var dwarf5 = []string{".debug_addr", ".debug_line_str", ".debug_rnglists", ".debug_str_offsets"}

// debugInformation reads the DWARF sections that name the compiler. debug/elf can do so for the machines whose relocations it knows, of
// which BPF is not one. BPF objects have what the relocations add in the sections themselves, and sections of debug information begin
// at 0, so there is nothing to relocate.
func debugInformation(object []byte) (*dwarf.Data, error) {
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("ELF: %w", err)
	}
	section := map[string][]byte{}
	for _, name := range append([]string{".debug_abbrev", ".debug_info", ".debug_str"}, dwarf5...) {
		s := f.Section(name)
		if s == nil {
			continue
		}
		if s.Flags&elf.SHF_COMPRESSED != 0 {
			return nil, fmt.Errorf("section %s is compressed: compile without -gz", name)
		}
		if section[name], err = s.Data(); err != nil {
			return nil, fmt.Errorf("section %s: %w", name, err)
		}
	}
	if len(section[".debug_info"]) == 0 {
		return nil, errors.New("it has no debug information (DWARF): compile it with -g, and do not strip it")
	}
	data, err := dwarf.New(section[".debug_abbrev"], nil, nil, section[".debug_info"], nil, nil, nil, section[".debug_str"])
	if err != nil {
		return nil, fmt.Errorf("DWARF: %w", err)
	}
	for _, name := range dwarf5 {
		if err := data.AddSection(name, section[name]); err != nil {
			return nil, fmt.Errorf("section %s: %w", name, err)
		}
	}
	return data, nil
}
