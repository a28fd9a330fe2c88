// Programs of many kinds: what a section name says of type, attach type, flags and target.
#include "features.h"

#define PROGRAM(section, name) SEC(section) int name(void *ctx) { return 0; }

PROGRAM("socket", on_socket)
PROGRAM("kprobe/do_nanosleep", on_kprobe)
PROGRAM("kretprobe/do_nanosleep", on_kretprobe)
PROGRAM("uprobe.s//proc/self/exe:main", on_uprobe_s)
PROGRAM("kprobe.multi/do_nano*", on_kprobe_multi)
PROGRAM("tracepoint/sched/sched_process_exec", on_tracepoint)
PROGRAM("raw_tp/sched_process_exec", on_raw_tp)
PROGRAM("tp_btf/sched_process_exec", on_tp_btf)
PROGRAM("fentry/bpf_fentry_test1", on_fentry)
PROGRAM("fexit/bpf_fentry_test1", on_fexit)
PROGRAM("fmod_ret/bpf_modify_return_test", on_fmod_ret)
PROGRAM("lsm/file_open", on_lsm)
PROGRAM("lsm.s/file_open", on_lsm_s)
PROGRAM("iter/task", on_iter)
PROGRAM("xdp", on_xdp)
PROGRAM("xdp.frags", on_xdp_frags)
PROGRAM("xdp/cpumap", on_xdp_cpumap)
PROGRAM("tc", on_tc)
PROGRAM("tcx/ingress", on_tcx)
PROGRAM("netkit/peer", on_netkit)
PROGRAM("perf_event", on_perf_event)
PROGRAM("lwt_in", on_lwt_in)
PROGRAM("sockops", on_sockops)
PROGRAM("sk_skb/stream_verdict", on_sk_skb)
PROGRAM("sk_msg", on_sk_msg)
PROGRAM("flow_dissector", on_flow_dissector)
PROGRAM("cgroup_skb/egress", on_cgroup_skb)
PROGRAM("cgroup/sysctl", on_cgroup_sysctl)
PROGRAM("cgroup/getsockopt", on_cgroup_getsockopt)
PROGRAM("cgroup/dev", on_cgroup_dev)
PROGRAM("sk_lookup", on_sk_lookup)
PROGRAM("sk_reuseport", on_sk_reuseport)
PROGRAM("netfilter", on_netfilter)
PROGRAM("syscall", on_syscall)

// These may only return 1.
SEC("cgroup/connect4") int on_connect4(void *ctx) { return 1; }
SEC("cgroup/sock_create") int on_sock_create(void *ctx) { return 1; }

// Not loaded: the section begins with "?".
SEC("?fentry/no_such_function_anywhere") int not_loaded(void *ctx) { return 0; }

LICENSE("GPL");
