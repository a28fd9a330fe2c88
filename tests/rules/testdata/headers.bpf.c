// Includes a header in each of the ways that there are.

#include <linux/bpf.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "own.h"
#include "tests/rules/testdata/shared.h"
#include <generated.h>

#if OWN + SHARED + GENERATED != 3 || SHARED_DEFINE != 2
#error "a header or a define is missing"
#endif

_Static_assert(sizeof(uint32_t) == 4 && sizeof(void *) == 8, "not BPF");

SEC("socket")
int count(struct __sk_buff *skb)
{
	return from_generated(skb->len) + sizeof(__FILE__);
}

char LICENSE[] SEC("license") = "GPL";
