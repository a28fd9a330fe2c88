// One of each that a generated Go package has.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

enum state {
	STATE_IDLE,
	STATE_BUSY,
};

struct key {
	__u32 cpu;
	enum state state;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, struct key);
	__type(value, __u64);
} busy_time SEC(".maps");

__u64 total;

SEC("socket")
int count_packets(struct __sk_buff *skb)
{
	struct key key = {.state = STATE_BUSY};
	__u64 *time = bpf_map_lookup_elem(&busy_time, &key);

	if (time)
		total += *time;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
