package uapi

// The beginnings of names in the kernel's BTF that stand for what programs attach to (kernel/bpf/verifier.c,
// bpf_check_attach_target). The source code does not have them: the tracepoint sched_switch is the type
// btf_trace_sched_switch.
const (
	TargetTracepoint = "btf_trace_" // of a typedef
	TargetLSM        = "bpf_lsm_"   // of a function
	TargetIterator   = "bpf_iter_"  // of a function
)

// TargetPrefix returns what the kernel's name of an attach target begins with; empty if it is the name that the source code
// has.
func (t AttachType) TargetPrefix() string {
	switch t {
	case AttachTraceRawTP:
		return TargetTracepoint
	case AttachLSMMAC, AttachLSMCgroup:
		return TargetLSM
	case AttachTraceIter:
		return TargetIterator
	}
	return ""
}
