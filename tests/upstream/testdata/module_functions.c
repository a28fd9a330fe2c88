// Calls functions of a module, nf_conntrack. The kernel's own test of them writes to a connection, too, which this kernel refuses.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct bpf_ct_opts___local {
	s32 netns_id;
	s32 error;
	u8 l4proto;
	u8 dir;
	u8 reserved[2];
};

extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *, struct bpf_sock_tuple *, u32, struct bpf_ct_opts___local *, u32) __ksym;
extern void bpf_ct_release(struct nf_conn *) __ksym;
extern void no_module_has_this(void) __ksym __weak;

int found;

SEC("xdp")
int look(struct xdp_md *ctx)
{
	struct bpf_ct_opts___local opts = { .netns_id = -1, .l4proto = 6 };
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *ct = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));

	if (ct) {
		found++;
		bpf_ct_release(ct);
	}
	if (bpf_ksym_exists(no_module_has_this))
		no_module_has_this();
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
