//go:build linux

package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
)

// compiled is the bundle of an object of //tests/features, without some of its programs.
func compiled(t *testing.T, name string, without ...string) *bundle.Bundle {
	t.Helper()
	return compiledWith(t, name, func(p *object.Program) { p.Autoload = p.Autoload && !slices.Contains(without, p.Name) })
}

// compiledWith is compiled after a change of each of the object's programs.
func compiledWith(t *testing.T, name string, change func(*object.Program)) *bundle.Bundle {
	t.Helper()
	dir := filepath.Join("..", "internal", "object", "testdata")
	if hostBigEndian() {
		dir = filepath.Join(dir, "eb")
	}
	file := filepath.Join(dir, name+".bpf.o")
	raw, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	o, err := object.Parse(file, raw, object.Options{})
	qt.Assert(t, qt.IsNil(err))
	for _, p := range o.Programs {
		change(p)
	}
	b, err := loader.Compile(o, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	return b
}

// described is a collection of nothing but descriptions: for what AttachAll decides before it asks the kernel.
func described(t *testing.T, sections ...string) *Collection {
	t.Helper()
	c := &Collection{Programs: map[string]*ebpf.Program{}}
	for _, s := range sections {
		i := slices.IndexFunc(kinds, func(k kindOf) bool { return k.section == s })
		qt.Assert(t, qt.IsTrue(i >= 0), qt.Commentf(s))
		c.programs = append(c.programs, bundle.Program{Name: "p " + s, Section: s, Type: uint32(kinds[i].typ), ExpectedAttachType: uint32(kinds[i].attach)})
		c.Programs["p "+s] = &ebpf.Program{}
	}
	return c
}

type kindOf struct {
	section string
	typ     ebpf.ProgramType
	attach  ebpf.AttachType
	// hint is what AttachAll says without options when there is no target; "-" when the program is none to attach.
	hint string
}

var kinds = []kindOf{
	{"kprobe/do_nanosleep", ebpf.Kprobe, 0, ""},
	{"kprobe", ebpf.Kprobe, 0, `name the target in the section: SEC("kprobe/do_unlinkat")`},
	{"uprobe.s", ebpf.Kprobe, 0, `name the target in the section: SEC("uprobe/libc.so.6:malloc")`},
	{"uprobe.s/libc.so.6:malloc", ebpf.Kprobe, 0, ""},
	{"uretprobe.multi.s/libc.so.6:malloc", ebpf.Kprobe, ebpf.AttachTraceUprobeMulti, ""},
	{"kretprobe.multi/do_nano*", ebpf.Kprobe, ebpf.AttachTraceKprobeMulti, ""},
	{"kretsyscall/openat", ebpf.Kprobe, 0, ""},
	{"uprobe.session/libc.so.6:malloc", ebpf.Kprobe, 57, "AttachAll does not support section uprobe.session"},
	{"usdt/libc.so.6:libc:setjmp", ebpf.Kprobe, 0, "AttachAll does not support USDT: .*"},
	{"tp/sched/sched_process_exec", ebpf.TracePoint, 0, ""},
	{"tracepoint", ebpf.TracePoint, 0, `name the target in the section: SEC("tracepoint/sched/sched_process_exec")`},
	{"raw_tp.w/bpf_test_finish", ebpf.RawTracepointWritable, 0, ""},
	{"raw_tp", ebpf.RawTracepoint, 0, `name the target in the section: SEC("raw_tp/sched_process_exec")`},
	{"tp_btf/sched_process_exec", ebpf.Tracing, ebpf.AttachTraceRawTp, ""},
	{"fexit.s/bpf_fentry_test1", ebpf.Tracing, ebpf.AttachTraceFExit, ""},
	{"fentry.multi.s/bpf_*", ebpf.Tracing, 59, "use link.AttachRawLink with the functions"},
	{"iter/task", ebpf.Tracing, ebpf.AttachTraceIter, ""},
	{"iter/bpf_map_elem", ebpf.Tracing, ebpf.AttachTraceIter, "use link.AttachIter with the map"},
	{"lsm.s/file_open", ebpf.LSM, ebpf.AttachLSMMac, ""},
	{"lsm_cgroup/socket_bind", ebpf.LSM, ebpf.AttachLSMCgroup, "name the cgroup: .*"},
	{"xdp", ebpf.XDP, ebpf.AttachXDP, "name the interface: .*"},
	{"xdp/devmap", ebpf.XDP, ebpf.AttachXDPDevMap, "-"},
	{"xdp.frags/cpumap", ebpf.XDP, ebpf.AttachXDPCPUMap, "-"},
	{"tcx/egress", ebpf.SchedCLS, ebpf.AttachTCXEgress, "name the interface: .*"},
	{"netkit/peer", ebpf.SchedCLS, ebpf.AttachNetkitPeer, "name the interface: .*"},
	{"tc", ebpf.SchedCLS, 0, "name the direction in the section: .*"},
	{"cgroup/skb", ebpf.CGroupSKB, 0, "name the direction in the section: .*"},
	{"cgroup_skb/ingress", ebpf.CGroupSKB, ebpf.AttachCGroupInetIngress, "name the cgroup: .*"},
	{"sockops", ebpf.SockOps, ebpf.AttachCGroupSockOps, "name the cgroup: .*"},
	{"sk_lookup", ebpf.SkLookup, ebpf.AttachSkLookup, "name the network namespace: .*"},
	{"syscall", ebpf.Syscall, 0, "-"},
	{"struct_ops", ebpf.StructOps, 0, "-"},
	{"socket", ebpf.SocketFilter, 0, "use link.AttachSocketFilter with the socket"},
	{"netfilter", ebpf.Netfilter, ebpf.AttachNetfilter, "use link.AttachNetfilter with protocol, hook and priority"},
	{"lwt_in", ebpf.LWTIn, 0, "use a route: .*"},
	{"freplace/f", ebpf.Extension, 0, "use link.AttachFreplace"},
	{"new", 99, 0, "AttachAll does not support programs of type .*"},
}

func TestAttachTargets(t *testing.T) {
	options := &attachConfig{iface: "lo", cgroup: "/", netns: "/"}
	for _, k := range kinds {
		c := described(t, k.section)
		plan, err := c.planAttach(&attachConfig{})
		switch k.hint {
		case "", "-":
			qt.Check(t, qt.IsNil(err), qt.Commentf(k.section))
			qt.Check(t, qt.HasLen(plan, len("-")-len(k.hint)), qt.Commentf(k.section))
			continue
		}
		qt.Check(t, qt.ErrorIs(err, ErrNoTarget), qt.Commentf(k.section))
		var refused *AttachError
		qt.Assert(t, qt.ErrorAs(err, &refused))
		qt.Check(t, qt.Equals(refused.Section, k.section))
		if refused.Hint != k.hint {
			qt.Check(t, qt.Matches(refused.Hint, k.hint))
		}
		// With options, those that want one have it.
		plan, err = c.planAttach(options)
		if slices.Contains([]string{"name the interface: .*", "name the cgroup: .*", "name the network namespace: .*"}, k.hint) {
			qt.Check(t, qt.IsNil(err), qt.Commentf(k.section))
			qt.Check(t, qt.HasLen(plan, 1), qt.Commentf(k.section))
		} else {
			qt.Check(t, qt.ErrorIs(err, ErrNoTarget), qt.Commentf(k.section))
		}
	}
}

// Every program in the way is named, and Except takes it out of the way.
func TestAttachExcept(t *testing.T) {
	c := described(t, "socket", "syscall", "tc")
	c.structOps = []bundle.Map{{Name: "ops", MapAttributes: bundle.MapAttributes{Type: uint32(ebpf.StructOpsMap)}}}
	c.Maps = map[string]*ebpf.Map{"ops": {}}
	_, err := c.AttachAll()
	qt.Check(t, qt.ErrorMatches(err, `attach program p socket \(section "socket"\): no attach target: use link.AttachSocketFilter with the socket
attach program p tc \(section "tc"\): .*
attach struct_ops map ops: no attach target: put it into section .struct_ops.link in the source`))
	_, err = c.AttachAll(Except("p socket", "ops", "nobody"))
	qt.Check(t, qt.ErrorMatches(err, `attach all except nobody: there is no program or map of that name
attach program p tc .*`))
	links, err := c.AttachAll(Except("p socket"), Except("ops", "p tc"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsNil(links.Link("p syscall")))
	qt.Check(t, qt.IsNil(links.Close()))
}

// trampolines are the programs of the object sections.bpf.o that need one, which not every kernel gives.
var trampolines = []string{"on_fentry", "on_fexit", "on_fmod_ret", "on_lsm", "on_lsm_s"}

// unattached have no target in the object, or none that every kernel has.
var unattached = Except("on_socket", "on_kprobe", "on_kretprobe", "on_kprobe_multi", "on_xdp_frags", "on_tc", "on_netkit", "on_perf_event",
	"on_lwt_in", "on_sk_skb", "on_sk_msg", "on_flow_dissector", "on_sk_reuseport", "on_netfilter")

// cgroup makes a cgroup of the test's own.
func cgroup(t *testing.T) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir, err := os.MkdirTemp(root, "attach")
		qt.Assert(t, qt.IsNil(err))
		t.Cleanup(func() { os.Remove(dir) })
		return dir
	}
	t.Skip("no cgroup2 is mounted")
	return ""
}

