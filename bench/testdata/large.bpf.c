// A blob of 2.5 MB: a table of constants.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u8 table[2500000] = {1, 2, 3};

SEC("socket")
int look_up(struct __sk_buff *skb)
{
	__u32 at = skb->len;

	return at < sizeof(table) ? table[at] : 0;
}

char LICENSE[] SEC("license") = "GPL";
