// Maps of many types, with the attributes that their definitions can have.
#include "features.h"

struct key {
	__u32 a;
	__u16 b;
	__u16 c;
};

struct value {
	__u64 hits;
	char name[16];
};

#define MAP(var, map_type, entries, key_type, value_type) \
	struct { \
		__uint(type, map_type); \
		__uint(max_entries, entries); \
		__type(key, key_type); \
		__type(value, value_type); \
	} var SEC(".maps")

MAP(hash, BPF_MAP_TYPE_HASH, 100, struct key, struct value);
MAP(array, BPF_MAP_TYPE_ARRAY, 4, __u32, struct value);
MAP(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, 100, struct key, __u64);
MAP(percpu_array, BPF_MAP_TYPE_PERCPU_ARRAY, 4, __u32, __u64);
MAP(lru_hash, BPF_MAP_TYPE_LRU_HASH, 100, struct key, __u64);
MAP(lru_percpu_hash, BPF_MAP_TYPE_LRU_PERCPU_HASH, 100, struct key, __u64);
MAP(sockhash, BPF_MAP_TYPE_SOCKHASH, 8, struct key, __u64);
MAP(sockmap, BPF_MAP_TYPE_SOCKMAP, 8, __u32, __u64);
MAP(devmap, BPF_MAP_TYPE_DEVMAP, 8, __u32, __u32);
MAP(devmap_hash, BPF_MAP_TYPE_DEVMAP_HASH, 8, __u32, __u32);
MAP(cpumap, BPF_MAP_TYPE_CPUMAP, 8, __u32, __u32);
MAP(xskmap, BPF_MAP_TYPE_XSKMAP, 8, __u32, __u32);
MAP(cgroup_array, BPF_MAP_TYPE_CGROUP_ARRAY, 1, __u32, __u32);
MAP(reuseport, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, 8, __u32, __u64);

struct prefix {
	__u32 bits;
	__u32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 100);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} lpm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE);
	__uint(numa_node, 0);
	__uint(key_size, 8);
	__uint(value_size, 24);
} sized SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000); // rounded up to 8192
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} commands SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 16);
	__type(value, __u64);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 16);
	__type(value, __u64);
} stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__uint(map_extra, 3); // hash functions
	__type(value, __u64);
} bloom SEC(".maps");

#define STORAGE(var, map_type) \
	struct { \
		__uint(type, map_type); \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__type(key, int); \
		__type(value, struct value); \
	} var SEC(".maps")

STORAGE(sk_storage, BPF_MAP_TYPE_SK_STORAGE);
STORAGE(task_storage, BPF_MAP_TYPE_TASK_STORAGE);
STORAGE(inode_storage, BPF_MAP_TYPE_INODE_STORAGE);
STORAGE(cgrp_storage, BPF_MAP_TYPE_CGRP_STORAGE);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} pinned SEC(".maps");

SEC("socket")
int use_maps(void *ctx)
{
	struct key k = {.a = 1};
	struct value *v = bpf_map_lookup_elem(&hash, &k);
	__u32 zero = 0;
	__u64 *p = bpf_map_lookup_elem(&pinned, &zero);

	if (v)
		v->hits++;
	return p ? *p : 0;
}

LICENSE("GPL");
