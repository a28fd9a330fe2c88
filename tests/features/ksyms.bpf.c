// Kernel symbols: functions and variables by BTF, addresses by kallsyms, and weak ones that do not exist.
#include "features.h"

struct task_struct;

extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern void no_such_kfunc(void) __ksym __weak;
extern const int bpf_prog_active __ksym;     // per CPU
extern const int no_such_variable __ksym __weak;
extern const void bpf_map_fops __ksym;       // no type: an address
extern const void no_such_address __ksym __weak;

__u64 address, missing;
__u32 active;

SEC("syscall")
int look(void *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);
	const int *n = bpf_this_cpu_ptr(&bpf_prog_active);

	if (t)
		bpf_task_release(t);
	if (bpf_ksym_exists(no_such_kfunc))
		no_such_kfunc();
	if (&no_such_variable)
		missing = 1;
	if (&no_such_address)
		missing = 2;
	address = (__u64)&bpf_map_fops;
	active = *n;
	return 0;
}

LICENSE("GPL");
