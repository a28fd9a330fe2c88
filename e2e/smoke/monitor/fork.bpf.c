// Sends an event for each process that forks.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/events.bpf.h"

SEC("raw_tp/sched_process_fork")
int on_fork(void *ctx)
{
	return send_event();
}
