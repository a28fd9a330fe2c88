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

// Helpers of programs that reach beyond what a program is given.
const (
	HelperProbeRead          Helper = 4
	HelperProbeWriteUser     Helper = 36
	HelperProbeReadStr       Helper = 45
	HelperOverrideReturn     Helper = 58
	HelperSysctlSetNewValue  Helper = 104
	HelperSendSignal         Helper = 109
	HelperProbeReadUser      Helper = 112
	HelperProbeReadUserStr   Helper = 114
	HelperProbeReadKernelStr Helper = 115
	HelperSendSignalThread   Helper = 117
	HelperBprmOptsSet        Helper = 159
	HelperCopyFromUserTask   Helper = 191
)

// helperArgs is how many arguments each of these helpers takes. Of bpf_trace_printk these are the ones that it always takes; up
// to three more are what the format says.
var helperArgs = map[Helper]int{
	HelperTracePrintk:        2,
	HelperProbeReadKernel:    3,
	HelperCopyFromUser:       3,
	HelperSysBPF:             3,
	HelperBTFFindByNameKind:  4,
	HelperSysClose:           1,
	HelperKallsymsLookupName: 4,
}

// String returns the helper's name, "bpf_sys_bpf", or "helper 9999" for one that this package does not know.
func (h Helper) String() string {
	if h > 0 && int64(h) < int64(len(helperNames)) {
		return "bpf_" + helperNames[h]
	}
	return fmt.Sprintf("helper %d", int32(h))
}

// Args returns how many arguments the helper takes. Of helpers that no loader calls it is not known.
func (h Helper) Args() (n int, ok bool) {
	n, ok = helperArgs[h]
	return n, ok
}
