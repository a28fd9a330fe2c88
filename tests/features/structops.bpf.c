// A TCP congestion control in BPF: a struct_ops map and its programs.
#include "features.h"

#include "tcp_congestion_ops.h"

SEC("struct_ops") void BPF_PROG(ops_init, struct sock *sk) {}
SEC("struct_ops") __u32 BPF_PROG(ops_ssthresh, struct sock *sk) { return 2; }
SEC("struct_ops") void BPF_PROG(ops_cong_avoid, struct sock *sk, __u32 ack, __u32 acked) {}
SEC("struct_ops") __u32 BPF_PROG(ops_undo_cwnd, struct sock *sk) { return 2; }

SEC(".struct_ops.link")
struct tcp_congestion_ops ops = {
	.init = (void *)ops_init,
	.ssthresh = (void *)ops_ssthresh,
	.cong_avoid = (void *)ops_cong_avoid,
	.undo_cwnd = (void *)ops_undo_cwnd,
	.name = "bpf_signed",
};

LICENSE("GPL");
