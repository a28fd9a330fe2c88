// Functions: static and global subprograms, callbacks, and the same ones reached from several programs.
#include "features.h"

__u64 total;

static __attribute__((noinline)) int add(int a, int b) { return a + b; }

__attribute__((noinline)) int twice(int n) { return add(n, n) & 0xff; }

// Hidden, so the verifier looks into it at each call.
__attribute__((visibility("hidden"), noinline)) int inner(int *n) { return *n + 1; }

static int step(__u64 index, void *data)
{
	total += index + twice(index);
	return 0;
}

SEC("syscall")
int first(void *ctx)
{
	int n = 3;

	bpf_loop(10, step, 0, 0);
	return twice(inner(&n));
}

SEC("syscall")
int second(void *ctx) { return twice(21); }

LICENSE("GPL");
