//go:build linux

package runtime

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
)

// ErrNoTarget: neither the program's section nor an option of AttachAll names a target to attach to.
var ErrNoTarget = errors.New("no attach target")

// AttachError says why AttachAll cannot attach a program or a struct_ops map.
type AttachError struct {
	// Name is the program's or the map's, in the source.
	Name string
	// Section is the program's ELF section, empty for a map.
	Section string
	Err     error
	// Hint says what to do.
	Hint string
}

// Error returns everything in one line.
func (e *AttachError) Error() string {
	what := "struct_ops map " + e.Name
	if e.Section != "" {
		what = fmt.Sprintf("program %s (section %q)", e.Name, e.Section)
	}
	s := fmt.Sprintf("attach %s: %v", what, e.Err)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return printable.Text(s)
}

// Unwrap returns Err.
func (e *AttachError) Unwrap() error { return e.Err }

// Links holds what AttachAll has attached.
type Links struct {
	names []string
	links []link.Link
}

// Link returns the link of a program or struct_ops map by its name in the source, or nil if there is none. An iterator's
// link is a *link.Iter.
func (l *Links) Link(name string) link.Link {
	if i := slices.Index(l.names, name); i >= 0 {
		return l.links[i]
	}
	return nil
}

// Close detaches everything, in reverse order. Pinned links stay attached.
func (l *Links) Close() error {
	var errs []error
	for i, link := range slices.Backward(l.links) {
		if err := link.Close(); err != nil {
			errs = append(errs, fmt.Errorf("detach %s: %w", l.names[i], err))
		}
	}
	l.names, l.links = nil, nil
	return errors.Join(errs...)
}

// attachConfig is what the options of AttachAll say.
type attachConfig struct {
	iface, cgroup, netns string
	except               []string
}

// AttachOption tells AttachAll what the sections leave open.
type AttachOption func(*attachConfig)

// ToInterface names the network interface to which XDP, TCX and netkit programs are attached.
func ToInterface(name string) AttachOption { return func(c *attachConfig) { c.iface = name } }

// ToCgroup names the folder of the cgroup (v2) to which cgroup programs are attached.
func ToCgroup(path string) AttachOption { return func(c *attachConfig) { c.cgroup = path } }

// ToNetNS names the file of the network namespace to which sk_lookup and flow_dissector programs are attached, such as
// "/proc/self/ns/net".
func ToNetNS(path string) AttachOption { return func(c *attachConfig) { c.netns = path } }

// Except skips programs and struct_ops maps by their names in the source, such as those you attach yourself.
func Except(names ...string) AttachOption {
	return func(c *attachConfig) { c.except = append(c.except, names...) }
}

// AttachAll attaches each program to the target that its section or an option names, and each struct_ops map of section
// .struct_ops.link. If one cannot be attached, nothing is: errors.As finds an *AttachError for it. Programs that are never
// attached are skipped: those of section syscall, which you run, those of struct_ops maps, and XDP programs for the entries
// of a devmap or cpumap.
//
// The target of a program in section fentry, fexit, fmod_ret, tp_btf, lsm or iter is signed. Other targets come from the
// bundle's description, which is not signed: the process attaches a kprobe, the loader does not.
func (c *Collection) AttachAll(opts ...AttachOption) (*Links, error) {
	var config attachConfig
	for _, opt := range opts {
		opt(&config)
	}
	plan, err := c.planAttach(&config)
	if err != nil {
		return nil, err
	}
	links := &Links{}
	for _, p := range plan {
		l, err := p.attach()
		if err != nil {
			_ = links.Close()
			return nil, &AttachError{Name: p.name, Section: p.section, Err: err, Hint: attachHint(p.section, err)}
		}
		links.names, links.links = append(links.names, p.name), append(links.links, l)
	}
	return links, nil
}

// attachment is one that AttachAll is to make.
type attachment struct {
	name, section string
	attach        attachFunc
}

type attachFunc func() (link.Link, error)

// planAttach finds out how to attach everything, before anything is.
func (c *Collection) planAttach(config *attachConfig) ([]attachment, error) {
	var plan []attachment
	var errs []error
	for _, name := range config.except {
		if c.Programs[name] == nil && c.Maps[name] == nil {
			errs = append(errs, fmt.Errorf("attach all except %s: there is no program or map of that name", name))
		}
	}
	for i := range c.programs {
		p := &c.programs[i]
		prog := c.Programs[p.Name]
		if slices.Contains(config.except, p.Name) || prog == nil { // nil: the caller has taken it out
			continue
		}
		attach, err := howToAttach(p, prog, config)
		if err != nil {
			errs = append(errs, &AttachError{Name: p.Name, Section: p.Section, Err: ErrNoTarget, Hint: err.Error()})
		} else if attach != nil {
			plan = append(plan, attachment{p.Name, p.Section, attach})
		}
	}
	for i := range c.structOps {
		m := &c.structOps[i]
		ops := c.Maps[m.Name]
		if slices.Contains(config.except, m.Name) || ops == nil {
			continue
		}
		if m.Flags&mapLink == 0 {
			errs = append(errs, &AttachError{Name: m.Name, Err: ErrNoTarget, Hint: "put it into section .struct_ops.link in the source"})
			continue
		}
		plan = append(plan, attachment{m.Name, "", func() (link.Link, error) {
			return link.AttachStructOps(link.StructOpsOptions{Map: ops})
		}})
	}
	return plan, errors.Join(errs...)
}

