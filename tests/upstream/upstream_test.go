//go:build linux

// Package upstream_test loads what others wrote: programs of the kernel's own tests and objects of cilium/ebpf's, signed,
// in a virtual machine with a kernel that verifies them; and compares with what bpftool's loaders make of the same
// objects on the same kernel.
//
// It needs clang, bpftool and QEMU: tools/offline/enter.sh go test ./tests/upstream
package upstream_test

import (
	"cmp"
	"crypto"
	_ "crypto/sha256" // of the signatures
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// series is the kernel that everything is loaded on: the one whose selftests are compiled.
const series = "7.3"

var guestRun = flag.String("guest.run", "", "run only the guest's tests that match this regular expression")

// kconfig is declared for all objects; most of it as Debian's kernel is configured.
var kconfig = map[string]string{
	"LINUX_KERNEL_VERSION": "0x70304", "LINUX_HAS_SYSCALL_WRAPPER": "y", "LINUX_HAS_BPF_COOKIE": "y",
	"CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m", "CONFIG_DEFAULT_HOSTNAME": `"(none)"`, "CONFIG_TRISTATE": "m",
	"CONFIG_BOOL": "y", "CONFIG_CHAR": "97", "CONFIG_USHORT": "1", "CONFIG_INT": "2", "CONFIG_ULONG": "3", "CONFIG_STR": `"abracad"`,
	"CONFIG_MISSING": "0", "CONFIG_CGROUP_PIDS": "y", "CONFIG_SECURITY_APPARMOR": "y", "CONFIG_SECURITY_SELINUX": "y", "CONFIG_X86_KERNEL_IBT": "y",
	"CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS": "y", "CONFIG_SECURITY_SMACK": "n",
}

// refused are the objects of cilium/ebpf that are no loaders' business, and what is said of them.
var refused = map[string]string{
	"freplace": `freplace.*replaces a function of another program`,
	"fwd_decl": `extern fwd: is defined in no source`,
	// A tail call's program in a section that libbpf has no name for.
	"btf_map_init": `section name "socket/tail" says no program type`,
	"constants":    `section name "sk_lookup/" says no program type`,
}

// legacy is what libbpf refuses too, since 1.0.
var legacy = regexp.MustCompile(`section maps: not supported in a signed loader: map definitions of this old form`)

// unloadable are objects that are meant to be refused by the kernel, or are about what Debian's kernel has not got.
var unloadable = map[string]string{
	"cilium-errors":        "its programs are wrong, on purpose",
	"cilium-invalid-kfunc": "asks for a function that no kernel has",
	"cilium-kfunc":         "asks for a function that this kernel is configured without",
	"cilium-kfunc-kmod":    "asks for a function of the kernel's test module",
	"cilium-fentry_fexit":  "traces a function of cilium's own",
	"cilium-struct_ops":    "is for the kernel's test module",
}

// onlyOurs are the objects that bpftool makes no loader of, and why: what the kernel makes of them is not compared.
var onlyOurs = map[string]string{
	"arena_htab":             "it crashes where an arena has variables",
	"arena_list":             "it crashes where an arena has variables",
	"bpf_cubic":              "it crashes on struct_ops",
	"bpf_dctcp":              "it crashes on struct_ops",
	"tcp_ca_write_sk_pacing": "it crashes on struct_ops",
	"test_ksyms":             "it looks for the symbols in the kernel that it runs on itself",
}

func TestUpstream(t *testing.T) {
	kernel, source := kernelAndSource(t)
	image, err := os.ReadFile(kernel.Image)
	if err != nil {
		t.Fatal(err)
	}
	tools := bpftool.Installed()
	if len(tools) == 0 {
		vm.Missing(t, "no bpftool")
	}
	id := developer(t)
	files := map[string][]byte{guest.DataDir + "/cert.der": id.Certificate.Raw}
	put := func(name, path string, b *bundle.Bundle) {
		if err := id.Sign(b, bundle.KindDevelopment); err != nil {
			t.Fatal(name, err)
		}
		raw, err := bundle.Encode(b)
		if err != nil {
			t.Fatal(name, err)
		}
		files[guest.DataDir+"/"+name+".bpfl"] = raw
		s, err := tools[len(tools)-1].Generate(path, t.TempDir(), false)
		if why := onlyOurs[name]; why != "" && errors.Is(err, bpftool.ErrRefused) {
			t.Logf("%s: not compared: %s", name, why)
			return
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if files[guest.DataDir+"/"+name+".json"], err = json.Marshal(s); err != nil {
			t.Fatal(name, err)
		}
	}

	modules, err := filepath.Glob(filepath.Join(filepath.Dir(source), "modules", "*.ko"))
	if err != nil || len(modules) == 0 {
		vm.Missing(t, "no modules: run tests/kernel/fetch-kernels --source %s", series)
	}
	for _, path := range modules {
		if files[guest.DataDir+"/modules/"+filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	objects := compiled(t, source, image)
	for _, s := range selftests {
		b, err := generate(objects[s.name])
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		put(s.name, objects[s.name], b)
	}
	for _, order := range []string{"el", "eb"} {
		objects := cilium(t, order)
		for name, path := range objects {
			b, err := generate(path)
			switch want, ok := refused[name]; {
			case err != nil && legacy.MatchString(err.Error()):
			case ok:
				if err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
					t.Errorf("%s: %v, want %s", filepath.Base(path), err, want)
				}
			case err != nil:
				t.Error(err)
			case order == "el" && unloadable["cilium-"+name] == "":
				put("cilium-"+name, path, b)
			}
		}
	}

	result, err := vm.Run(t.Context(), vm.Config{
		Kernel: kernel.Image, Arch: kernel.Arch(), Init: guestBinary(t), Files: files, Memory: 2048, Timeout: 20 * time.Minute,
		Args: []string{"-test.run=" + cmp.Or(*guestRun, "TestObject"), "-test.timeout=19m"},
	})
	if result == nil {
		t.Fatal(err)
	}
	if _, err := result.SaveConsole("console-upstream.log"); err != nil {
		t.Error(err)
	}
	result.Replay(t, err)
}

func generate(path string) (*bundle.Bundle, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := maps.Clone(kconfig)
	if strings.HasPrefix(filepath.Base(path), "kconfig-") { // cilium's has room for one byte
		values["CONFIG_DEFAULT_HOSTNAME"] = `""`
	}
	o, err := object.Parse(filepath.Base(path), raw, object.Options{Kconfig: values})
	if err != nil {
		return nil, err
	}
	return loader.Compile(o, loader.Options{})
}

// kernelAndSource finds what tests/kernel/fetch-kernels fetched.
func kernelAndSource(t *testing.T) (vm.Kernel, string) {
	t.Helper()
	vm.NeedQEMU(t, "amd64")
	kernels, err := vm.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(kernels, func(k vm.Kernel) bool { return k.Name == series })
	if i < 0 {
		vm.Missing(t, "no kernel: run tests/kernel/fetch-kernels %s", series)
	}
	source := filepath.Join(filepath.Dir(kernels[i].Image), "source")
	if _, err := os.Stat(source); err != nil {
		vm.Missing(t, "no source: run tests/kernel/fetch-kernels --source %s", series)
	}
	return kernels[i], source
}

// developer is the holder of the development key.
func developer(t *testing.T) *signing.Identity {
	t.Helper()
	dir := filepath.Join("..", "..", "signing")
	key, err := signing.LoadKey(filepath.Join(dir, "development_key.pem"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certs.Load(filepath.Join(dir, "development_cert.der"))
	if err != nil {
		t.Fatal(err)
	}
	return &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}
}

func guestBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "guest.test")
	cmd := exec.Command("go", "test", "-c", "-o", path, "./guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the guest's tests: %v\n%s", err, out)
	}
	return path
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