// links counts those that this process has in the kernel.
func links(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	qt.Assert(t, qt.IsNil(err))
	for _, e := range entries {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.Contains(to, "bpf_link") || strings.Contains(to, "bpf-link") {
			n++
		}
	}
	return n
}

func tracefs() bool {
	_, err := os.Stat("/sys/kernel/tracing/events")
	return err == nil
}

func TestAttachAll(t *testing.T) {
	needBPF(t)
	b := compiledWith(t, "sections", func(p *object.Program) {
		p.Autoload = p.Autoload && !slices.Contains(trampolines, p.Name)
		if p.Name == "on_uprobe_s" { // the test's own executable has no symbols
			p.Section = "uprobe.s/libc.so.6:malloc+0"
		}
	})
	c, err := Load(t.Context(), b, unsigned()...)
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { c.Close() })

	opts := []AttachOption{unattached, ToInterface("lo"), ToCgroup(cgroup(t)), ToNetNS("/proc/self/ns/net")}
	// What a machine may not have.
	if _, err := lookLibrary("libc.so.6"); err != nil {
		opts = append(opts, Except("on_uprobe_s"))
	}
	if !tracefs() {
		opts = append(opts, Except("on_tracepoint"))
	}
	all, err := c.AttachAll(opts...)
	qt.Assert(t, qt.IsNil(err))
	for _, p := range b.Programs {
		l := all.Link(p.Name)
		if l == nil {
			continue
		}
		info, err := l.Info()
		if errors.Is(err, link.ErrNotSupported) {
			continue
		}
		qt.Assert(t, qt.IsNil(err), qt.Commentf(p.Name))
		prog, err := c.Program(p.Name).Info()
		qt.Assert(t, qt.IsNil(err))
		id, _ := prog.ID()
		qt.Check(t, qt.Equals(info.Program, id), qt.Commentf(p.Name))
	}
	attached := links(t)
	qt.Check(t, qt.Equals(attached, len(all.links)))
	qt.Check(t, qt.IsTrue(attached >= 12), qt.Commentf("%d", attached))

	// XDP takes one program, so a second attachment of everything fails, and leaves nothing behind of itself.
	_, err = c.AttachAll(opts...)
	var failed *AttachError
	qt.Assert(t, qt.ErrorAs(err, &failed))
	qt.Check(t, qt.Equals(failed.Name, "on_xdp"))
	qt.Check(t, qt.ErrorIs(err, unix.EBUSY))
	qt.Check(t, qt.Equals(links(t), attached))

	qt.Check(t, qt.IsNil(all.Close()))
	qt.Check(t, qt.Equals(links(t), 0))
	qt.Check(t, qt.IsNil(all.Close()))
	qt.Check(t, qt.IsNil(all.Link("on_xdp")))
}

