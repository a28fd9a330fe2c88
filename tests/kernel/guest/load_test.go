//go:build linux

package guest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// scheme is how the running kernel attests loaders, 0 if it does not.
func scheme(t *testing.T) bundle.Scheme {
	t.Helper()
	return runtime.Probe().Scheme
}

// unfit is why a kernel that attests no loader gets none: it cannot enforce exclusivity, or has no BTF to show that it can.
func unfit() error {
	if runtime.Probe().BTFError != nil {
		return runtime.ErrNoKernelBTF
	}
	return runtime.ErrNotExclusiveCapable
}

// bundleFiles are all bundles that the host has put into the guest: the examples', and one for every object of
// tests/features.
func bundleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(guest.DataDir, "*.bpfl"))
	qt.Assert(t, qt.IsNil(err))
	features, err := filepath.Glob(filepath.Join(guest.DataDir, "features", "*.bpfl"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Not(qt.HasLen(features, 0)))
	features = slices.DeleteFunc(features, func(file string) bool {
		return goruntime.GOARCH != "amd64" && !slices.Contains(portable, strings.TrimSuffix(filepath.Base(file), ".bpfl"))
	})
	return append(files, features...)
}

// portable are the objects of tests/features, which are compiled for x86, that load on all other machines too. The others want
// hooks, types or kernel functions that one of these has not got, or a JIT: Debian's s390x has none.
var portable = []string{"core", "data", "kconfig", "maps_of_maps", "tailcalls"}

func readBundle(t *testing.T, file string) *bundle.Bundle {
	t.Helper()
	raw, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	b, err := bundle.Decode(raw)
	qt.Assert(t, qt.IsNil(err))
	return b
}

// loadSigned loads a bundle signed, with the development key in the session keyring.
func loadSigned(t *testing.T, b *bundle.Bundle) (*runtime.Collection, error) {
	t.Helper()
	return runtime.Load(t.Context(), b, runtime.Enroll(guest.ReadData(t, "cert.der")), runtime.PinRoot(pinFolder(t)))
}

// pinFolder returns a folder of the test's own on the BPF file system.
func pinFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/sys/fs/bpf", "test")
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// needs says which kernels do not have what an object uses, and why: those before the series named, which is the first of
// those tested that has it.
var needs = map[string]struct{ since, why string }{
	"arena":      {"6.12", "there are arenas"},
	"exceptions": {"6.12", "there is bpf_throw"},
	"graph":      {"6.12", "there are linked lists and trees of objects"},
	"ksyms":      {"6.12", "the kernel has all of these symbols"},
	"linked":     {"7.0", "sleepable programs may use maps of programs"},
	"maps":       {"6.12", "there are cgroup storages"},
	"sections":   {"6.12", "the kernel has all of these hooks"},

	"gatekeeper_loader": {"6.18", "an LSM program sees who loads, and a signature"},

	"percpu":    {"7.3", "global per-CPU variables have BTF"},
	"structops": {"7.2", "struct tcp_congestion_ops has the members of tests/features/tcp_congestion_ops.h"},

	"structops_shared": {"7.2", "struct tcp_congestion_ops has the members of tests/features/tcp_congestion_ops.h"},
}

func older(series, than string) bool {
	major := func(s string) string { m, _, _ := strings.Cut(s, "."); return m }
	if major(series) != major(than) {
		return major(series) < major(than)
	}
	return len(series) < len(than) || len(series) == len(than) && series < than
}

