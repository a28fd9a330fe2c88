// CO-RE relocations of every kind, done by the kernel at load.
#include "features.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct {
	int pid;
	struct task_struct *real_parent;
	char comm[16];
};
struct task_struct___none {
	int no_such_member;
};
struct no_such_type {
	int x;
};
#pragma clang attribute pop

enum bpf_func_id___own {
	BPF_FUNC_map_lookup_elem___own = 1,
	BPF_FUNC_no_such = 2,
};

__u32 parent_pid, offsets, sizes, exists, values;

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	parent_pid = BPF_CORE_READ(task, real_parent, pid);
	offsets = bpf_core_field_offset(struct task_struct, comm);
	sizes = bpf_core_type_size(struct task_struct) + bpf_core_field_size(struct task_struct, comm);
	exists = bpf_core_type_exists(struct no_such_type) || bpf_core_field_exists(struct task_struct___none, no_such_member);
	if (bpf_core_enum_value_exists(enum bpf_func_id___own, BPF_FUNC_map_lookup_elem___own))
		values = bpf_core_enum_value(enum bpf_func_id___own, BPF_FUNC_map_lookup_elem___own);
	return 0;
}

LICENSE("GPL");
