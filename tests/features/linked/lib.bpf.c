// The other source.
#include "../features.h"
#include "shared.h"

static volatile __u32 own = 20;
__u32 offset = 300;
extern __u32 counted;
const volatile __u32 limit __weak = 100;
extern const int LINUX_KERNEL_VERSION __kconfig;

struct results results SEC(".maps");

static __noinline __u32 add(__u32 n, __u32 more)
{
	barrier_var(n);
	return n + more;
}

__u32 twice(__u32 n)
{
	return add(n, n);
}

__u32 step(__u32 n)
{
	return add(n, limit);
}

SEC("syscall")
int second(void *ctx)
{
	__u32 key = 0, *result = bpf_map_lookup_elem(&results, &key);

	counted += 10;
	if (result)
		*result += own;
	return step(twice(offset)) + (LINUX_KERNEL_VERSION > 0) + counted;
}

LICENSE("GPL");