// One and the same bundle loads on every kernel that can attest it, by the scheme that the kernel has. A kernel
// that cannot enforce exclusivity is told from the others, and nothing is loaded.
func TestSignedBundles(t *testing.T) {
	_, series := release(t)
	for _, file := range bundleFiles(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".bpfl")
		t.Run(name, func(t *testing.T) {
			b := readBundle(t, file)
			if n, ok := needs[name]; ok && older(series, n.since) && scheme(t) != 0 {
				t.Skipf("since %s only %s", n.since, n.why)
			}
			before := objects(t)
			c, err := loadSigned(t, b)
			if scheme(t) == 0 {
				qt.Assert(t, qt.ErrorIs(err, unfit()))
				nothingLeft(t, before)
				return
			}
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.Equals(c.Scheme, scheme(t)))
			qt.Assert(t, qt.IsNotNil(c.SignedBy))
			qt.Check(t, qt.DeepEquals(c.SignedBy.KeyID, b.Loader(c.Scheme).Signatures[0].KeyID))
			qt.Check(t, qt.Equals(len(c.Maps), len(b.Maps)))
			qt.Check(t, qt.Equals(len(c.Programs), len(b.Programs)))
			if check := checks[name]; check != nil {
				check(t, c)
			}
			qt.Check(t, qt.IsNil(c.Close()))
		})
	}
}

