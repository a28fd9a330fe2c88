#ifndef BPF_EVENTS_BPF_H
#define BPF_EVENTS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "event.h"

// No map has this type: the pointer puts it into the Go packages.
struct event *unused_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

// send_event sends one of the current process.
static __always_inline int send_event(void)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return 0;
	event->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

#endif
