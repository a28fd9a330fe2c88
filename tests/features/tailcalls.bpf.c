// A map of programs that the object fills.
#include "features.h"

int leaf_a(struct __sk_buff *skb);
int leaf_b(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(struct __sk_buff *));
} jumps SEC(".maps") = {
	.values = {[0] = &leaf_a, [2] = &leaf_b},
};

SEC("tc") int leaf_a(struct __sk_buff *skb) { return 10; }
SEC("tc") int leaf_b(struct __sk_buff *skb) { return 12; }

SEC("tc")
int root(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, skb->mark);
	return 1;
}

LICENSE("GPL");
