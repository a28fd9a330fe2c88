package uapi

// ProgType is the type of a program: enum bpf_prog_type, include/uapi/linux/bpf.h.
type ProgType uint32

const (
	ProgTypeUnspec ProgType = iota
	ProgTypeSocketFilter
	ProgTypeKprobe
	ProgTypeSchedCls
	ProgTypeSchedAct
	ProgTypeTracepoint
	ProgTypeXDP
	ProgTypePerfEvent
	ProgTypeCgroupSKB
	ProgTypeCgroupSock
	ProgTypeLWTIn
	ProgTypeLWTOut
	ProgTypeLWTXmit
	ProgTypeSockOps
	ProgTypeSkSKB
	ProgTypeCgroupDevice
	ProgTypeSkMsg
	ProgTypeRawTracepoint
	ProgTypeCgroupSockAddr
	ProgTypeLWTSeg6Local
	ProgTypeLircMode2
	ProgTypeSkReuseport
	ProgTypeFlowDissector
	ProgTypeCgroupSysctl
	ProgTypeRawTracepointWritable
	ProgTypeCgroupSockOpt
	ProgTypeTracing
	ProgTypeStructOps
	ProgTypeExt
	ProgTypeLSM
	ProgTypeSkLookup
	ProgTypeSyscall
	ProgTypeNetfilter
)

var progTypeNames = [...]string{
	ProgTypeUnspec:                "unspec",
	ProgTypeSocketFilter:          "socket_filter",
	ProgTypeKprobe:                "kprobe",
	ProgTypeSchedCls:              "sched_cls",
	ProgTypeSchedAct:              "sched_act",
	ProgTypeTracepoint:            "tracepoint",
	ProgTypeXDP:                   "xdp",
	ProgTypePerfEvent:             "perf_event",
	ProgTypeCgroupSKB:             "cgroup_skb",
	ProgTypeCgroupSock:            "cgroup_sock",
	ProgTypeLWTIn:                 "lwt_in",
	ProgTypeLWTOut:                "lwt_out",
	ProgTypeLWTXmit:               "lwt_xmit",
	ProgTypeSockOps:               "sock_ops",
	ProgTypeSkSKB:                 "sk_skb",
	ProgTypeCgroupDevice:          "cgroup_device",
	ProgTypeSkMsg:                 "sk_msg",
	ProgTypeRawTracepoint:         "raw_tracepoint",
	ProgTypeCgroupSockAddr:        "cgroup_sock_addr",
	ProgTypeLWTSeg6Local:          "lwt_seg6local",
	ProgTypeLircMode2:             "lirc_mode2",
	ProgTypeSkReuseport:           "sk_reuseport",
	ProgTypeFlowDissector:         "flow_dissector",
	ProgTypeCgroupSysctl:          "cgroup_sysctl",
	ProgTypeRawTracepointWritable: "raw_tracepoint_writable",
	ProgTypeCgroupSockOpt:         "cgroup_sockopt",
	ProgTypeTracing:               "tracing",
	ProgTypeStructOps:             "struct_ops",
	ProgTypeExt:                   "ext",
	ProgTypeLSM:                   "lsm",
	ProgTypeSkLookup:              "sk_lookup",
	ProgTypeSyscall:               "syscall",
	ProgTypeNetfilter:             "netfilter",
}

// String returns the type's name, "socket_filter", or "unknown(57)".
func (t ProgType) String() string { return nameOf(progTypeNames[:], uint32(t)) }
