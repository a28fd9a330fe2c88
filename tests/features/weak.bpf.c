// Weak kernel functions, declared right and wrong: one that has another prototype counts as missing.
#include "features.h"

struct task_struct;
struct cpumask;

__u64 there;

// The compiler sees functions of different names. Only what stands before the "___" is looked up.
#define WEAK __weak __ksym

extern struct task_struct *bpf_task_from_pid___right(__s32 pid) WEAK;
extern void bpf_task_release___right(struct task_struct *p) WEAK;
extern void *bpf_rdonly_cast___right(const void *obj, __u32 id) WEAK;
extern void bpf_rcu_read_lock___right(void) WEAK;
extern void bpf_rcu_read_unlock___right(void) WEAK;
extern __u32 bpf_cpumask_first___right(const struct cpumask *mask) WEAK;

extern struct task_struct *bpf_task_from_pid___fewer(void) WEAK;
extern struct task_struct *bpf_task_from_pid___more(__s32 pid, __u64 flags) WEAK;
extern struct task_struct *bpf_task_from_pid___struct(struct task_struct *p) WEAK;
extern void bpf_task_from_pid___void(__s32 pid) WEAK;
extern int bpf_task_from_pid___number(__s32 pid) WEAK;
extern void *bpf_task_from_pid___pointer(__s32 pid) WEAK;
extern void bpf_task_release___number(__s32 pid) WEAK;
extern void bpf_task_release___pointer(void *p) WEAK;
extern int bpf_task_release___result(struct task_struct *p) WEAK;
extern void *bpf_rdonly_cast___struct(struct task_struct *p, __u32 id) WEAK;
extern struct task_struct *bpf_rdonly_cast___result(const void *obj, __u32 id) WEAK;
extern void bpf_rcu_read_lock___more(int how) WEAK;
extern void bpf_cpumask_first___void(const struct cpumask *mask) WEAK;
extern void no_such_kfunc(int n) WEAK;

// Linux 6.18 has the first one. Later kernels have the second one, whose last argument the verifier fills in, and the first one is a
// name in BTF without a function. Of the third one the verifier fills in two arguments.
extern int bpf_stream_vprintk_impl(int stream, const char *fmt, const void *args, __u32 size, void *aux) WEAK;
extern int bpf_stream_vprintk(int stream, const char *fmt, const void *args, __u32 size) WEAK;
extern int bpf_list_push_front(struct bpf_list_head *head, struct bpf_list_node *node) WEAK;

#define IF(function, bit)                \
	if (bpf_ksym_exists(function))   \
	there |= 1ULL << bit

SEC("syscall")
int look(void *ctx)
{
	IF(bpf_task_from_pid___right, 0);
	IF(bpf_task_release___right, 1);
	IF(bpf_rdonly_cast___right, 2);
	IF(bpf_rcu_read_lock___right, 3);
	IF(bpf_cpumask_first___right, 4);
	IF(bpf_task_from_pid___fewer, 8);
	IF(bpf_task_from_pid___more, 9);
	IF(bpf_task_from_pid___struct, 10);
	IF(bpf_task_from_pid___void, 11);
	IF(bpf_task_from_pid___number, 12);
	IF(bpf_task_from_pid___pointer, 13);
	IF(bpf_task_release___number, 14);
	IF(bpf_task_release___pointer, 15);
	IF(bpf_task_release___result, 16);
	IF(bpf_rdonly_cast___struct, 17);
	IF(bpf_rdonly_cast___result, 18);
	IF(bpf_rcu_read_lock___more, 19);
	IF(bpf_cpumask_first___void, 20);
	IF(no_such_kfunc, 21);
	IF(bpf_stream_vprintk_impl, 32);
	IF(bpf_stream_vprintk, 33);
	IF(bpf_list_push_front, 34);
	return 0;
}

// The branch that is taken calls the functions.
SEC("syscall")
int call(void *ctx)
{
	struct task_struct *p;

	if (bpf_ksym_exists(bpf_task_from_pid___more) && bpf_ksym_exists(bpf_task_release___right)) {
		p = bpf_task_from_pid___more(1, 0);
		if (p)
			bpf_task_release___right(p);
	} else if (bpf_ksym_exists(bpf_task_from_pid___right) && bpf_ksym_exists(bpf_task_release___right)) {
		p = bpf_task_from_pid___right(1);
		if (p) {
			there |= 1ULL << 40;
			bpf_task_release___right(p);
		}
	}
	if (bpf_ksym_exists(bpf_rcu_read_lock___more)) {
		bpf_rcu_read_lock___more(1);
		bpf_rcu_read_unlock___right();
	}
	return 0;
}

LICENSE("GPL");
