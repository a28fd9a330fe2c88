package vm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Vmlinux returns the ELF file in a kernel's image for x86, a bzImage, which Debian compresses by zstd (Documentation/arch/x86/boot.rst).
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