// mapLink is BPF_F_LINK: a struct_ops map that a link attaches.
const mapLink = 1 << 13

// howToAttach returns the function that attaches a program, or nil for one that is never attached. The error says what to
// do instead.
func howToAttach(p *bundle.Program, prog *ebpf.Program, config *attachConfig) (attachFunc, error) {
	kind, target, _ := strings.Cut(p.Section, "/")
	kind = strings.TrimSuffix(kind, ".s")
	at := ebpf.AttachType(p.ExpectedAttachType)
	switch t := ebpf.ProgramType(p.Type); t {
	case ebpf.Syscall, ebpf.StructOps: // the one is run, the other is its map's
		return nil, nil

	case ebpf.Kprobe:
		return attachProbe(kind, target, prog)
	case ebpf.TracePoint:
		return attachTracepoint(kind, target, prog)
	case ebpf.RawTracepoint, ebpf.RawTracepointWritable:
		return attachRawTracepoint(kind, target, prog)
	case ebpf.Tracing:
		return attachTracing(kind, target, at, prog)
	case ebpf.LSM:
		if at == ebpf.AttachLSMCgroup {
			return attachToCgroup(prog, at, config)
		}
		return func() (link.Link, error) { return link.AttachLSM(link.LSMOptions{Program: prog}) }, nil

	case ebpf.XDP:
		if at == ebpf.AttachXDPDevMap || at == ebpf.AttachXDPCPUMap {
			return nil, nil
		}
		return attachToInterface(config, func(index int) (link.Link, error) {
			return link.AttachXDP(link.XDPOptions{Program: prog, Interface: index})
		})
	case ebpf.SchedCLS:
		return attachSchedCLS(prog, at, config)

	case ebpf.CGroupSKB, ebpf.CGroupSock, ebpf.CGroupSockAddr, ebpf.CGroupSockopt, ebpf.CGroupSysctl, ebpf.CGroupDevice, ebpf.SockOps:
		if kind == "cgroup" && target == "skb" {
			return nil, errors.New("name the direction in the section: SEC(\"cgroup_skb/ingress\") or SEC(\"cgroup_skb/egress\")")
		}
		return attachToCgroup(prog, at, config)

	case ebpf.SkLookup, ebpf.FlowDissector:
		return attachToNetNS(prog, config)

	default:
		if call := callInstead[t]; call != "" {
			return nil, errors.New("use " + call)
		}
		return nil, fmt.Errorf("AttachAll does not support programs of type %v", t)
	}
}

func attachTracepoint(kind, target string, prog *ebpf.Program) (attachFunc, error) {
	if target == "" {
		return nil, needTarget(kind, "sched/sched_process_exec")
	}
	return func() (link.Link, error) {
		group, name, _ := strings.Cut(target, "/")
		return link.Tracepoint(group, name, prog, nil)
	}, nil
}

func attachRawTracepoint(kind, target string, prog *ebpf.Program) (attachFunc, error) {
	if target == "" {
		return nil, needTarget(kind, "sched_process_exec")
	}
	return func() (link.Link, error) {
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: target, Program: prog})
	}, nil
}

// needTarget is the error about a section without a target.
func needTarget(kind, example string) error {
	return fmt.Errorf("name the target in the section: SEC(%q)", kind+"/"+example)
}

func attachTracing(kind, target string, at ebpf.AttachType, prog *ebpf.Program) (attachFunc, error) {
	switch {
	case at == ebpf.AttachTraceIter && (target == "bpf_map_elem" || target == "sockmap" || target == "bpf_sk_storage_map"):
		return nil, errors.New("use link.AttachIter with the map")
	case at == ebpf.AttachTraceIter:
		return func() (link.Link, error) { return link.AttachIter(link.IterOptions{Program: prog}) }, nil
	case strings.HasSuffix(kind, ".multi"):
		return nil, errors.New("use link.AttachRawLink with the functions")
	}
	// The kernel knows the target since it loaded the program.
	return func() (link.Link, error) { return link.AttachTracing(link.TracingOptions{Program: prog}) }, nil
}

