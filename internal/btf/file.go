package btf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// What is wrong with a file that has no BTF to read; each is in the chain of errors of ParseFile.
var (
	ErrNoBTF     = errors.New("no BTF")
	ErrNoBase    = errors.New("BTF of a kernel module, which needs the kernel's")
	ErrDistilled = errors.New("a module's BTF that no kernel has relocated yet")
)

// MaxSize is the most BTF that ReadFile takes, in bytes. A distribution's kernel has some 6 MB.
const MaxSize = 256 << 20

// ParseFile is ReadFile for a file that is in memory.
func ParseFile(data []byte, base *Spec) (*Spec, error) {
	return ReadFile(bytes.NewReader(data), base)
}

// ReadFile reads a file of raw BTF, as in /sys/kernel/btf, or an ELF file with a section .BTF, in whatever byte order it has.
// The BTF of a kernel module needs the kernel's as its base, whose types then come first; all else has none.
func ReadFile(f interface {
	io.ReaderAt
	Size() int64
}, base *Spec) (*Spec, error) {
	raw, err := contents(io.NewSectionReader(f, 0, f.Size()))
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
func contents(file *io.SectionReader) ([]byte, error) {
	const setup = 0x202 // where a bzImage has its magic
	head := make([]byte, setup+4)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	isELF := bytes.HasPrefix(head[:n], []byte(elf.ELFMAG))
	switch {
	case !isELF && n == len(head) && string(head[setup:]) == "HdrS":
		return nil, fmt.Errorf("%w: a compressed kernel (bzImage): take the vmlinux that it was made of, "+
			"or what the running kernel shows in /sys/kernel/btf/vmlinux", ErrNoBTF)
	case n == 0:
		return nil, fmt.Errorf("%w: the file is empty", ErrNoBTF)
	case !isELF:
		if _, err := orderOf(head[:n]); err != nil {
			return nil, err
		}
		return bounded(file, file.Size())
	}
	f, err := elf.NewFile(file)
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
	raw, err := bounded(s.Open(), int64(s.Size))
	if err != nil {
		return nil, fmt.Errorf("section .BTF: %w", err)
	}
	return raw, nil
}

// bounded reads BTF of a size that a file has, or says that it has.
func bounded(r io.Reader, size int64) ([]byte, error) {
	if uint64(size) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes of BTF, limit %d", ErrMalformed, uint64(size), MaxSize)
	}
	raw, err := io.ReadAll(io.LimitReader(r, size))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case int64(len(raw)) < size:
		return nil, fmt.Errorf("%w: it ends after %d of %d bytes", ErrMalformed, len(raw), size)
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
