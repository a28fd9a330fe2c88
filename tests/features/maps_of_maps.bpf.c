// Maps of maps, with and without contents.
#include "features.h"

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} one SEC(".maps"), three SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 8);
	__uint(key_size, 4);
	__array(values, struct inner);
} array SEC(".maps") = {
	.values = {[1] = &one, [3] = &three},
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__uint(key_size, 4);
	__array(values, struct inner);
} hash SEC(".maps") = {
	.values = {[5] = &three},
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, struct inner);
} unfilled SEC(".maps");

SEC("syscall")
int look(void *ctx)
{
	__u32 at = 3, zero = 0;
	void *m = bpf_map_lookup_elem(&array, &at);
	__u64 *v = m ? bpf_map_lookup_elem(m, &zero) : 0;

	return v ? 1 : 0;
}

LICENSE("GPL");
