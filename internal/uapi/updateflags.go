package uapi

// UpdateFlags are the flags of BPF_MAP_UPDATE_ELEM, include/uapi/linux/bpf.h. None is BPF_ANY: create the element or
// change it.
type UpdateFlags uint64

const (
	UpdateFlagNoExist UpdateFlags = 1 << iota // BPF_NOEXIST: only create it
	UpdateFlagExist                           // BPF_EXIST: only change it
	UpdateFlagLock                            // BPF_F_LOCK
	UpdateFlagCPU                             // BPF_F_CPU: the value is for the CPU in the upper half of the flags
	UpdateFlagAllCPUs                         // BPF_F_ALL_CPUS: the value is for every CPU of a per-CPU map
)

// updateFlagNames are the flags' names, from bit 0.
var updateFlagNames = [...]string{"noexist", "exist", "lock", "cpu", "all_cpus"}

// String returns the names of the flags, "all_cpus", or "none". Bits without a name are one hexadecimal number.
func (f UpdateFlags) String() string { return flagNames(updateFlagNames[:], uint64(f)) }
