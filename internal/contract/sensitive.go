package contract

import "github.com/rules-bpf/rules_bpf/internal/uapi"

// Sensitivity says how far a call reaches beyond its program's hook.
type Sensitivity string

// The sensitivities, the most important one last.
const (
	Ordinary Sensitivity = ""
	// Reads: it reads memory that the program was not given.
	Reads Sensitivity = "reads"
	// Acts: it changes something outside of the program's hook and its maps.
	Acts Sensitivity = "acts"
)

// rank orders calls for an approver.
func (s Sensitivity) rank() int {
	switch s {
	case Acts:
		return 0
	case Reads:
		return 1
	}
	return 2
}

// effect is what a call can do.
type effect struct {
	sensitivity Sensitivity
	text        string
}

// The effects that several functions have.
var (
	writesProcesses = effect{Acts, "writes to the memory of processes"}
	readsProcesses  = effect{Reads, "reads the memory of processes"}
	readsKernel     = effect{Reads, "reads any memory of the kernel"}
	readsAny        = effect{Reads, "reads any memory of the kernel and of processes"}
	signals         = effect{Acts, "sends signals to processes"}
	changesFiles    = effect{Acts, "changes the extended attributes of files"}
)

// helperEffects are the effects of helpers that reach beyond their program's hook: what an approver looks for first.
var helperEffects = map[uapi.Helper]effect{
	uapi.HelperProbeWriteUser:     writesProcesses,
	uapi.HelperOverrideReturn:     {Acts, "makes functions of the kernel return what the program says"},
	uapi.HelperSendSignal:         signals,
	uapi.HelperSendSignalThread:   signals,
	uapi.HelperSysctlSetNewValue:  {Acts, "changes the values that are written to sysctls"},
	uapi.HelperSysBPF:             {Acts, "calls bpf(2): it can load programs and change maps"},
	uapi.HelperBprmOptsSet:        {Acts, "changes how a program is executed"},
	uapi.HelperProbeRead:          readsAny,
	uapi.HelperProbeReadStr:       readsAny,
	uapi.HelperProbeReadKernel:    readsKernel,
	uapi.HelperProbeReadKernelStr: readsKernel,
	uapi.HelperProbeReadUser:      readsProcesses,
	uapi.HelperProbeReadUserStr:   readsProcesses,
	uapi.HelperCopyFromUser:       readsProcesses,
	uapi.HelperCopyFromUserTask:   readsProcesses,
}

// functionEffects are those of kernel functions (kfuncs).
var functionEffects = map[string]effect{
	"crash_kexec":                        {Acts, "stops the kernel"},
	"bpf_send_signal_task":               signals,
	"bpf_sock_destroy":                   {Acts, "closes the sockets of processes"},
	"bpf_set_dentry_xattr":               changesFiles,
	"bpf_remove_dentry_xattr":            changesFiles,
	"bpf_set_dentry_xattr_locked":        changesFiles,
	"bpf_remove_dentry_xattr_locked":     changesFiles,
	"bpf_copy_from_user_str":             readsProcesses,
	"bpf_copy_from_user_task_str":        readsProcesses,
	"bpf_copy_from_user_dynptr":          readsProcesses,
	"bpf_copy_from_user_str_dynptr":      readsProcesses,
	"bpf_copy_from_user_task_dynptr":     readsProcesses,
	"bpf_copy_from_user_task_str_dynptr": readsProcesses,
	"bpf_probe_read_user_dynptr":         readsProcesses,
	"bpf_probe_read_user_str_dynptr":     readsProcesses,
	"bpf_probe_read_kernel_dynptr":       readsKernel,
	"bpf_probe_read_kernel_str_dynptr":   readsKernel,
}

// unknownFunction is the effect of a call whose function nothing names.
var unknownFunction = effect{Acts, "is a function that the contract does not name"}
