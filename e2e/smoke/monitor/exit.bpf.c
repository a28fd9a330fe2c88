// Sends an event for each process that exits.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/events.bpf.h"

SEC("raw_tp/sched_process_exit")
int on_exit(void *ctx)
{
	return send_event();
}