// checks look at what some bundles do once they are loaded.
var checks = map[string]func(t *testing.T, c *runtime.Collection){
	"arena": func(t *testing.T, c *runtime.Collection) {
		qt.Check(t, qt.Equals(run(t, c, "touch"), 0x5eee)) // the variable, one more
	},
	"data": func(t *testing.T, c *runtime.Collection) {
		// limit + counter + zeroed + own + custom + fixed + empty + hidden, and 's' (tests/features/data.bpf.c)
		const want = 42 + 7 + 0 + 11 + 0x600d + 0xf1 + 0 + 5
		qt.Check(t, qt.Equals(run(t, c, "sum"), uint32(want+'s')))
		var bss [8]byte
		qt.Assert(t, qt.IsNil(c.Map(".bss").Lookup(uint32(0), &bss)))
		qt.Check(t, qt.Equals(nativeEndian.Uint64(bss[:]), uint64(want)))
		// Set leaves the bytes of blank fields as they are, in both byte orders: here the first half of counter.
		want8 := make([]byte, 8)
		nativeEndian.PutUint64(want8, 8)
		nativeEndian.PutUint32(want8[4:], 0x01020304)
		type half struct {
			_  [4]byte
			To uint32
		}
		qt.Assert(t, qt.IsNil(runtime.NewVariable[half](c, ".data", "counter", 0).Set(half{To: 0x01020304})))
		data, err := c.Map(".data").LookupBytes(uint32(0))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.DeepEquals(data[:8], want8))
		// The read-only ones are frozen.
		qt.Check(t, qt.ErrorIs(c.Map(".rodata").Put(uint32(0), make([]byte, c.Map(".rodata").ValueSize())), unix.EPERM))
	},
	"functions": func(t *testing.T, c *runtime.Collection) {
		qt.Check(t, qt.Equals(run(t, c, "second"), 42))
		qt.Check(t, qt.Equals(run(t, c, "first"), 8))
		var total [8]byte
		qt.Assert(t, qt.IsNil(c.Map(".bss").Lookup(uint32(0), &total)))
		qt.Check(t, qt.Equals(nativeEndian.Uint64(total[:]), uint64(45+90))) // bpf_loop: the sum of i and 2i, below 10
	},
	"kconfig": func(t *testing.T, c *runtime.Collection) {
		run(t, c, "look")
		var seen [8]byte
		qt.Assert(t, qt.IsNil(c.Map(".bss").Lookup(uint32(0), &seen)))
		qt.Check(t, qt.Equals(nativeEndian.Uint64(seen[:]), uint64(0x70304+250+1+2+'('+1)))
	},
	"ksyms": func(t *testing.T, c *runtime.Collection) {
		run(t, c, "look")
		var bss [24]byte
		qt.Assert(t, qt.IsNil(c.Map(".bss").Lookup(uint32(0), bss[:c.Map(".bss").ValueSize()])))
		zeros := bytes.Count(bss[:16], make([]byte, 8))
		qt.Check(t, qt.Equals(zeros, 1), qt.Commentf("address is found, missing stays zero: % x", bss))
	},
	"linked": func(t *testing.T, c *runtime.Collection) {
		// Called in place of first's own return: twice(300), the limit, the version, and what both sources counted.
		qt.Check(t, qt.Equals(run(t, c, "first"), 600+100+1+11))
		var results uint32
		qt.Assert(t, qt.IsNil(c.Map("results").Lookup(uint32(0), &results)))
		qt.Check(t, qt.Equals(results, 1+20)) // each source's own
	},
	"maps_of_maps": func(t *testing.T, c *runtime.Collection) {
		qt.Check(t, qt.Equals(run(t, c, "look"), 1))
	},
	"percpu": func(t *testing.T, c *runtime.Collection) {
		run(t, c, "count")
		var hits []uint64
		qt.Assert(t, qt.IsNil(c.Map(".percpu").Lookup(uint32(0), &hits)))
		qt.Check(t, qt.Equals(hits[0], 4))
	},
	"tailcalls": func(t *testing.T, c *runtime.Collection) {
		for mark, want := range map[uint32]uint32{0: 10, 1: 1, 2: 12} {
			ret, err := c.Program("root").Run(&ebpf.RunOptions{
				Data:    make([]byte, 64),
				Context: &struct{ Len, PktType, Mark uint32 }{Mark: mark},
			})
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.Equals(ret, want))
		}
	},
	// Everything that has a target by its section or by an option.
	"sections": func(t *testing.T, c *runtime.Collection) {
		cgroup := "/sys/fs/cgroup/sections"
		qt.Assert(t, qt.IsNil(os.Mkdir(cgroup, 0o755)))
		defer os.Remove(cgroup)
		opts := []runtime.AttachOption{runtime.ToInterface("lo"), runtime.ToCgroup(cgroup), runtime.ToNetNS("/proc/self/ns/net")}
		_, err := c.AttachAll(opts...)
		qt.Check(t, qt.ErrorIs(err, runtime.ErrNoTarget))
		without := []string{"on_socket", "on_tc", "on_perf_event", "on_lwt_in", "on_sk_skb", "on_sk_msg", "on_sk_reuseport", "on_netfilter"}
		for _, name := range without {
			qt.Check(t, qt.ErrorMatches(err, `(?s).*attach program `+name+` .*`))
		}
		// No C program is here to be probed, no netkit device, and an interface takes one XDP program.
		without = append(without, "on_uprobe_s", "on_netkit", "on_xdp_frags")
		links, err := c.AttachAll(append(opts, runtime.Except(without...))...)
		qt.Assert(t, qt.IsNil(err))
		for name := range c.Programs {
			run := name == "on_syscall" || name == "on_xdp_cpumap"
			qt.Check(t, qt.Equals(links.Link(name) != nil, !run && !slices.Contains(without, name)), qt.Commentf(name))
		}
		qt.Check(t, qt.IsNil(links.Close()))
		var it link.Iterator
		defer it.Close()
		qt.Check(t, qt.IsFalse(it.Next()), qt.Commentf("a link is left"))
	},
	"structops": func(t *testing.T, c *runtime.Collection) {
		const algorithms = "/proc/sys/net/ipv4/tcp_available_congestion_control"
		links, err := c.AttachAll()
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsNotNil(links.Link("ops")))
		have, err := os.ReadFile(algorithms)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.StringContains(string(have), "bpf_signed"))
		qt.Check(t, qt.IsNil(links.Close()))
		have, err = os.ReadFile(algorithms)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.IsFalse(strings.Contains(string(have), "bpf_signed")))
	},
	// Both maps call the programs that they share, the one of SEC("?...") too; the disabled map is not there.
	"structops_shared": func(t *testing.T, c *runtime.Collection) {
		qt.Check(t, qt.IsNil(c.Map("disabled")))
		qt.Check(t, qt.IsNil(c.Program("disabled_release")))
		qt.Check(t, qt.IsNil(c.Program("unused_release")))
		links, err := c.AttachAll()
		qt.Assert(t, qt.IsNil(err))
		defer links.Close()
		inits := runtime.NewVariable[int32](c, ".bss", "inits", 0)
		server, err := net.Listen("tcp", "127.0.0.1:0")
		qt.Assert(t, qt.IsNil(err))
		defer server.Close()
		for i, name := range []string{"bpf_first", "bpf_second"} {
			conn, err := net.Dial("tcp", server.Addr().String()) // the kernel calls init for a connected socket
			qt.Assert(t, qt.IsNil(err))
			defer conn.Close()
			raw, err := conn.(*net.TCPConn).SyscallConn()
			qt.Assert(t, qt.IsNil(err))
			var set error
			qt.Assert(t, qt.IsNil(raw.Control(func(fd uintptr) {
				set = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
			})))
			qt.Assert(t, qt.IsNil(set), qt.Commentf("%s", name))
			n, err := inits.Get()
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.Equals(n, int32(i+1)), qt.Commentf("%s", name))
		}
	},
	// A weak kernel function counts as there if it has the prototype that the program declares, and a name in BTF is not enough.
	"weak": func(t *testing.T, c *runtime.Collection) {
		for _, name := range []string{"look", "call"} {
			run(t, c, name)
		}
		there, err := runtime.NewVariable[uint64](c, ".bss", "there", 0).Get()
		qt.Assert(t, qt.IsNil(err))
		if _, series := release(t); older(series, "6.18") {
			// Older kernels lack some of these functions, and let no fentry program look at an argument of type const void *.
			t.Logf("there: %#x", there)
			return
		}
		symbols, err := os.ReadFile("/proc/kallsyms")
		qt.Assert(t, qt.IsNil(err))
		want := uint64(1<<40 | 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4)
		for bit, name := range map[int]string{32: "bpf_stream_vprintk_impl", 33: "bpf_stream_vprintk", 34: "bpf_list_push_front"} {
			if bytes.Contains(symbols, []byte(" "+name+"\n")) {
				want |= 1 << bit
			}
		}
		qt.Check(t, qt.Equals(there, want), qt.Commentf("%#x, want %#x", there, want))
	},
	// The example at work: it tells of an execution.
	"execsnoop_loader": func(t *testing.T, c *runtime.Collection) {
		l, err := link.AttachTracing(link.TracingOptions{Program: c.Program("on_exec")})
		qt.Assert(t, qt.IsNil(err))
		defer l.Close()
		events, err := ringbuf.NewReader(c.Map("events"))
		qt.Assert(t, qt.IsNil(err))
		defer events.Close()
		events.SetDeadline(time.Now().Add(time.Minute))
		self, err := os.Executable()
		qt.Assert(t, qt.IsNil(err))
		cmd := exec.Command(self, "-test.run=^$")
		qt.Assert(t, qt.IsNil(cmd.Run()))
		event, err := events.Read()
		qt.Assert(t, qt.IsNil(err))
		// struct event {u32 pid; u32 parent; char comm[16]; char filename[256]}
		qt.Check(t, qt.Equals(int(nativeEndian.Uint32(event.RawSample)), cmd.Process.Pid))
		qt.Check(t, qt.Equals(int(nativeEndian.Uint32(event.RawSample[4:])), os.Getpid()))
		qt.Check(t, qt.Equals(unix.ByteSliceToString(event.RawSample[24:]), self))
	},
	"exceptions": func(t *testing.T, c *runtime.Collection) {
		ret, err := c.Program("thrower").Run(&ebpf.RunOptions{
			Data:    make([]byte, 64),
			Context: &struct{ Len, PktType, Mark uint32 }{Mark: 1},
		})
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(ret, 42))
	},
}

