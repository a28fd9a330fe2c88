// Refuses connections to some ports, for the processes of a cgroup.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// How often a connection to a port was refused, by port.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} refused SEC(".maps");

// What a connect(2) goes on with, and what makes it fail with EPERM.
enum { REFUSE = 0, GO_ON = 1 };

static int guard(struct bpf_sock_addr *ctx)
{
	__u32 port = bpf_ntohs(ctx->user_port);
	__u64 *count = bpf_map_lookup_elem(&refused, &port);

	if (!count)
		return GO_ON;
	__sync_fetch_and_add(count, 1);
	return REFUSE;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return guard(ctx);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return guard(ctx);
}

char LICENSE[] SEC("license") = "GPL";
