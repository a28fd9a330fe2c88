package object

import "strings"

// Program types (enum bpf_prog_type, include/uapi/linux/bpf.h).
const (
	ProgSocketFilter          = 1
	ProgKprobe                = 2
	ProgSchedCls              = 3
	ProgSchedAct              = 4
	ProgTracepoint            = 5
	ProgXDP                   = 6
	ProgPerfEvent             = 7
	ProgCgroupSkb             = 8
	ProgCgroupSock            = 9
	ProgLwtIn                 = 10
	ProgLwtOut                = 11
	ProgLwtXmit               = 12
	ProgSockOps               = 13
	ProgSkSkb                 = 14
	ProgCgroupDevice          = 15
	ProgSkMsg                 = 16
	ProgRawTracepoint         = 17
	ProgCgroupSockAddr        = 18
	ProgLwtSeg6local          = 19
	ProgLircMode2             = 20
	ProgSkReuseport           = 21
	ProgFlowDissector         = 22
	ProgCgroupSysctl          = 23
	ProgRawTracepointWritable = 24
	ProgCgroupSockopt         = 25
	ProgTracing               = 26
	ProgStructOps             = 27
	ProgExt                   = 28
	ProgLSM                   = 29
	ProgSkLookup              = 30
	ProgSyscall               = 31
	ProgNetfilter             = 32
)

// Attach types that this package looks at (enum bpf_attach_type); the table below has the others as numbers.
const (
	attachTraceRawTP = 23
	attachLSMMAC     = 27
	attachTraceIter  = 28
	attachLSMCgroup  = 43
)

// Program load flags (include/uapi/linux/bpf.h).
const (
	FlagSleepable   = 1 << 4 // BPF_F_SLEEPABLE
	FlagXDPHasFrags = 1 << 5 // BPF_F_XDP_HAS_FRAGS
)

// SectionKind is what a program's section name says of it.
type SectionKind struct {
	Type               uint32
	ExpectedAttachType uint32
	Flags              uint32
	// AttachBTF is set when the program attaches to a kernel function or type that is found by BTF.
	AttachBTF bool
}

// AttachPrefix and AttachBTFKind say how the kernel's BTF names an attach target: "btf_trace_" is a typedef for each
// tracepoint, and so on (kernel/bpf/verifier.c, bpf_check_attach_target).
func (k SectionKind) AttachPrefix() string {
	switch k.ExpectedAttachType {
	case attachTraceRawTP:
		return "btf_trace_"
	case attachLSMMAC, attachLSMCgroup:
		return "bpf_lsm_"
	case attachTraceIter:
		return "bpf_iter_"
	}
	return ""
}

// sectionDef is a row of the table of section names. A name that ends in "+" matches alone and with "/extras".
type sectionDef struct {
	name   string
	typ    uint32
	attach uint32
	flags  uint32
	btf    bool
}

