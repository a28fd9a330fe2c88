// Counts system calls by their numbers.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#define CALLS 512

struct call {
	__u64 count;
	__u32 last_pid;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CALLS);
	__type(key, __u32);
	__type(value, struct call);
} calls SEC(".maps");

// .rodata: part of what is signed, and the verifier knows it for a constant.
const volatile __u32 step = 1;

// .data: where it starts is signed, what becomes of it is not.
__u64 lowest = CALLS;

SEC("raw_tp/sys_enter")
int count(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 number = ctx->args[1];
	struct call *call = bpf_map_lookup_elem(&calls, &number);

	if (!call)
		return 0;
	__sync_fetch_and_add(&call->count, step);
	call->last_pid = bpf_get_current_pid_tgid() >> 32;
	if (number < lowest)
		lowest = number;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
