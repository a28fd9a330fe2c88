// Types that a program names in its BTF only: a list of its own objects under a spin lock, and a kernel pointer in a map.
#include "features.h"

#define __contains(name, node) __attribute__((btf_decl_tag("contains:" #name ":" #node)))
#define __kptr __attribute__((btf_type_tag("kptr")))
#define private(name) SEC(".bss." #name) __attribute__((visibility("hidden"))) __attribute__((aligned(8)))

// Defined, not only declared: the kernel looks at what a pointer in a map points at.
struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct node {
	struct bpf_list_node link;
	__u64 n;
};

struct holder {
	struct task_struct __kptr *task;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct holder);
} holders SEC(".maps");

private(list) struct bpf_spin_lock lock;
private(list) struct bpf_list_head head __contains(node, link);

extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *p, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern struct task_struct *bpf_task_from_pid(__s32 pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

SEC("tc")
int push(struct __sk_buff *skb)
{
	struct node *n = bpf_obj_new_impl(bpf_core_type_id_local(struct node), 0);
	struct bpf_list_node *first;

	if (!n)
		return 0;
	n->n = skb->len;
	bpf_spin_lock(&lock);
	bpf_list_push_front_impl(&head, &n->link, 0, 0);
	first = bpf_list_pop_front(&head);
	bpf_spin_unlock(&lock);
	if (first) {
		n = (void *)first - __builtin_offsetof(struct node, link);
		bpf_obj_drop_impl(n, 0);
	}
	return 0;
}

SEC("syscall")
int hold(void *ctx)
{
	__u32 zero = 0;
	struct holder *h = bpf_map_lookup_elem(&holders, &zero);
	struct task_struct *t;

	if (!h)
		return 0;
	t = bpf_task_from_pid(1);
	if (!t)
		return 0;
	t = bpf_kptr_xchg(&h->task, t);
	if (t)
		bpf_task_release(t);
	return 0;
}

LICENSE("GPL");
