// An object of two sources: this one uses what the other defines, and the other way round.
#include "../features.h"
#include "shared.h"

static volatile __u32 own = 1; // each source has one
__u32 counted;                 // .bss, which the other counts
const volatile __u32 limit __weak = 100;
extern __u32 offset;           // .data of the other
extern __u32 twice(__u32 n);
extern const int LINUX_KERNEL_VERSION __kconfig;
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

extern struct results results SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} tail SEC(".maps") = {
	.values = { [0] = (void *)&second },
};

// The other source's, which is not weak, is what is linked.
__weak __u32 step(__u32 n)
{
	barrier_var(n);
	return n + twice(limit);
}

SEC("syscall")
int first(void *ctx)
{
	__u32 key = 0, *result;
	struct task_struct *init = bpf_task_from_pid(1);

	if (init)
		bpf_task_release(init);
	result = bpf_map_lookup_elem(&results, &key);
	if (result)
		*result += own;
	counted++;
	bpf_tail_call(ctx, &tail, 0);
	return step(twice(offset)) + (LINUX_KERNEL_VERSION > 0) + (init != 0);
}

LICENSE("GPL");
