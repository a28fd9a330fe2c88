package uapi

// AttachType says where a program is attached: enum bpf_attach_type, include/uapi/linux/bpf.h.
type AttachType uint32

const (
	AttachCgroupInetIngress AttachType = iota
	AttachCgroupInetEgress
	AttachCgroupInetSockCreate
	AttachCgroupSockOps
	AttachSkSKBStreamParser
	AttachSkSKBStreamVerdict
	AttachCgroupDevice
	AttachSkMsgVerdict
	AttachCgroupInet4Bind
	AttachCgroupInet6Bind
	AttachCgroupInet4Connect
	AttachCgroupInet6Connect
	AttachCgroupInet4PostBind
	AttachCgroupInet6PostBind
	AttachCgroupUDP4SendMsg
	AttachCgroupUDP6SendMsg
	AttachLircMode2
	AttachFlowDissector
	AttachCgroupSysctl
	AttachCgroupUDP4RecvMsg
	AttachCgroupUDP6RecvMsg
	AttachCgroupGetSockOpt
	AttachCgroupSetSockOpt
	AttachTraceRawTP
	AttachTraceFentry
	AttachTraceFexit
	AttachModifyReturn
	AttachLSMMAC
	AttachTraceIter
	AttachCgroupInet4GetPeerName
	AttachCgroupInet6GetPeerName
	AttachCgroupInet4GetSockName
	AttachCgroupInet6GetSockName
	AttachXDPDevMap
	AttachCgroupInetSockRelease
	AttachXDPCPUMap
	AttachSkLookup
	AttachXDP
	AttachSkSKBVerdict
	AttachSkReuseportSelect
	AttachSkReuseportSelectOrMigrate
	AttachPerfEvent
	AttachTraceKprobeMulti
	AttachLSMCgroup
	AttachStructOps
	AttachNetfilter
	AttachTCXIngress
	AttachTCXEgress
	AttachTraceUprobeMulti
	AttachCgroupUnixConnect
	AttachCgroupUnixSendMsg
	AttachCgroupUnixRecvMsg
	AttachCgroupUnixGetPeerName
	AttachCgroupUnixGetSockName
	AttachNetkitPrimary
	AttachNetkitPeer
	AttachTraceKprobeSession
	AttachTraceUprobeSession
	AttachTraceFsession
	AttachTraceFentryMulti
	AttachTraceFexitMulti
	AttachTraceFsessionMulti
)

var attachTypeNames = [...]string{
	AttachCgroupInetIngress:          "cgroup_inet_ingress",
	AttachCgroupInetEgress:           "cgroup_inet_egress",
	AttachCgroupInetSockCreate:       "cgroup_inet_sock_create",
	AttachCgroupSockOps:              "cgroup_sock_ops",
	AttachSkSKBStreamParser:          "sk_skb_stream_parser",
	AttachSkSKBStreamVerdict:         "sk_skb_stream_verdict",
	AttachCgroupDevice:               "cgroup_device",
	AttachSkMsgVerdict:               "sk_msg_verdict",
	AttachCgroupInet4Bind:            "cgroup_inet4_bind",
	AttachCgroupInet6Bind:            "cgroup_inet6_bind",
	AttachCgroupInet4Connect:         "cgroup_inet4_connect",
	AttachCgroupInet6Connect:         "cgroup_inet6_connect",
	AttachCgroupInet4PostBind:        "cgroup_inet4_post_bind",
	AttachCgroupInet6PostBind:        "cgroup_inet6_post_bind",
	AttachCgroupUDP4SendMsg:          "cgroup_udp4_sendmsg",
	AttachCgroupUDP6SendMsg:          "cgroup_udp6_sendmsg",
	AttachLircMode2:                  "lirc_mode2",
	AttachFlowDissector:              "flow_dissector",
	AttachCgroupSysctl:               "cgroup_sysctl",
	AttachCgroupUDP4RecvMsg:          "cgroup_udp4_recvmsg",
	AttachCgroupUDP6RecvMsg:          "cgroup_udp6_recvmsg",
	AttachCgroupGetSockOpt:           "cgroup_getsockopt",
	AttachCgroupSetSockOpt:           "cgroup_setsockopt",
	AttachTraceRawTP:                 "trace_raw_tp",
	AttachTraceFentry:                "trace_fentry",
	AttachTraceFexit:                 "trace_fexit",
	AttachModifyReturn:               "modify_return",
	AttachLSMMAC:                     "lsm_mac",
	AttachTraceIter:                  "trace_iter",
	AttachCgroupInet4GetPeerName:     "cgroup_inet4_getpeername",
	AttachCgroupInet6GetPeerName:     "cgroup_inet6_getpeername",
	AttachCgroupInet4GetSockName:     "cgroup_inet4_getsockname",
	AttachCgroupInet6GetSockName:     "cgroup_inet6_getsockname",
	AttachXDPDevMap:                  "xdp_devmap",
	AttachCgroupInetSockRelease:      "cgroup_inet_sock_release",
	AttachXDPCPUMap:                  "xdp_cpumap",
	AttachSkLookup:                   "sk_lookup",
	AttachXDP:                        "xdp",
	AttachSkSKBVerdict:               "sk_skb_verdict",
	AttachSkReuseportSelect:          "sk_reuseport_select",
	AttachSkReuseportSelectOrMigrate: "sk_reuseport_select_or_migrate",
	AttachPerfEvent:                  "perf_event",
	AttachTraceKprobeMulti:           "trace_kprobe_multi",
	AttachLSMCgroup:                  "lsm_cgroup",
	AttachStructOps:                  "struct_ops",
	AttachNetfilter:                  "netfilter",
	AttachTCXIngress:                 "tcx_ingress",
	AttachTCXEgress:                  "tcx_egress",
	AttachTraceUprobeMulti:           "trace_uprobe_multi",
	AttachCgroupUnixConnect:          "cgroup_unix_connect",
	AttachCgroupUnixSendMsg:          "cgroup_unix_sendmsg",
	AttachCgroupUnixRecvMsg:          "cgroup_unix_recvmsg",
	AttachCgroupUnixGetPeerName:      "cgroup_unix_getpeername",
	AttachCgroupUnixGetSockName:      "cgroup_unix_getsockname",
	AttachNetkitPrimary:              "netkit_primary",
	AttachNetkitPeer:                 "netkit_peer",
	AttachTraceKprobeSession:         "trace_kprobe_session",
	AttachTraceUprobeSession:         "trace_uprobe_session",
	AttachTraceFsession:              "trace_fsession",
	AttachTraceFentryMulti:           "trace_fentry_multi",
	AttachTraceFexitMulti:            "trace_fexit_multi",
	AttachTraceFsessionMulti:         "trace_fsession_multi",
}

// String returns the type's name, "trace_fentry", or "unknown(57)".
func (t AttachType) String() string { return nameOf(attachTypeNames[:], uint32(t)) }
