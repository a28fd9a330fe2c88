package bundle

// Where the fields of a loader's context are, in bytes (struct bpf_loader_ctx, tools/lib/bpf/skel_internal.h in the kernel's
// source). The descriptors of what the loader makes follow the header, each an s32.
const (
	CtxSz         = 0  // u32 sz: the context's size
	CtxFlags      = 4  // u32 flags, which our loaders do not read
	CtxLogLevel   = 8  // u32 log_level
	CtxLogSize    = 12 // u32 log_size
	CtxLogBuf     = 16 // u64 log_buf
	CtxHeaderSize = 24
)
