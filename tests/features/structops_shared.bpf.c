// Two struct_ops maps that share programs, and name one of SEC("?..."). A third map is disabled, and its own program with it.
#include "features.h"

#include "tcp_congestion_ops.h"

int inits;

SEC("?struct_ops/init") void BPF_PROG(shared_init, struct sock *sk) { __sync_fetch_and_add(&inits, 1); }
SEC("struct_ops") __u32 BPF_PROG(shared_ssthresh, struct sock *sk) { return 2; }
SEC("struct_ops") void BPF_PROG(shared_cong_avoid, struct sock *sk, __u32 ack, __u32 acked) {}
SEC("struct_ops") __u32 BPF_PROG(shared_undo_cwnd, struct sock *sk) { return 2; }
SEC("struct_ops") void BPF_PROG(disabled_release, struct sock *sk) {}
SEC("?struct_ops") void BPF_PROG(unused_release, struct sock *sk) {}

// What no map can name: a program of another type, and a function that is not a program.
SEC("?socket") int on_socket(struct __sk_buff *skb) { return 0; }
__noinline int function(int n) { return n + inits; }

SEC(".struct_ops.link")
struct tcp_congestion_ops first = {
	.init = (void *)shared_init,
	.ssthresh = (void *)shared_ssthresh,
	.cong_avoid = (void *)shared_cong_avoid,
	.undo_cwnd = (void *)shared_undo_cwnd,
	.name = "bpf_first",
};

SEC(".struct_ops.link")
struct tcp_congestion_ops second = {
	.init = (void *)shared_init,
	.ssthresh = (void *)shared_ssthresh,
	.cong_avoid = (void *)shared_cong_avoid,
	.undo_cwnd = (void *)shared_undo_cwnd,
	.name = "bpf_second",
};

SEC("?.struct_ops.link")
struct tcp_congestion_ops disabled = {
	.ssthresh = (void *)shared_ssthresh,
	.cong_avoid = (void *)shared_cong_avoid,
	.undo_cwnd = (void *)shared_undo_cwnd,
	.release = (void *)disabled_release,
	.name = "bpf_disabled",
};

LICENSE("GPL");
