// Linked with objects.bpf.c, whose variable it counts in.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

extern __u64 total;

SEC("socket")
int count_bytes(struct __sk_buff *skb)
{
	total += skb->len;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
