// Does not go with lib.bpf.c: the linker says why.
#include "../features.h"

extern struct { __u64 wide; } offset;

SEC("syscall")
int look(void *ctx)
{
	return offset.wide;
}

LICENSE("GPL");
