package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// ErrNotZstd is the error of [Vmlinux] for an image that is compressed in another way.
var ErrNotZstd = errors.New("the kernel is not compressed by zstd")

// Vmlinux returns the ELF file in a kernel's image for x86, a bzImage, which Debian compresses by zstd since 6.12
// (Documentation/arch/x86/boot.rst).
func Vmlinux(image []byte) ([]byte, error) {
	const (
		setupSects    = 0x1f1
		headerMagic   = 0x202
		payloadOffset = 0x248
		payloadLength = 0x24c
		headerEnd     = 0x250
	)
	if len(image) < headerEnd || string(image[headerMagic:headerMagic+4]) != "HdrS" {
		return nil, errors.New("not a bzImage")
	}
	sects := uint64(image[setupSects])
	if sects == 0 {
		sects = 4
	}
	start := (sects+1)*512 + uint64(binary.LittleEndian.Uint32(image[payloadOffset:]))
	// The kernel's build adds the size of what was compressed, in 4 bytes.
	end := start + uint64(binary.LittleEndian.Uint32(image[payloadLength:])) - 4
	if start > end || end > uint64(len(image)) {
		return nil, errors.New("the payload is outside the file")
	}
	if !bytes.HasPrefix(image[start:end], []byte{0x28, 0xb5, 0x2f, 0xfd}) { // RFC 8878, section 3.1.1
		return nil, ErrNotZstd
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	vmlinux, err := d.DecodeAll(image[start:end], nil)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return vmlinux, nil
}
