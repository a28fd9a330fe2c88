// Package elffile opens ELF files that nobody vouches for: reading one never takes much more memory than the file has.
package elffile

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"strings"
)

// ErrTooLarge says that the names in a file, or what it unpacks to, would take much more memory than the file has.
var ErrTooLarge = errors.New("too large")

// maxNames bounds the memory for the names of symbols, in bytes. They share a table of strings, so a file of a few kilobytes could
// have megabytes of names, and one of a few megabytes gigabytes. Those of a whole kernel take some 10 MB.
const maxNames = 256 << 20

// Open reads the headers of a file. Its sections are not compressed, but for debugging information, which is not read.
func Open(raw []byte) (*elf.File, error) {
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var sum uint64 // of what the sections have in the file
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL {
			if sum += s.FileSize; s.FileSize > uint64(len(raw)) || sum > uint64(len(raw)) {
				return nil, fmt.Errorf("up to section %s, the sections have %d bytes in a file of %d: %w", s.Name, sum, len(raw), ErrTooLarge)
			}
		}
		debug := s.Type == elf.SHT_PROGBITS && strings.HasPrefix(s.Name, ".debug_")
		if s.Flags&elf.SHF_COMPRESSED != 0 && !debug {
			return nil, fmt.Errorf("section %s is compressed: %w", s.Name, ErrTooLarge)
		}
		if s.Type == elf.SHT_SYMTAB {
			if err := checkNames(f, s); err != nil {
				return nil, err
			}
		}
	}
	return f, nil
}

// checkNames compares the number of a table's symbols and the longest of their names with what there is memory for.
func checkNames(f *elf.File, symbols *elf.Section) error {
	if int(symbols.Link) >= len(f.Sections) {
		return nil // elf.File.Symbols says so
	}
	names, err := f.Sections[symbols.Link].Data()
	if err != nil {
		return nil // likewise
	}
	longest := 0
	for name := range bytes.SplitSeq(names, []byte{0}) {
		longest = max(longest, len(name))
	}
	if n := symbols.Size / elf.Sym32Size * uint64(longest); n > maxNames {
		return fmt.Errorf("names of symbols, the longest of %d bytes: %w", longest, ErrTooLarge)
	}
	return nil
}
