// Global variables of which every CPU has its own.
#include "features.h"

__u64 hits SEC(".percpu") = 3;

SEC("syscall")
int count(void *ctx)
{
	hits++;
	return 0;
}

LICENSE("GPL");
