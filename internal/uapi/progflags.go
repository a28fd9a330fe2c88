package uapi

// ProgFlags are the flags of BPF_PROG_LOAD: BPF_F_*, include/uapi/linux/bpf.h.
type ProgFlags uint32

const (
	ProgFlagStrictAlignment ProgFlags = 1 << iota
	ProgFlagAnyAlignment
	ProgFlagTestRndHi32
	ProgFlagTestStateFreq
	ProgFlagSleepable
	ProgFlagXDPHasFrags
	ProgFlagXDPDevBoundOnly
	ProgFlagTestRegInvariants
)

// progFlagNames are the flags' names, from bit 0.
var progFlagNames = [...]string{
	"strict_alignment", "any_alignment", "test_rnd_hi32", "test_state_freq", "sleepable", "xdp_has_frags",
	"xdp_dev_bound_only", "test_reg_invariants",
}

// String returns the names of the flags, "sleepable", or "none". Bits without a name are one hexadecimal number.
func (f ProgFlags) String() string { return flagNames(progFlagNames[:], uint64(f)) }
