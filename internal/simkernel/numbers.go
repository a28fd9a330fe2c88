package simkernel

// The kernel's numbers that the simulated kernel looks at (include/uapi/linux/bpf.h). It has a table of its own, and does not
// use internal/uapi: it is what the compiler's loaders are checked with, and would not notice a wrong number that both
// shared. A test compares the two.

// Helpers (enum bpf_func_id).
const (
	helperTracePrintk        = 6
	helperProbeReadKernel    = 113
	helperCopyFromUser       = 148
	helperSysBPF             = 166
	helperBTFFindByNameKind  = 167
	helperSysClose           = 168
	helperKallsymsLookupName = 179
)