// sectionDefs are libbpf's section names (the SEC() table of its documentation, program_types.rst).
var sectionDefs = []sectionDef{
	{name: "socket", typ: ProgSocketFilter},
	{name: "sk_reuseport/migrate", typ: ProgSkReuseport, attach: 40},
	{name: "sk_reuseport", typ: ProgSkReuseport, attach: 39},
	{name: "kprobe+", typ: ProgKprobe},
	{name: "uprobe+", typ: ProgKprobe},
	{name: "uprobe.s+", typ: ProgKprobe, flags: FlagSleepable},
	{name: "kretprobe+", typ: ProgKprobe},
	{name: "uretprobe+", typ: ProgKprobe},
	{name: "uretprobe.s+", typ: ProgKprobe, flags: FlagSleepable},
	{name: "kprobe.multi+", typ: ProgKprobe, attach: 42},
	{name: "kretprobe.multi+", typ: ProgKprobe, attach: 42},
	{name: "kprobe.session+", typ: ProgKprobe, attach: 56},
	{name: "uprobe.multi+", typ: ProgKprobe, attach: 48},
	{name: "uretprobe.multi+", typ: ProgKprobe, attach: 48},
	{name: "uprobe.session+", typ: ProgKprobe, attach: 57},
	{name: "uprobe.multi.s+", typ: ProgKprobe, attach: 48, flags: FlagSleepable},
	{name: "uretprobe.multi.s+", typ: ProgKprobe, attach: 48, flags: FlagSleepable},
	{name: "uprobe.session.s+", typ: ProgKprobe, attach: 57, flags: FlagSleepable},
	{name: "ksyscall+", typ: ProgKprobe},
	{name: "kretsyscall+", typ: ProgKprobe},
	{name: "usdt+", typ: ProgKprobe, attach: 48},
	{name: "usdt.s+", typ: ProgKprobe, attach: 48, flags: FlagSleepable},
	{name: "tc/ingress", typ: ProgSchedCls, attach: 46},
	{name: "tc/egress", typ: ProgSchedCls, attach: 47},
	{name: "tcx/ingress", typ: ProgSchedCls, attach: 46},
	{name: "tcx/egress", typ: ProgSchedCls, attach: 47},
	{name: "tc", typ: ProgSchedCls},
	{name: "classifier", typ: ProgSchedCls},
	{name: "action", typ: ProgSchedAct},
	{name: "netkit/primary", typ: ProgSchedCls, attach: 54},
	{name: "netkit/peer", typ: ProgSchedCls, attach: 55},
	{name: "tracepoint+", typ: ProgTracepoint},
	{name: "tp+", typ: ProgTracepoint},
	{name: "tracepoint.s+", typ: ProgTracepoint, flags: FlagSleepable},
	{name: "tp.s+", typ: ProgTracepoint, flags: FlagSleepable},
	{name: "raw_tracepoint+", typ: ProgRawTracepoint},
	{name: "raw_tp+", typ: ProgRawTracepoint},
	{name: "raw_tracepoint.s+", typ: ProgRawTracepoint, flags: FlagSleepable},
	{name: "raw_tp.s+", typ: ProgRawTracepoint, flags: FlagSleepable},
	{name: "raw_tracepoint.w+", typ: ProgRawTracepointWritable},
	{name: "raw_tp.w+", typ: ProgRawTracepointWritable},
	{name: "tp_btf+", typ: ProgTracing, attach: attachTraceRawTP, btf: true},
	{name: "tp_btf.s+", typ: ProgTracing, attach: attachTraceRawTP, btf: true, flags: FlagSleepable},
	{name: "fentry+", typ: ProgTracing, attach: 24, btf: true},
	{name: "fmod_ret+", typ: ProgTracing, attach: 26, btf: true},
	{name: "fexit+", typ: ProgTracing, attach: 25, btf: true},
	{name: "fentry.s+", typ: ProgTracing, attach: 24, btf: true, flags: FlagSleepable},
	{name: "fmod_ret.s+", typ: ProgTracing, attach: 26, btf: true, flags: FlagSleepable},
	{name: "fexit.s+", typ: ProgTracing, attach: 25, btf: true, flags: FlagSleepable},
	{name: "fsession+", typ: ProgTracing, attach: 58, btf: true},
	{name: "fsession.s+", typ: ProgTracing, attach: 58, btf: true, flags: FlagSleepable},
	{name: "fentry.multi+", typ: ProgTracing, attach: 59},
	{name: "fexit.multi+", typ: ProgTracing, attach: 60},
	{name: "fsession.multi+", typ: ProgTracing, attach: 61},
	{name: "fentry.multi.s+", typ: ProgTracing, attach: 59, flags: FlagSleepable},
	{name: "fexit.multi.s+", typ: ProgTracing, attach: 60, flags: FlagSleepable},
	{name: "fsession.multi.s+", typ: ProgTracing, attach: 61, flags: FlagSleepable},
	{name: "freplace+", typ: ProgExt, btf: true},
	{name: "lsm+", typ: ProgLSM, attach: attachLSMMAC, btf: true},
	{name: "lsm.s+", typ: ProgLSM, attach: attachLSMMAC, btf: true, flags: FlagSleepable},
	{name: "lsm_cgroup+", typ: ProgLSM, attach: attachLSMCgroup, btf: true},
	{name: "iter+", typ: ProgTracing, attach: attachTraceIter, btf: true},
	{name: "iter.s+", typ: ProgTracing, attach: attachTraceIter, btf: true, flags: FlagSleepable},
	{name: "syscall", typ: ProgSyscall, flags: FlagSleepable},
	{name: "xdp.frags/devmap", typ: ProgXDP, attach: 33, flags: FlagXDPHasFrags},
	{name: "xdp/devmap", typ: ProgXDP, attach: 33},
	{name: "xdp.frags/cpumap", typ: ProgXDP, attach: 35, flags: FlagXDPHasFrags},
	{name: "xdp/cpumap", typ: ProgXDP, attach: 35},
	{name: "xdp.frags", typ: ProgXDP, attach: 37, flags: FlagXDPHasFrags},
	{name: "xdp", typ: ProgXDP, attach: 37},
	{name: "perf_event", typ: ProgPerfEvent},
	{name: "lwt_in", typ: ProgLwtIn},
	{name: "lwt_out", typ: ProgLwtOut},
	{name: "lwt_xmit", typ: ProgLwtXmit},
	{name: "lwt_seg6local", typ: ProgLwtSeg6local},
	{name: "sockops", typ: ProgSockOps, attach: 3},
	{name: "sk_skb/stream_parser", typ: ProgSkSkb, attach: 4},
	{name: "sk_skb/stream_verdict", typ: ProgSkSkb, attach: 5},
	{name: "sk_skb/verdict", typ: ProgSkSkb, attach: 38},
	{name: "sk_skb", typ: ProgSkSkb},
	{name: "sk_msg", typ: ProgSkMsg, attach: 7},
	{name: "lirc_mode2", typ: ProgLircMode2, attach: 16},
	{name: "flow_dissector", typ: ProgFlowDissector, attach: 17},
	{name: "cgroup_skb/ingress", typ: ProgCgroupSkb, attach: 0},
	{name: "cgroup_skb/egress", typ: ProgCgroupSkb, attach: 1},
	{name: "cgroup/skb", typ: ProgCgroupSkb},
	{name: "cgroup/sock_create", typ: ProgCgroupSock, attach: 2},
	{name: "cgroup/sock_release", typ: ProgCgroupSock, attach: 34},
	{name: "cgroup/sock", typ: ProgCgroupSock, attach: 2},
	{name: "cgroup/post_bind4", typ: ProgCgroupSock, attach: 12},
	{name: "cgroup/post_bind6", typ: ProgCgroupSock, attach: 13},
	{name: "cgroup/bind4", typ: ProgCgroupSockAddr, attach: 8},
	{name: "cgroup/bind6", typ: ProgCgroupSockAddr, attach: 9},
	{name: "cgroup/connect4", typ: ProgCgroupSockAddr, attach: 10},
	{name: "cgroup/connect6", typ: ProgCgroupSockAddr, attach: 11},
	{name: "cgroup/connect_unix", typ: ProgCgroupSockAddr, attach: 49},
	{name: "cgroup/sendmsg4", typ: ProgCgroupSockAddr, attach: 14},
	{name: "cgroup/sendmsg6", typ: ProgCgroupSockAddr, attach: 15},
	{name: "cgroup/sendmsg_unix", typ: ProgCgroupSockAddr, attach: 50},
	{name: "cgroup/recvmsg4", typ: ProgCgroupSockAddr, attach: 19},
	{name: "cgroup/recvmsg6", typ: ProgCgroupSockAddr, attach: 20},
	{name: "cgroup/recvmsg_unix", typ: ProgCgroupSockAddr, attach: 51},
	{name: "cgroup/getpeername4", typ: ProgCgroupSockAddr, attach: 29},
	{name: "cgroup/getpeername6", typ: ProgCgroupSockAddr, attach: 30},
	{name: "cgroup/getpeername_unix", typ: ProgCgroupSockAddr, attach: 52},
	{name: "cgroup/getsockname4", typ: ProgCgroupSockAddr, attach: 31},
	{name: "cgroup/getsockname6", typ: ProgCgroupSockAddr, attach: 32},
	{name: "cgroup/getsockname_unix", typ: ProgCgroupSockAddr, attach: 53},
	{name: "cgroup/sysctl", typ: ProgCgroupSysctl, attach: 18},
	{name: "cgroup/getsockopt", typ: ProgCgroupSockopt, attach: 21},
	{name: "cgroup/setsockopt", typ: ProgCgroupSockopt, attach: 22},
	{name: "cgroup/dev", typ: ProgCgroupDevice, attach: 6},
	{name: "struct_ops+", typ: ProgStructOps},
	{name: "struct_ops.s+", typ: ProgStructOps, flags: FlagSleepable},
	{name: "sk_lookup", typ: ProgSkLookup, attach: 36},
	{name: "netfilter", typ: ProgNetfilter, attach: 45},
}

// lookupSection finds what a section name, without a leading "?", says of its programs, and what follows the first
// slash.
func lookupSection(name string) (kind SectionKind, extras string, ok bool) {
	_, extras, _ = strings.Cut(name, "/")
	for _, d := range sectionDefs {
		base, open := strings.CutSuffix(d.name, "+")
		if name == base || open && strings.HasPrefix(name, base+"/") {
			return SectionKind{Type: d.typ, ExpectedAttachType: d.attach, Flags: d.flags, AttachBTF: d.btf}, extras, true
		}
	}
	return SectionKind{}, "", false
}