// run runs a syscall program.
func run(t *testing.T, c *runtime.Collection, name string) uint32 {
	t.Helper()
	ret, err := c.Program(name).Run(&ebpf.RunOptions{})
	qt.Assert(t, qt.IsNil(err))
	return ret
}

// counts are how many maps and programs the kernel has.
type counts struct{ maps, programs int }

func objects(t *testing.T) (n counts) {
	t.Helper()
	for id := ebpf.MapID(0); ; n.maps++ {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		qt.Assert(t, qt.IsNil(err))
		id = next
	}
	for id := ebpf.ProgramID(0); ; n.programs++ {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return n
		}
		qt.Assert(t, qt.IsNil(err))
		id = next
	}
}

// nothingLeft checks that the kernel has no more maps and programs than before. What a load has released is freed a little
// later, when no CPU can still be using it.
func nothingLeft(t *testing.T, before counts) {
	t.Helper()
	var now counts
	for range 100 {
		now = objects(t)
		if now.maps <= before.maps && now.programs <= before.programs {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the kernel has %+v, and had %+v before", now, before)
}

// A byte changed in the instructions, the blob or the signature: the kernel or the loader refuses, the runtime says so, and
// nothing is made. One byte in so many: TestEveryByte tries all of a smaller bundle.
func TestTamperedBundles(t *testing.T) {
	s := scheme(t)
	if s == 0 {
		t.Skip("this kernel attests no loader")
	}
	file := guest.DataDir + "/execsnoop_loader.bpfl"
	if _, err := os.Stat(file); err != nil { // without Bazel
		file = guest.DataDir + "/features/data.bpfl"
	}
	for _, part := range []struct {
		name  string
		bytes func(b *bundle.Bundle) []byte
		// step is how many bytes are changed: one in so many.
		step int
		// unread are bytes that the kernel does not look at.
		unread func(at int) bool
	}{
		{"instructions", func(b *bundle.Bundle) []byte { return b.Loader(s).Insns }, 31, nil},
		{"blob", func(b *bundle.Bundle) []byte { return b.Blob }, 89, nil},
		{"signature", func(b *bundle.Bundle) []byte { return b.Loader(s).Signatures[0].CMS }, 9, unreadCMS},
	} {
		t.Run(part.name, func(t *testing.T) {
			n, taken := len(part.bytes(readBundle(t, file))), 0
			before := objects(t)
			for at := 0; at < n; at += part.step {
				b := readBundle(t, file)
				part.bytes(b)[at] ^= 1
				c, err := loadSigned(t, b)
				if err == nil {
					c.Close()
					if taken++; part.unread == nil || !part.unread(at) {
						t.Errorf("byte %d of %d changed, and the bundle loaded", at, n)
					}
					continue
				}
				if errors.Is(err, bundle.ErrContract) { // the runtime tells first: the contract's digest is in the blob
					continue
				}
				var refused *runtime.LoadError
				qt.Assert(t, qt.ErrorAs(err, &refused))
				qt.Check(t, qt.IsTrue(refused.Step == runtime.StepLoad || refused.Step == runtime.StepRun), qt.Commentf("byte %d: %v", at, err))
			}
			t.Logf("%d bytes changed, %d of them make no difference to the kernel", (n+part.step-1)/part.step, taken)
			nothingLeft(t, before)
		})
	}
}

// unreadCMS tells the 12 of an RSA signature's 375 bytes in which kernels take another value, because they do not look at them:
// the tags of the two sets, for which a sequence will do; the list of digest algorithms, which the signer's own says again;
// and the tag of the signature algorithm's empty parameters (crypto/asymmetric_keys/pkcs7.asn1). The key's name, the
// digest algorithm that counts and the signature value are none of them, so nothing is verified that was not signed.
func unreadCMS(at int) bool {
	const digestAlgorithms, signerInfos, parameters = 26, 54, 113
	return at == digestAlgorithms || at >= 32 && at <= 40 || at == signerInfos || at == parameters
}

func TestUnsignedIsRefused(t *testing.T) {
	b := readBundle(t, guest.DataDir+"/features/data.bpfl")
	for i := range b.Loaders {
		b.Loaders[i].Signatures = nil
	}
	_, err := loadSigned(t, b)
	if scheme(t) == 0 {
		qt.Assert(t, qt.ErrorIs(err, unfit()))
		t.Log(err)
	} else {
		qt.Assert(t, qt.ErrorIs(err, runtime.ErrUnsigned))
	}
	c, err := runtime.Load(t.Context(), b, runtime.AllowUnsigned())
	if runtime.Probe().Loaders == runtime.No {
		qt.Assert(t, qt.ErrorIs(err, runtime.ErrLoadersUnsupported))
		return
	}
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsNil(c.SignedBy))
	qt.Check(t, qt.IsNil(c.Close()))
}
