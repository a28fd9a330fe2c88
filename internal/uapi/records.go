package uapi

// Sizes of the records that BPF_PROG_LOAD takes (include/uapi/linux/bpf.h), in bytes.
const (
	FuncInfoSize = 8  // struct bpf_func_info
	LineInfoSize = 16 // struct bpf_line_info
	COREReloSize = 16 // struct bpf_core_relo
)
