package uapi

import "crypto/sha256"

// The beginning of struct bpf_map (include/linux/bpf.h), which a loader reads to check its metadata map, in bytes. The kernel
// promises this much of the struct to loaders: BUILD_BUG_ON in map_create, kernel/bpf/syscall.c.
const (
	// BPFMapSHA is where `u8 sha[32]` is: the digest of the map's contents, which the kernel computes when
	// BPF_OBJ_GET_INFO_BY_FD asks for it and the map is frozen.
	BPFMapSHA = 0
	// BPFMapExcl is where `u32 excl` is: 1 if only the program whose digest was given at creation may use the map.
	BPFMapExcl = BPFMapSHA + sha256.Size
	// BPFMapExclSize is the size of excl.
	BPFMapExclSize = 4
)
