package uapi

// The bits of log_level in BPF_PROG_LOAD: what the verifier writes to the log (BPF_LOG_*, include/linux/bpf_verifier.h).
const (
	LogBranches     = 1 << iota // the state where the program branches
	LogInstructions             // the state at every instruction
	LogStats                    // statistics at the end
)
