//go:build linux

package runtime

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/kbtf"
)

// types is what the running kernel's type information says, or why there is none.
type types struct {
	facts kbtf.Facts
	err   error
}

// attestedBy lists what tells a kernel's scheme. The first row that holds counts, as 7.2 has both.
var attestedBy = []struct {
	scheme bundle.Scheme
	holds  func(kbtf.Facts) bool
}{
	{bundle.MapHash, func(f kbtf.Facts) bool { return f.Excl }},
	{bundle.Payload, func(f kbtf.Facts) bool { return f.Sig }},
}

// scheme returns how the kernel attests loaders, or 0 when it does not. Version numbers say nothing: stable kernels had
// the first scheme backported.
func (t types) scheme() bundle.Scheme {
	if t.err != nil {
		return 0
	}
	for _, row := range attestedBy {
		if row.holds(t.facts) {
			return row.scheme
		}
	}
	return 0
}

const vmlinuxBTF = "/sys/kernel/btf/vmlinux"

var memo struct {
	sync.Once
	types types
}

// kernelTypes reads the kernel's type information, the first time that it is called.
func kernelTypes() types {
	memo.Do(func() { memo.types = readTypes(vmlinuxBTF) })
	return memo.types
}

func readTypes(path string) (t types) {
	data, done, err := mapFile(path)
	if err != nil {
		// Mapping it is possible from Linux 6.16 (btf_sysfs_vmlinux_mmap), and saves copying some 6 MB.
		data, err = os.ReadFile(path)
		done = func() {}
	}
	if err != nil {
		t.err = err
		return t
	}
	defer done()
	t.facts, t.err = kbtf.Scan(data)
	return t
}

// mapFile maps a file into memory until done is called.
func mapFile(path string) (data []byte, done func(), err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	return data, func() { _ = unix.Munmap(data) }, nil
}

// capability is one that BPF asks for: include/uapi/linux/capability.h.
type capability struct {
	number int
	name   string
}

var (
	// The loader itself: bpf_sys_bpf and a look at a kernel struct are for CAP_PERFMON (bpf_base_func_proto,
	// check_ptr_to_map_access).
	loaderCapabilities = []capability{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_PERFMON, "CAP_PERFMON"}}
	// Its programs, if they have to do with the network.
	programCapabilities = []capability{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_PERFMON, "CAP_PERFMON"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}}
)

// missingCapabilities returns those that the calling thread does not have. CAP_SYS_ADMIN is as good as all of them
// (bpf_token_capable).
func missingCapabilities(needs []capability) (missing []string) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil
	}
	has := func(n int) bool { return data[n/32].Effective>>(n%32)&1 != 0 }
	if has(unix.CAP_SYS_ADMIN) {
		return nil
	}
	for _, c := range needs {
		if !has(c.number) {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// initialUserNamespace says whether the process is in the namespace whose capabilities bpf(2) asks for.
func initialUserNamespace() bool {
	const initial = "user:[4026531837]" // PROC_USER_INIT_INO
	link, err := os.Readlink("/proc/self/ns/user")
	return err != nil || link == initial
}
