// Memory that programs and user space share at the same addresses, with variables in it.
#include "features.h"

#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 100); // pages
} arena SEC(".maps");

__u64 __arena shared = 0x5eed;

SEC("syscall")
int touch(void *ctx)
{
	shared++;
	return shared;
}

LICENSE("GPL");
