// Uses a header of bpf_vmlinux_header, of the types in kernel.bpf.c.

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

_Static_assert(__builtin_offsetof(struct task_struct, tasks) == 64, "aligned");
_Static_assert(sizeof(struct task_struct) == 128, "size");
_Static_assert(sizeof(struct packet) == 9, "packed");
_Static_assert(sizeof(enum verdict) == 8 && VERDICT_PASS == 1ULL << 40, "64-bit enumeration");

int parent;

SEC("raw_tp/sched_process_exit")
int on_exit(struct task_struct **ctx)
{
	parent = BPF_CORE_READ(ctx[0], real_parent, pid);
	return BPF_CORE_READ_BITFIELD_PROBED(ctx[0], sched_contributes_to_load);
}

char LICENSE[] SEC("license") = "GPL";
