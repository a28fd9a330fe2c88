// struct tcp_congestion_ops as in Linux 7.3 (include/net/tcp.h): a struct_ops map is laid out as its declaration says.
#ifndef TCP_CONGESTION_OPS_H
#define TCP_CONGESTION_OPS_H

struct sock;
struct rate_sample;
struct ack_sample;
union tcp_cc_info;
struct module;
enum tcp_ca_event { CA_EVENT_TX_START };

struct tcp_congestion_ops {
	void (*cong_avoid)(struct sock *, __u32, __u32);
	void (*cong_control)(struct sock *, __u32, int, const struct rate_sample *);
	__u32 (*ssthresh)(struct sock *);
	void (*set_state)(struct sock *, __u8);
	void (*cwnd_event)(struct sock *, enum tcp_ca_event);
	void (*cwnd_event_tx_start)(struct sock *);
	void (*in_ack_event)(struct sock *, __u32);
	void (*pkts_acked)(struct sock *, const struct ack_sample *);
	__u32 (*min_tso_segs)(struct sock *);
	__u32 (*undo_cwnd)(struct sock *);
	__u32 (*sndbuf_expand)(struct sock *);
	unsigned long (*get_info)(struct sock *, __u32, int *, union tcp_cc_info *);
	char name[16];
	struct module *owner;
	struct { void *next, *prev; } list;
	__u32 key;
	__u32 flags;
	void (*init)(struct sock *);
	void (*release)(struct sock *);
} __attribute__((aligned(64)));

#endif
