// Writes a table of the host's tasks: what reads the iterator's file gets it as text.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

// As much of the kernel's structs as is read here: see execsnoop.
struct mm_struct {
	unsigned long total_vm;
} __attribute__((preserve_access_index));

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *real_parent;
	struct mm_struct *mm;
} __attribute__((preserve_access_index));

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

SEC("iter/task")
int dump(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	unsigned long pages = 0;

	if (!task) // the end
		return 0;
	if (ctx->meta->seq_num == 0)
		BPF_SEQ_PRINTF(seq, "%-8s %-8s %-8s %-10s %s\n", "PID", "TID", "PARENT", "PAGES", "COMMAND");
	if (task->mm) // kernel threads have no memory of their own
		pages = task->mm->total_vm;
	BPF_SEQ_PRINTF(seq, "%-8d %-8d %-8d %-10lu %s\n", task->tgid, task->pid, task->real_parent->tgid, pages, task->comm);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
