package uapi

import "fmt"

// Helper is the number of a function that programs call: enum bpf_func_id, include/uapi/linux/bpf.h. It is the immediate
// of a call instruction.
type Helper int32

// The helpers that gen-loaders call: those of this project, and those of libbpf.
const (
	HelperTracePrintk        Helper = 6
	HelperProbeReadKernel    Helper = 113
	HelperCopyFromUser       Helper = 148
	HelperSysBPF             Helper = 166
	HelperBTFFindByNameKind  Helper = 167
	HelperSysClose           Helper = 168
	HelperKallsymsLookupName Helper = 179
)

// helpers have the helpers' names, and how many arguments each takes. Of bpf_trace_printk these are the ones that it always
// takes; up to three more are what the format says.
var helpers = map[Helper]struct {
	name string
	args int
}{
	HelperTracePrintk:        {"bpf_trace_printk", 2},
	HelperProbeReadKernel:    {"bpf_probe_read_kernel", 3},
	HelperCopyFromUser:       {"bpf_copy_from_user", 3},
	HelperSysBPF:             {"bpf_sys_bpf", 3},
	HelperBTFFindByNameKind:  {"bpf_btf_find_by_name_kind", 4},
	HelperSysClose:           {"bpf_sys_close", 1},
	HelperKallsymsLookupName: {"bpf_kallsyms_lookup_name", 4},
}

// String returns the helper's name, "bpf_sys_bpf", or "helper 57" for one that no loader calls.
func (h Helper) String() string {
	if known, ok := helpers[h]; ok {
		return known.name
	}
	return fmt.Sprintf("helper %d", int32(h))
}

// Args returns how many arguments the helper takes. Of helpers that no loader calls it is not known.
func (h Helper) Args() (n int, ok bool) {
	known, ok := helpers[h]
	return known.args, ok
}