// Targets that do not exist.
func TestAttachNowhere(t *testing.T) {
	needBPF(t)
	b := compiled(t, "sections", trampolines...)
	for name, test := range map[string]struct {
		program, section string
		opts             []AttachOption
		want             string
		is               error
	}{
		"tracepoint":    {"on_tracepoint", "tp/sched/no_such", nil, `.*the kernel has no tracepoint sched/no_such: .*`, os.ErrNotExist},
		"raw":           {"on_raw_tp", "raw_tp/no_such", nil, `.*the kernel has no tracepoint no_such: .*`, os.ErrNotExist},
		"executable":    {"on_uprobe_s", "uprobe.s//no/such:main", nil, `.*no such file.*`, os.ErrNotExist},
		"symbol":        {"on_uprobe_s", "uprobe.s//proc/self/exe:no_such", nil, `.*no_such.*`, link.ErrNoSymbol},
		"no symbol":     {"on_uprobe_s", "uprobe.s//proc/self/exe", nil, `.*is not of the form FILE:SYMBOL`, nil},
		"offset":        {"on_uprobe_s", "uprobe.s//proc/self/exe:runtime.main+x", nil, `.*is no number`, nil},
		"library":       {"on_uprobe_s", "uprobe.s/libnosuch.so:main", nil, `.*library libnosuch.so: .*`, os.ErrNotExist},
		"command":       {"on_uprobe_s", "uprobe.s/no_such_command:main", nil, `.*no_such_command.*`, nil},
		"multi pattern": {"on_uprobe_s", "uprobe.multi//proc/self/exe:main*", nil, `.*is a pattern: .*`, nil},
		"interface":     {"on_xdp", "xdp", []AttachOption{ToInterface("no_such")}, `.*interface no_such: .*`, unix.ENODEV},
		"cgroup":        {"on_connect4", "cgroup/connect4", []AttachOption{ToCgroup("/no/such")}, `.*cgroup: .*/no/such.*`, os.ErrNotExist},
		"no cgroup":     {"on_connect4", "cgroup/connect4", []AttachOption{ToCgroup("/proc")}, `.*cgroup /proc: .*`, nil},
		"netns":         {"on_sk_lookup", "sk_lookup", []AttachOption{ToNetNS("/no/such")}, `.*network namespace: .*`, os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Load(t.Context(), b, unsigned()...)
			qt.Assert(t, qt.IsNil(err))
			defer c.Close()
			if name == "tracepoint" && !tracefs() {
				test.want, test.is = ".*: mount it: `mount -t tracefs .*", nil
			}
			c.programs = slices.DeleteFunc(c.programs, func(p bundle.Program) bool { return p.Name != test.program })
			c.programs[0].Section = test.section
			_, err = c.AttachAll(test.opts...)
			var failed *AttachError
			qt.Assert(t, qt.ErrorAs(err, &failed))
			qt.Check(t, qt.Equals(failed.Name, test.program))
			qt.Check(t, qt.ErrorMatches(err, test.want))
			if test.is != nil {
				qt.Check(t, qt.ErrorIs(err, test.is))
			}
		})
	}
}

