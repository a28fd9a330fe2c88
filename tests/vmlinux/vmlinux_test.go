//go:build linux

// Package vmlinux_test compares the headers that internal/cheader writes of real kernels' types with bpftool's and with the
// kernels: all types that have names, as clang lays them out for BPF.
//
// The kernels are the running one, and those that tests/kernel/fetch-kernels has fetched.
package vmlinux_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/cheader"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
)

// Whose a header is.
const ours = "ours"

// envKernels names the files `release` beside kernels' images, as runfiles paths; BUILD.bazel sets it.
const envKernels = "RULES_BPF_TEST_KERNELS"

// knownDifferences are the types that bpftool's header does not have as the kernel has them, and why. In ours there are none.
var knownDifferences = map[string]string{
	"typedef __builtin_va_list": "clang's own type for BPF",
	"struct warn_args":          "it has a va_list, and so a smaller one than the kernel's",
}

// memberless are transparent unions, whose members BTF does not have. In bpftool's header they have no size.
var memberless = regexp.MustCompile(`^union of [1-9]\d* bytes \{ \}$`)

func TestRunning(t *testing.T) {
	const file = "/sys/kernel/btf/vmlinux"
	findClang(t)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Skip(err)
	}
	compare(t, raw)
}

func TestKernels(t *testing.T) {
	findClang(t)
	for _, k := range kernels(t) {
		t.Run(k.Name, func(t *testing.T) {
			image, err := os.ReadFile(k.Image)
			if err != nil {
				t.Fatal(err)
			}
			vmlinux, err := vm.Vmlinux(image)
			if errors.Is(err, vm.ErrNotZstd) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatalf("%s: %v", k.Image, err)
			}
			compare(t, vmlinux)
		})
	}
}

// The types that internal/cheader tests itself with, in both byte orders.
func TestFixtures(t *testing.T) {
	findClang(t)
	for _, target := range []string{"bpfel", "bpfeb"} {
		t.Run(target, func(t *testing.T) {
			file, err := os.ReadFile("../../internal/cheader/testdata/types-" + target + ".o")
			if err != nil {
				t.Fatal(err)
			}
			kernel, err := btf.ParseFile(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			header, err := cheader.Write(kernel)
			if err != nil {
				t.Fatal(err)
			}
			all := func(string) bool { return false }
			compareWith(t, ours, compile(t, header, kernel.Order, assertions(kernel, all)), layoutsOf(kernel).essential())
		})
	}
}

// kernels returns the kernels for amd64.
func kernels(t *testing.T) (list []vm.Kernel) {
	t.Helper()
	names := strings.Fields(os.Getenv(envKernels))
	if len(names) == 0 {
		all, err := vm.Kernels()
		if err != nil {
			t.Fatal(err)
		}
		list = all
	}
	for _, name := range names {
		k, err := vm.LoadKernel(filepath.Dir(filepath.Join(os.Getenv("TEST_SRCDIR"), name)))
		if err != nil {
			vm.Missing(t, "%v: run tests/kernel/fetch-kernels", err)
		}
		list = append(list, k)
	}
	// Those of other architectures have names with a hyphen, and images that are no bzImage.
	list = slices.DeleteFunc(list, func(k vm.Kernel) bool { return strings.Contains(k.Name, "-") })
	if len(list) == 0 {
		vm.Missing(t, "no kernels: run tests/kernel/fetch-kernels")
	}
	return list
}

// compare compares the headers made of a kernel's file.
func compare(t *testing.T, file []byte) {
	kernel, err := btf.ParseFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	header, err := cheader.Write(kernel)
	if err != nil {
		t.Fatal(err)
	}
	want := layoutsOf(kernel).essential()
	asserted := assertions(kernel, func(string) bool { return false })
	compareWith(t, ours, compile(t, header, kernel.Order, asserted), want)

	// Since 7.0 kernels have named structs as members without names: bpftool's header wants a flag for them, ours does not.
	theirs := dump(t, file)
	var lost []string
	asserted = assertions(kernel, func(name string) bool {
		if bytes.Contains(theirs, []byte("\t"+name+" = ")) {
			return false
		}
		lost = append(lost, name)
		return true
	})
	t.Logf("bpftool's header has no %v", lost)
	compareWith(t, "bpftool's", compile(t, theirs, kernel.Order, asserted, "-fms-extensions", "-Wno-microsoft-anon-tag"), want)
	if mine, theirs := kfuncs(header), kfuncs(theirs); !slices.Equal(mine, theirs) {
		t.Errorf("functions differ:\nours:\n%s\nbpftool's:\n%s", strings.Join(mine, "\n"), strings.Join(theirs, "\n"))
	}
}

// compareWith compares what clang made of a header with the kernel's types.
func compareWith(t *testing.T, whose string, got, want layouts) {
	t.Helper()
	got = got.essential()
	types, wrong := 0, 0
	for key, list := range want {
		if strings.HasPrefix(key, keyword[btf.Func]) && len(got[key]) == 0 {
			continue // not a kfunc
		}
		types += len(list)
		if slices.Equal(got[key], list) ||
			whose != ours && (knownDifferences[key] != "" || slices.ContainsFunc(list, memberless.MatchString)) {
			continue
		}
		if wrong++; wrong <= 20 {
			t.Errorf("%s: %s:\n\t%s\nthe kernel's:\n\t%s", whose, key, strings.Join(got[key], "\n\t"), strings.Join(list, "\n\t"))
		}
	}
	t.Logf("%s: %d types, %d differ", whose, types, wrong)
	if wrong > 0 {
		t.Errorf("%s: %d types differ", whose, wrong)
	}
}

// dump returns bpftool's header.
func dump(t *testing.T, file []byte) []byte {
	t.Helper()
	tools := bpftool.Installed()
	if len(tools) == 0 {
		vm.Missing(t, "no bpftool: install it, or run the test with Bazel")
	}
	path := filepath.Join(t.TempDir(), "vmlinux")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tools[len(tools)-1].Path, "btf", "dump", "file", path, "format", "c").Output()
	if err != nil {
		t.Fatalf("bpftool: %v", err)
	}
	return out
}

// kfuncs returns a header's declarations of kernel functions, sorted.
func kfuncs(header []byte) []string {
	list := kfuncRE.FindAllString(string(header), -1)
	slices.Sort(list)
	return list
}
