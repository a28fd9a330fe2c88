// Sends an event for each program that is executed on the host.

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define COMM_LEN 16
#define FILENAME_LEN 256

// As much of the kernel's structs as is read here. The kernel that loads the program finds the members' true offsets
// (CO-RE), so no vmlinux.h is needed.
struct task_struct {
	int tgid;
	char comm[COMM_LEN];
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

struct linux_binprm {
	const char *filename;
} __attribute__((preserve_access_index));

struct event {
	__u32 pid;
	__u32 parent;
	char comm[COMM_LEN];
	char filename[FILENAME_LEN];
};

// No map has this type: the pointer puts it into the Go package.
struct event *unused_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

// Events that found the ring buffer full.
__u64 dropped;

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&dropped, 1);
		return 0;
	}
	event->pid = task->tgid;
	event->parent = task->real_parent->tgid;
	bpf_probe_read_kernel_str(event->comm, sizeof(event->comm), task->comm);
	bpf_probe_read_kernel_str(event->filename, sizeof(event->filename), binprm->filename);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