func attachSchedCLS(prog *ebpf.Program, at ebpf.AttachType, config *attachConfig) (attachFunc, error) {
	switch at {
	case ebpf.AttachTCXIngress, ebpf.AttachTCXEgress:
		return attachToInterface(config, func(index int) (link.Link, error) {
			return link.AttachTCX(link.TCXOptions{Program: prog, Interface: index, Attach: at})
		})
	case ebpf.AttachNetkitPrimary, ebpf.AttachNetkitPeer:
		return attachToInterface(config, func(index int) (link.Link, error) {
			return link.AttachNetkit(link.NetkitOptions{Program: prog, Interface: index, Attach: at})
		})
	}
	return nil, errors.New("name the direction in the section: SEC(\"tcx/ingress\") or SEC(\"tcx/egress\"); or use tc(8)")
}

// callInstead is for programs whose targets are no files or names, by type.
var callInstead = map[ebpf.ProgramType]string{
	ebpf.SocketFilter: "link.AttachSocketFilter with the socket",
	ebpf.PerfEvent:    "link.AttachRawLink with the perf event's descriptor",
	ebpf.SkSKB:        "link.RawAttachProgram with the sockmap",
	ebpf.SkMsg:        "link.RawAttachProgram with the sockmap",
	ebpf.SkReuseport:  "setsockopt(2) with SO_ATTACH_REUSEPORT_EBPF",
	ebpf.Netfilter:    "link.AttachNetfilter with protocol, hook and priority",
	ebpf.Extension:    "link.AttachFreplace",
	ebpf.LircMode2:    "link.RawAttachProgram with the device",
	ebpf.LWTIn:        "a route: ip-route(8)",
	ebpf.LWTOut:       "a route: ip-route(8)",
	ebpf.LWTXmit:      "a route: ip-route(8)",
	ebpf.LWTSeg6Local: "a route: ip-route(8)",
	ebpf.SchedACT:     "tc(8)",
}

func attachToInterface(config *attachConfig, attach func(index int) (link.Link, error)) (attachFunc, error) {
	if config.iface == "" {
		return nil, errors.New("name the interface: AttachAll(runtime.ToInterface(\"eth0\"))")
	}
	return func() (link.Link, error) {
		index, err := interfaceIndex(config.iface)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", config.iface, err)
		}
		return attach(index)
	}, nil
}

// interfaceIndex is net.InterfaceByName without package net, which would link programs with the C library.
func interfaceIndex(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, err
	}
	return int(request.Uint32()), nil
}

func attachToCgroup(prog *ebpf.Program, at ebpf.AttachType, config *attachConfig) (attachFunc, error) {
	if config.cgroup == "" {
		return nil, errors.New("name the cgroup: AttachAll(runtime.ToCgroup(\"/sys/fs/cgroup/...\"))")
	}
	return func() (link.Link, error) {
		if _, err := os.Stat(config.cgroup); err != nil {
			return nil, fmt.Errorf("cgroup: %w", err)
		}
		l, err := link.AttachCgroup(link.CgroupOptions{Path: config.cgroup, Attach: at, Program: prog})
		if err != nil {
			return nil, fmt.Errorf("cgroup %s: %w", config.cgroup, err)
		}
		return l, nil
	}, nil
}

func attachToNetNS(prog *ebpf.Program, config *attachConfig) (attachFunc, error) {
	if config.netns == "" {
		return nil, errors.New("name the network namespace: AttachAll(runtime.ToNetNS(\"/proc/self/ns/net\"))")
	}
	return func() (link.Link, error) {
		ns, err := os.Open(config.netns)
		if err != nil {
			return nil, fmt.Errorf("network namespace: %w", err)
		}
		defer ns.Close()
		return link.AttachNetNs(int(ns.Fd()), prog)
	}, nil
}

// attachHint says what to do about what the kernel said.
func attachHint(section string, err error) string {
	kind, target, _ := strings.Cut(section, "/")
	tracepoint := strings.Contains(kind, "tp") || strings.Contains(kind, "tracepoint")
	missing := errors.Is(err, os.ErrNotExist)
	switch {
	case errors.Is(err, os.ErrPermission):
		return "the process lacks a capability, or a security policy of the host denied it"
	case (tracepoint || strings.Contains(kind, "probe")) && strings.Contains(err.Error(), "tracefs"):
		return "mount it: `mount -t tracefs tracefs /sys/kernel/tracing`"
	case missing && tracepoint:
		return "the kernel has no tracepoint " + target + ": see /sys/kernel/tracing/available_events"
	case missing && strings.HasPrefix(kind, "k"):
		return "the kernel has no function of that name that can be probed: see /proc/kallsyms"
	case errors.Is(err, link.ErrNotSupported):
		return "the kernel lacks this way of attaching"
	}
	return ""
}
