// Sends an event for each process that is executed.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/events.bpf.h"

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
	return send_event();
}