func TestMatchFunctions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "functions")
	qt.Assert(t, qt.IsNil(os.WriteFile(file, []byte("do_nanosleep\ndo_nano\ndo_nano\nundo_nano\ndo_nanomod [mod]\n"), 0o600)))
	defer func(saved []string) { traceable = saved }(traceable)
	traceable = []string{filepath.Join(dir, "none"), file}
	got, err := matchFunctions("do_nano*")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(got, []string{"do_nanosleep", "do_nano"}))
	got, err = matchFunctions("do_nan?")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(got, []string{"do_nano"}))
	_, err = matchFunctions("no*")
	qt.Check(t, qt.ErrorIs(err, os.ErrNotExist))
	qt.Check(t, qt.Matches(attachHint("kprobe.multi/no*", err), "the kernel has no function of that name .*"))

	// That the list is missing says nothing of functions.
	traceable = traceable[:1]
	_, err = matchFunctions("do_*")
	qt.Check(t, qt.ErrorIs(err, os.ErrNotExist))
	qt.Check(t, qt.Matches(attachHint("kprobe.multi/do_*", err), "mount it: .*tracefs.*"))
	// A list that is there and cannot be read is what is told, not that there is no other.
	traceable = []string{filepath.Join(file, "in a file"), filepath.Join(dir, "none")}
	_, err = matchFunctions("do_*")
	qt.Check(t, qt.ErrorIs(err, unix.ENOTDIR))
}

func TestLookLibrary(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LD_LIBRARY_PATH", dir)
	qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(dir, "libx.so.1"), nil, 0o600)))
	got, err := lookLibrary("libx.so.1")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(got, filepath.Join(dir, "libx.so.1")))
}
