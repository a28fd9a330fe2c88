package uapi

// MapFlags are the flags of BPF_MAP_CREATE: BPF_F_*, include/uapi/linux/bpf.h.
type MapFlags uint32

const (
	MapFlagNoPrealloc MapFlags = 1 << iota
	MapFlagNoCommonLRU
	MapFlagNUMANode
	MapFlagReadOnly
	MapFlagWriteOnly
	MapFlagStackBuildID
	MapFlagZeroSeed
	MapFlagReadOnlyProg
	MapFlagWriteOnlyProg
	MapFlagClone
	MapFlagMmapable
	MapFlagPreserveElems
	MapFlagInnerMap
	MapFlagLink
	MapFlagPathFD
	MapFlagValueTypeBTFObjFD
	MapFlagTokenFD
	MapFlagSegvOnFault
	MapFlagNoUserConv
	MapFlagRBOverwrite
)

// mapFlagNames are the flags' names, from bit 0.
var mapFlagNames = [...]string{
	"no_prealloc", "no_common_lru", "numa_node", "rdonly", "wronly", "stack_build_id", "zero_seed", "rdonly_prog",
	"wronly_prog", "clone", "mmapable", "preserve_elems", "inner_map", "link", "path_fd", "vtype_btf_obj_fd",
	"token_fd", "segv_on_fault", "no_user_conv", "rb_overwrite",
}

// String returns the names of the flags, "rdonly_prog,mmapable", or "none". Bits without a name are one hexadecimal number.
func (f MapFlags) String() string { return flagNames(mapFlagNames[:], uint64(f)) }
