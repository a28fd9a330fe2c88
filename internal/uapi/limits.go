package uapi

// ObjNameLen is the size of the name of a map or program, with the final zero: BPF_OBJ_NAME_LEN, include/uapi/linux/bpf.h.
const ObjNameLen = 16

// Limits of the verifier (include/linux/bpf_verifier.h, include/linux/filter.h).
const (
	// MaxVarOff is BPF_MAX_VAR_OFF: an instruction addresses what lies before it in a map's value, in bytes.
	MaxVarOff = 1 << 29
	// MaxInsns is BPF_COMPLEXITY_LIMIT_INSNS: a program may not be longer.
	MaxInsns = 1_000_000
	// MaxUsedMaps is how many maps one program may use: MAX_USED_MAPS.
	MaxUsedMaps = 64
	// MaxStack is the size of a program's stack, in bytes: MAX_BPF_STACK.
	MaxStack = 512
)

// Numbers of the errors that a loader returns itself (include/uapi/asm-generic/errno-base.h, errno.h). They are the kernel's, whatever
// system builds the loader.
const (
	EINVAL   = 22  // it refuses to run: the metadata map is not what was signed
	EALREADY = 114 // it was run before with this metadata map
)

// Numbers of errors that a loader tells apart (include/uapi/asm-generic/errno-base.h).
const (
	EPERM  = 1
	ENOENT = 2
	EACCES = 13
)
