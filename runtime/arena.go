//go:build linux

package runtime

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// fillArena puts an arena's variables where its programs expect them. A loader cannot: an arena is written through its mapping
// in user space alone, at the address that it was created for (arena_map_mmap, kernel/bpf/arena.c). What is in an arena is
// shared with user space by design, and so nothing that a signature could protect.
func fillArena(fd int, m *bundle.Map, blob []byte) error {
	if m.Arena.Size == 0 {
		return nil
	}
	data := blob[m.Arena.Offset:][:m.Arena.Size] // the contract's rules: m is an arena, and this is in the blob
	size := uint64(m.MaxEntries) * uint64(os.Getpagesize())
	if m.ArenaOffset > size || uint64(m.Arena.Size) > size-m.ArenaOffset {
		return &mismatch{fmt.Sprintf("the variables of arena %s lie outside of it", m.Name)}
	}
	// MAP_FIXED_NOREPLACE: never over what the process has there already.
	at, err := unix.MmapPtr(fd, 0, unsafe.Add(nil, m.Extra), uintptr(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_FIXED_NOREPLACE)
	if err != nil {
		return fmt.Errorf("map arena %s into memory at %#x: %w", m.Name, m.Extra, err)
	}
	copy(unsafe.Slice((*byte)(unsafe.Add(at, m.ArenaOffset)), m.Arena.Size), data)
	return unix.MunmapPtr(at, uintptr(size)) // the kernel keeps the pages as long as the map
}
