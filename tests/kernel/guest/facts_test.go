//go:build linux

package guest

import (
	"crypto/sha256"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/attack/victim"
)

// release returns the kernel's release, as 7.3.4+deb13-cloud-amd64, and its
// series, 7.3.
func release(t *testing.T) (release, series string) {
	t.Helper()
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	release = unix.ByteSliceToString(uts.Release[:])
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 3 {
		t.Fatalf("strange release %q", release)
	}
	return release, parts[0] + "." + parts[1]
}

// TestMachine checks that the guest is what tests may rely on.
func TestMachine(t *testing.T) {
	r, _ := release(t)
	t.Logf("%s, %s", r, runtime.GOARCH)

	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"/proc proc", "/sys sysfs", "/dev devtmpfs", "/tmp tmpfs", "/run tmpfs", "/sys/fs/bpf bpf",
		"/sys/fs/cgroup cgroup2", "/sys/kernel/security securityfs", "/sys/kernel/debug debugfs", "/sys/kernel/tracing tracefs",
	} {
		if !strings.Contains(string(mounts), " "+want+" ") {
			t.Errorf("not mounted: %s", want)
		}
	}
	flags, err := os.ReadFile("/sys/class/net/lo/flags")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(flags)); got != "0x9" { // IFF_LOOPBACK|IFF_UP
		t.Errorf("flags of lo are %s, want 0x9", got)
	}
}

// TestFacts reads from the kernel's BTF which way it attests signed loaders.
func TestFacts(t *testing.T) {
	r, series := release(t)
	spec, err := btf.LoadKernelSpec()
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, btf.ErrNotSupported) {
		t.Skipf("%s has no BTF: %v", r, err)
	}
	if err != nil {
		t.Fatal(err)
	}

	sha := member(t, spec, "bpf_map", "sha")
	if sha == nil && older(series, exclusiveSince) {
		t.Skipf("%s is older than exclusive maps", r)
	}
	if sha == nil {
		t.Fatal("struct bpf_map has no member sha")
	}
	if size, err := btf.Sizeof(sha.Type); err != nil || sha.Offset != 0 || size != sha256.Size {
		t.Errorf("bpf_map.sha: %d bytes at %d (%v), want 32 at 0", size, sha.Offset.Bytes(), err)
	}
	excl := member(t, spec, "bpf_map", "excl")
	if excl != nil {
		if size, err := btf.Sizeof(excl.Type); err != nil || excl.Offset.Bytes() != 32 || size != 4 {
			t.Errorf("bpf_map.excl: %d bytes at %d (%v), want 4 at 32", size, excl.Offset.Bytes(), err)
		}
	}
	sig := member(t, spec, "bpf_prog_aux", "sig")

	scheme := "none"
	switch {
	case excl != nil:
		scheme = "A"
	case sig != nil:
		scheme = "B"
	}
	t.Logf("%s: bpf_map.excl: %t, bpf_prog_aux.sig: %t: scheme %s", r, excl != nil, sig != nil, scheme)

	// What a series may have: stable kernels get scheme A by backports.
	expected := map[string][]string{
		"6.18": {"none", "A"},
		"6.19": {"none", "A"},
		"7.0":  {"none", "A"},
		"7.1":  {"none", "A"},
		"7.2":  {"A"},
		"7.3":  {"B"},
	}
	if want, ok := expected[series]; ok && !slices.Contains(want, scheme) {
		t.Errorf("scheme %s, want one of %s", scheme, want)
	}
}

// member returns the member of a kernel's struct, or nil if it has none.
func member(t *testing.T, spec *btf.Spec, structure, name string) *btf.Member {
	t.Helper()
	var s *btf.Struct
	if err := spec.TypeByName(structure, &s); err != nil {
		t.Fatalf("struct %s: %v", structure, err)
	}
	i := slices.IndexFunc(s.Members, func(m btf.Member) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Members[i]
}

// exclusiveSince is the first series with exclusive maps and signatures.
const exclusiveSince = "6.18"

// needExclusive skips a test on a kernel that has no exclusive maps, which host can then not make.
func needExclusive(t *testing.T) {
	t.Helper()
	if r, series := release(t); older(series, exclusiveSince) {
		t.Skipf("%s is older than exclusive maps", r)
	}
}

// TestExclusiveMap checks that a program other than the one that an exclusive
// map was made for cannot have the map.
func TestExclusiveMap(t *testing.T) {
	needExclusive(t)
	good, other := reader(0), reader(1)
	hash := sha256.Sum256(good)
	spec := host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 8, MaxEntries: 1, ExclProgHash: hash[:]}
	m, err := host.CreateMap(spec)
	if err != nil {
		t.Fatal("create an exclusive map:", err)
	}
	defer m.Close()

	load := func(insns []byte) error {
		p, err := host.Load{Insns: insns, FDArray: []int32{int32(m.FD())}}.Do()
		if err == nil {
			p.Close()
		}
		return err
	}
	if err := load(good); err != nil {
		t.Error("load the map's program:", err)
	}
	if err := load(other); !errors.Is(err, unix.EACCES) {
		t.Errorf("load another program: error %v, want EACCES", err)
	}
	spec.ExclProgHash = hash[:31]
	if m, err := host.CreateMap(spec); !errors.Is(err, unix.EINVAL) {
		m.Close()
		t.Errorf("a hash of 31 bytes: error %v, want EINVAL", err)
	}
}

// nativeEndian is binary.NativeEndian, in the words that package asm knows.
var nativeEndian = victim.NativeOrder()

// reader returns the instructions of a program that has the map with index 0 in
// its fd_array and returns ret.
func reader(ret int32) []byte {
	return encode(loadMapIndex(0), asm.Mov.Imm(asm.R0, ret), asm.Return())
}
