package btf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// What is wrong with a file that has no BTF to read; each is in the chain of errors of ParseFile.
var (
	ErrNoBTF     = errors.New("no BTF")
	ErrNoBase    = errors.New("BTF of a kernel module, which needs the kernel's")
	ErrDistilled = errors.New("a module's BTF that no kernel has relocated yet")
)

// ParseFile reads a file of raw BTF, as in /sys/kernel/btf, or an ELF file with a section .BTF, in whatever byte order it has.
// The BTF of a kernel module needs the kernel's as its base, whose types then come first; all else has none.
func ParseFile(data []byte, base *Spec) (*Spec, error) {
	raw, err := contents(data)
	if err != nil {
		return nil, err
	}
	order, err := orderOf(raw)
	if err != nil {
		return nil, err
	}
	if base != nil && base.Order != order {
		return nil, fmt.Errorf("%w: byte order %v, and its base has %v", ErrMalformed, order, base.Order)
	}
	return parse(raw, order, base)
}

// contents returns the BTF of a file.
func contents(data []byte) ([]byte, error) {
	const setup = 0x202 // where a bzImage has its magic
	switch {
	case !bytes.HasPrefix(data, []byte(elf.ELFMAG)) && len(data) >= setup+4 && string(data[setup:setup+4]) == "HdrS":
		return nil, fmt.Errorf("%w: a compressed kernel (bzImage): take the vmlinux that it was made of, "+
			"or what the running kernel shows in /sys/kernel/btf/vmlinux", ErrNoBTF)
	case len(data) == 0:
		return nil, fmt.Errorf("%w: the file is empty", ErrNoBTF)
	case !bytes.HasPrefix(data, []byte(elf.ELFMAG)):
		return data, nil
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBTF, err)
	}
	if f.Section(".BTF.base") != nil {
		return nil, fmt.Errorf("%w (it has a section .BTF.base): take what /sys/kernel/btf shows of it where it is loaded", ErrDistilled)
	}
	s := f.Section(".BTF")
	if s == nil || s.Type == elf.SHT_NOBITS {
		return nil, fmt.Errorf("%w: an ELF file without a section .BTF: was it compiled with -g, or the kernel with "+
			"CONFIG_DEBUG_INFO_BTF, and not stripped since?", ErrNoBTF)
	}
	if s.Flags&elf.SHF_COMPRESSED != 0 {
		return nil, fmt.Errorf("%w: section .BTF is compressed", ErrMalformed)
	}
	raw, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("%w: section .BTF: %w", ErrMalformed, err)
	}
	return raw, nil
}

// orderOf returns the byte order that the magic number has.
func orderOf(raw []byte) (binary.ByteOrder, error) {
	if len(raw) >= 2 {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			if order.Uint16(raw) == magic {
				return order, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: neither ELF nor raw BTF, which begins with %#x", ErrNoBTF, magic)
}

// Join makes one Spec of a kernel's and those of modules that were read with it as their base. The modules' own types get
// new ids, and offsets of strings mean nothing in the result.
func Join(base *Spec, modules ...*Spec) *Spec {
	joined := &Spec{Order: base.Order, Types: slices.Clone(base.Types)}
	for _, m := range modules {
		shift := ID(len(joined.Types) - len(base.Types))
		for _, t := range m.Types[len(base.Types):] {
			t.Members = slices.Clone(t.Members)
			for _, ref := range t.refs(nil) {
				if *ref >= ID(len(base.Types)) {
					*ref += shift
				}
			}
			joined.Types = append(joined.Types, t)
		}
	}
	return joined
}
