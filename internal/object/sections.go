package object

import (
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// SectionKind is what a program's section name says of it.
type SectionKind struct {
	Type               uapi.ProgType
	ExpectedAttachType uapi.AttachType
	Flags              uapi.ProgFlags
	// AttachBTF is set when the program attaches to a kernel function or type that is found by BTF.
	AttachBTF bool
}

// sectionDef is a row of the table of section names. A name that ends in "+" matches alone and with "/extras".
type sectionDef struct {
	name   string
	typ    uapi.ProgType
	attach uapi.AttachType
	flags  uapi.ProgFlags
	btf    bool
}

// sectionDefs are libbpf's section names (the SEC() table of its documentation, program_types.rst).
var sectionDefs = []sectionDef{
	{name: "socket", typ: uapi.ProgTypeSocketFilter},
	{name: "sk_reuseport/migrate", typ: uapi.ProgTypeSkReuseport, attach: uapi.AttachSkReuseportSelectOrMigrate},
	{name: "sk_reuseport", typ: uapi.ProgTypeSkReuseport, attach: uapi.AttachSkReuseportSelect},
	{name: "kprobe+", typ: uapi.ProgTypeKprobe},
	{name: "uprobe+", typ: uapi.ProgTypeKprobe},
	{name: "uprobe.s+", typ: uapi.ProgTypeKprobe, flags: uapi.ProgFlagSleepable},
	{name: "kretprobe+", typ: uapi.ProgTypeKprobe},
	{name: "uretprobe+", typ: uapi.ProgTypeKprobe},
	{name: "uretprobe.s+", typ: uapi.ProgTypeKprobe, flags: uapi.ProgFlagSleepable},
	{name: "kprobe.multi+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceKprobeMulti},
	{name: "kretprobe.multi+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceKprobeMulti},
	{name: "kprobe.session+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceKprobeSession},
	{name: "uprobe.multi+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeMulti},
	{name: "uretprobe.multi+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeMulti},
	{name: "uprobe.session+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeSession},
	{name: "uprobe.multi.s+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeMulti, flags: uapi.ProgFlagSleepable},
	{name: "uretprobe.multi.s+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeMulti, flags: uapi.ProgFlagSleepable},
	{name: "uprobe.session.s+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeSession, flags: uapi.ProgFlagSleepable},
	{name: "ksyscall+", typ: uapi.ProgTypeKprobe},
	{name: "kretsyscall+", typ: uapi.ProgTypeKprobe},
	{name: "usdt+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeMulti},
	{name: "usdt.s+", typ: uapi.ProgTypeKprobe, attach: uapi.AttachTraceUprobeMulti, flags: uapi.ProgFlagSleepable},
	{name: "tc/ingress", typ: uapi.ProgTypeSchedCls, attach: uapi.AttachTCXIngress},
	{name: "tc/egress", typ: uapi.ProgTypeSchedCls, attach: uapi.AttachTCXEgress},
	{name: "tcx/ingress", typ: uapi.ProgTypeSchedCls, attach: uapi.AttachTCXIngress},
	{name: "tcx/egress", typ: uapi.ProgTypeSchedCls, attach: uapi.AttachTCXEgress},
	{name: "tc", typ: uapi.ProgTypeSchedCls},
	{name: "classifier", typ: uapi.ProgTypeSchedCls},
	{name: "action", typ: uapi.ProgTypeSchedAct},
	{name: "netkit/primary", typ: uapi.ProgTypeSchedCls, attach: uapi.AttachNetkitPrimary},
	{name: "netkit/peer", typ: uapi.ProgTypeSchedCls, attach: uapi.AttachNetkitPeer},
	{name: "tracepoint+", typ: uapi.ProgTypeTracepoint},
	{name: "tp+", typ: uapi.ProgTypeTracepoint},
	{name: "tracepoint.s+", typ: uapi.ProgTypeTracepoint, flags: uapi.ProgFlagSleepable},
	{name: "tp.s+", typ: uapi.ProgTypeTracepoint, flags: uapi.ProgFlagSleepable},
	{name: "raw_tracepoint+", typ: uapi.ProgTypeRawTracepoint},
	{name: "raw_tp+", typ: uapi.ProgTypeRawTracepoint},
	{name: "raw_tracepoint.s+", typ: uapi.ProgTypeRawTracepoint, flags: uapi.ProgFlagSleepable},
	{name: "raw_tp.s+", typ: uapi.ProgTypeRawTracepoint, flags: uapi.ProgFlagSleepable},
	{name: "raw_tracepoint.w+", typ: uapi.ProgTypeRawTracepointWritable},
	{name: "raw_tp.w+", typ: uapi.ProgTypeRawTracepointWritable},
	{name: "tp_btf+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceRawTP, btf: true},
	{name: "tp_btf.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceRawTP, btf: true, flags: uapi.ProgFlagSleepable},
	{name: "fentry+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFentry, btf: true},
	{name: "fmod_ret+", typ: uapi.ProgTypeTracing, attach: uapi.AttachModifyReturn, btf: true},
	{name: "fexit+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFexit, btf: true},
	{name: "fentry.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFentry, btf: true, flags: uapi.ProgFlagSleepable},
	{name: "fmod_ret.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachModifyReturn, btf: true, flags: uapi.ProgFlagSleepable},
	{name: "fexit.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFexit, btf: true, flags: uapi.ProgFlagSleepable},
	{name: "fsession+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFsession, btf: true},
	{name: "fsession.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFsession, btf: true, flags: uapi.ProgFlagSleepable},
	{name: "fentry.multi+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFentryMulti},
	{name: "fexit.multi+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFexitMulti},
	{name: "fsession.multi+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFsessionMulti},
	{name: "fentry.multi.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFentryMulti, flags: uapi.ProgFlagSleepable},
	{name: "fexit.multi.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFexitMulti, flags: uapi.ProgFlagSleepable},
	{name: "fsession.multi.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceFsessionMulti, flags: uapi.ProgFlagSleepable},
	{name: "freplace+", typ: uapi.ProgTypeExt, btf: true},
	{name: "lsm+", typ: uapi.ProgTypeLSM, attach: uapi.AttachLSMMAC, btf: true},
	{name: "lsm.s+", typ: uapi.ProgTypeLSM, attach: uapi.AttachLSMMAC, btf: true, flags: uapi.ProgFlagSleepable},
	{name: "lsm_cgroup+", typ: uapi.ProgTypeLSM, attach: uapi.AttachLSMCgroup, btf: true},
	{name: "iter+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceIter, btf: true},
	{name: "iter.s+", typ: uapi.ProgTypeTracing, attach: uapi.AttachTraceIter, btf: true, flags: uapi.ProgFlagSleepable},
	{name: "syscall", typ: uapi.ProgTypeSyscall, flags: uapi.ProgFlagSleepable},
	{name: "xdp.frags/devmap", typ: uapi.ProgTypeXDP, attach: uapi.AttachXDPDevMap, flags: uapi.ProgFlagXDPHasFrags},
	{name: "xdp/devmap", typ: uapi.ProgTypeXDP, attach: uapi.AttachXDPDevMap},
	{name: "xdp.frags/cpumap", typ: uapi.ProgTypeXDP, attach: uapi.AttachXDPCPUMap, flags: uapi.ProgFlagXDPHasFrags},
	{name: "xdp/cpumap", typ: uapi.ProgTypeXDP, attach: uapi.AttachXDPCPUMap},
	{name: "xdp.frags", typ: uapi.ProgTypeXDP, attach: uapi.AttachXDP, flags: uapi.ProgFlagXDPHasFrags},
	{name: "xdp", typ: uapi.ProgTypeXDP, attach: uapi.AttachXDP},
	{name: "perf_event", typ: uapi.ProgTypePerfEvent},
	{name: "lwt_in", typ: uapi.ProgTypeLWTIn},
	{name: "lwt_out", typ: uapi.ProgTypeLWTOut},
	{name: "lwt_xmit", typ: uapi.ProgTypeLWTXmit},
	{name: "lwt_seg6local", typ: uapi.ProgTypeLWTSeg6Local},
	{name: "sockops", typ: uapi.ProgTypeSockOps, attach: uapi.AttachCgroupSockOps},
	{name: "sk_skb/stream_parser", typ: uapi.ProgTypeSkSKB, attach: uapi.AttachSkSKBStreamParser},
	{name: "sk_skb/stream_verdict", typ: uapi.ProgTypeSkSKB, attach: uapi.AttachSkSKBStreamVerdict},
	{name: "sk_skb/verdict", typ: uapi.ProgTypeSkSKB, attach: uapi.AttachSkSKBVerdict},
	{name: "sk_skb", typ: uapi.ProgTypeSkSKB},
	{name: "sk_msg", typ: uapi.ProgTypeSkMsg, attach: uapi.AttachSkMsgVerdict},
	{name: "lirc_mode2", typ: uapi.ProgTypeLircMode2, attach: uapi.AttachLircMode2},
	{name: "flow_dissector", typ: uapi.ProgTypeFlowDissector, attach: uapi.AttachFlowDissector},
	{name: "cgroup_skb/ingress", typ: uapi.ProgTypeCgroupSKB, attach: uapi.AttachCgroupInetIngress},
	{name: "cgroup_skb/egress", typ: uapi.ProgTypeCgroupSKB, attach: uapi.AttachCgroupInetEgress},
	{name: "cgroup/skb", typ: uapi.ProgTypeCgroupSKB},
	{name: "cgroup/sock_create", typ: uapi.ProgTypeCgroupSock, attach: uapi.AttachCgroupInetSockCreate},
	{name: "cgroup/sock_release", typ: uapi.ProgTypeCgroupSock, attach: uapi.AttachCgroupInetSockRelease},
	{name: "cgroup/sock", typ: uapi.ProgTypeCgroupSock, attach: uapi.AttachCgroupInetSockCreate},
	{name: "cgroup/post_bind4", typ: uapi.ProgTypeCgroupSock, attach: uapi.AttachCgroupInet4PostBind},
	{name: "cgroup/post_bind6", typ: uapi.ProgTypeCgroupSock, attach: uapi.AttachCgroupInet6PostBind},
	{name: "cgroup/bind4", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet4Bind},
	{name: "cgroup/bind6", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet6Bind},
	{name: "cgroup/connect4", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet4Connect},
	{name: "cgroup/connect6", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet6Connect},
	{name: "cgroup/connect_unix", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUnixConnect},
	{name: "cgroup/sendmsg4", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUDP4SendMsg},
	{name: "cgroup/sendmsg6", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUDP6SendMsg},
	{name: "cgroup/sendmsg_unix", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUnixSendMsg},
	{name: "cgroup/recvmsg4", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUDP4RecvMsg},
	{name: "cgroup/recvmsg6", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUDP6RecvMsg},
	{name: "cgroup/recvmsg_unix", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUnixRecvMsg},
	{name: "cgroup/getpeername4", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet4GetPeerName},
	{name: "cgroup/getpeername6", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet6GetPeerName},
	{name: "cgroup/getpeername_unix", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUnixGetPeerName},
	{name: "cgroup/getsockname4", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet4GetSockName},
	{name: "cgroup/getsockname6", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupInet6GetSockName},
	{name: "cgroup/getsockname_unix", typ: uapi.ProgTypeCgroupSockAddr, attach: uapi.AttachCgroupUnixGetSockName},
	{name: "cgroup/sysctl", typ: uapi.ProgTypeCgroupSysctl, attach: uapi.AttachCgroupSysctl},
	{name: "cgroup/getsockopt", typ: uapi.ProgTypeCgroupSockOpt, attach: uapi.AttachCgroupGetSockOpt},
	{name: "cgroup/setsockopt", typ: uapi.ProgTypeCgroupSockOpt, attach: uapi.AttachCgroupSetSockOpt},
	{name: "cgroup/dev", typ: uapi.ProgTypeCgroupDevice, attach: uapi.AttachCgroupDevice},
	{name: "struct_ops+", typ: uapi.ProgTypeStructOps},
	{name: "struct_ops.s+", typ: uapi.ProgTypeStructOps, flags: uapi.ProgFlagSleepable},
	{name: "sk_lookup", typ: uapi.ProgTypeSkLookup, attach: uapi.AttachSkLookup},
	{name: "netfilter", typ: uapi.ProgTypeNetfilter, attach: uapi.AttachNetfilter},
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
