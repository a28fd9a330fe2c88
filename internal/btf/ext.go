package btf

import (
	"encoding/binary"
	"fmt"
)

// Ext is the contents of a .BTF.ext section: what the compiler knows of the instructions in each ELF section, by the
// section's name. Offsets are in bytes from the section's start, as clang writes them.
type Ext struct {
	Funcs map[string][]FuncInfo
	Lines map[string][]LineInfo
	Relos map[string][]CORERelocation
}

// FuncInfo says which BTF_KIND_FUNC begins at an instruction (struct bpf_func_info).
type FuncInfo struct {
	Offset uint32
	Type   ID
}

// LineInfo says which source line an instruction comes from (struct bpf_line_info).
type LineInfo struct {
	Offset     uint32
	File, Text string
	// LineCol is the line's number, shifted by 10 bits, and the column.
	LineCol uint32
}

// Line is the number of the source line, from 1.
func (l LineInfo) Line() uint32 { return l.LineCol >> 10 }

// CORERelocation asks for an instruction to be adjusted to the running kernel's types (struct bpf_core_relo).
type CORERelocation struct {
	Offset uint32
	Type   ID
	// Access is the path to the field, "0:1:2".
	Access string
	// Kind is an enum bpf_core_relo_kind.
	Kind uint32
}

// ParseExt reads the contents of a .BTF.ext section that goes with s.
func (s *Spec) ParseExt(raw []byte) (*Ext, error) {
	o := s.Order
	if len(raw) < 24 || o.Uint16(raw) != magic || raw[2] != 1 {
		return nil, fmt.Errorf("%w: .BTF.ext has no header of version 1", ErrMalformed)
	}
	hdr := o.Uint32(raw[4:])
	if hdr < 24 || uint64(hdr) > uint64(len(raw)) {
		return nil, fmt.Errorf("%w: .BTF.ext has a header of %d bytes", ErrMalformed, hdr)
	}
	part := func(at uint32) (b []byte, err error) {
		if hdr < at+8 {
			return nil, nil // an older header without this part
		}
		off, n := uint64(o.Uint32(raw[at:])), uint64(o.Uint32(raw[at+4:]))
		if uint64(hdr)+off+n > uint64(len(raw)) {
			return nil, fmt.Errorf("%w: .BTF.ext names a part outside of it", ErrMalformed)
		}
		return raw[uint64(hdr)+off : uint64(hdr)+off+n], nil
	}
	e := &Ext{map[string][]FuncInfo{}, map[string][]LineInfo{}, map[string][]CORERelocation{}}
	for _, p := range []struct {
		at, min uint32
		add     func(sec string, r []byte) error
	}{
		{8, 8, func(sec string, r []byte) error {
			e.Funcs[sec] = append(e.Funcs[sec], FuncInfo{o.Uint32(r), o.Uint32(r[4:])})
			return s.has(o.Uint32(r[4:]))
		}},
		{16, 16, func(sec string, r []byte) error {
			file, err := s.String(o.Uint32(r[4:]))
			if err != nil {
				return err
			}
			text, err := s.String(o.Uint32(r[8:]))
			e.Lines[sec] = append(e.Lines[sec], LineInfo{o.Uint32(r), file, text, o.Uint32(r[12:])})
			return err
		}},
		{24, 16, func(sec string, r []byte) error {
			access, err := s.String(o.Uint32(r[8:]))
			if err != nil {
				return err
			}
			e.Relos[sec] = append(e.Relos[sec], CORERelocation{o.Uint32(r), o.Uint32(r[4:]), access, o.Uint32(r[12:])})
			return s.has(o.Uint32(r[4:]))
		}},
	} {
		b, err := part(p.at)
		if err != nil {
			return nil, err
		}
		if err := s.eachRecord(b, o, p.min, p.add); err != nil {
			return nil, fmt.Errorf(".BTF.ext: %w", err)
		}
	}
	return e, nil
}

func (s *Spec) has(id ID) error {
	if id >= ID(len(s.Types)) {
		return fmt.Errorf("%w: type %d of %d", ErrMalformed, id, len(s.Types)-1)
	}
	return nil
}

// eachRecord calls add for the records of one part: a record's size, then for each ELF section a name, a number, and
// that many records.
func (s *Spec) eachRecord(b []byte, o binary.ByteOrder, min uint32, add func(string, []byte) error) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) < 4 {
		return fmt.Errorf("%w: truncated", ErrMalformed)
	}
	size := o.Uint32(b)
	if size < min || size > 1<<12 {
		return fmt.Errorf("%w: records of %d bytes, want %d or a few more", ErrMalformed, size, min)
	}
	for b = b[4:]; len(b) > 0; {
		if len(b) < 8 {
			return fmt.Errorf("%w: truncated", ErrMalformed)
		}
		sec, err := s.String(o.Uint32(b))
		if err != nil {
			return err
		}
		n := uint64(o.Uint32(b[4:]))
		b = b[8:]
		if n*uint64(size) > uint64(len(b)) {
			return fmt.Errorf("%w: %d records for section %q, and bytes for %d", ErrMalformed, n, sec, len(b)/int(size))
		}
		for ; n > 0; n-- {
			if err := add(sec, b[:size]); err != nil {
				return err
			}
			b = b[size:]
		}
	}
	return nil
}
