//go:build linux

package upstream_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/cheader"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
)

// selftests are programs of the kernel's own (tools/testing/selftests/bpf/progs), and what each is here for.
var selftests = []struct{ name, shows string }{
	{"arena_htab", "a hash table in an arena, by a library of static functions"},
	{"arena_list", "a list in an arena"},
	{"atomics", "atomic instructions; fentry at raw tracepoints"},
	{"bloom_filter_map", "a bloom filter, within a map of maps"},
	{"bpf_cubic", "struct_ops: congestion control; kernel configuration"},
	{"bpf_dctcp", "struct_ops: congestion control, with storage"},
	{"bpf_iter_bpf_map", "an iterator"},
	{"bpf_iter_ksym", "an iterator over symbols"},
	{"bpf_iter_tasks", "iterators that sleep"},
	{"bpf_iter_tcp4", "an iterator over sockets; kernel configuration"},
	{"bpf_loop", "callbacks: bpf_loop, with global and static functions"},
	{"cgrp_ls_tp_btf", "storage of cgroups"},
	{"connect4_prog", "cgroup: connect(2)"},
	{"cpumask_success", "kernel functions for CPU masks; kernel pointers in maps"},
	{"dev_cgroup", "cgroup: devices"},
	{"dynptr_success", "dynamic pointers"},
	{"exceptions", "exceptions, with and without a callback"},
	{"fentry_test", "fentry"},
	{"fexit_test", "fexit"},
	{"for_each_array_map_elem", "callbacks for the elements of a map, per-CPU ones too"},
	{"get_func_ip_test", "programs with autoload off; fentry, kprobes"},
	{"inner_array_lookup", "a map of maps with an inner map"},
	{"iters_num", "open-coded iterators"},
	{"linked_list", "lists: owned nodes, locks, .data and .bss of their own"},
	{"local_storage", "storage of tasks, inodes and sockets; LSM"},
	{"lsm", "LSM programs, sleepable ones; hash, LRU, per-CPU maps"},
	{"lsm_cgroup", "LSM programs for a cgroup"},
	{"modify_return", "fmod_ret"},
	{"netif_receive_skb", "BTF tracepoints and bpf_snprintf_btf"},
	{"percpu_alloc_array", "per-CPU memory of a program's own"},
	{"rbtree", "trees of owned nodes"},
	{"rcu_read_lock", "RCU, sleepable programs"},
	{"recursion", "fentry that counts misses"},
	{"sendmsg4_prog", "cgroup: sendmsg(2)"},
	{"sockopt_sk", "cgroup: socket options"},
	{"socket_cookie_prog", "a program of each kind for a cookie: cgroup, tracing"},
	{"stacktrace_map", "maps of stack traces"},
	{"tailcall4", "tail calls: a map of programs with contents"},
	{"tailcall_bpf2bpf6", "tail calls from subprograms"},
	{"task_local_storage", "storage of tasks at BTF tracepoints"},
	{"tcp_ca_write_sk_pacing", "struct_ops with members that are not functions"},
	{"module_functions", "functions of a module, nf_conntrack: of ours, in testdata"},
	{"test_btf_map_in_map", "maps of maps with contents, of several shapes"},
	{"test_cls_redirect", "a large classifier; inlined and global functions"},
	{"test_core_reloc_kernel", "CO-RE relocations"},
	{"test_d_path", "fentry with BTF arguments"},
	{"test_get_stack_rawtp", "raw tracepoints"},
	{"test_global_data", ".data, .rodata, .bss, read-only maps"},
	{"test_global_func_args", "global functions with arguments in memory"},
	{"test_ksyms", "symbols by name"},
	{"test_l4lb", "a load balancer: maps of several types"},
	{"test_netfilter_link_attach", "netfilter"},
	{"test_parse_tcp_hdr_opt", "XDP: parsing"},
	{"test_perf_buffer", "perf event arrays"},
	{"test_queue_map", "queues and stacks"},
	{"test_raw_tp_test_run", "raw tracepoints, run by hand"},
	{"test_rdonly_maps", "loops over read-only data"},
	{"test_ringbuf_multi", "ring buffers in a map of maps"},
	{"test_sk_lookup", "socket lookup; sockmaps"},
	{"test_skb_ctx", "the context of a classifier"},
	{"test_spin_lock", "spin locks in values"},
	{"test_subprogs", "subprograms, static and global"},
	{"test_tc_link", "tcx"},
	{"test_tcp_hdr_options", "sock_ops; header options"},
	{"test_usdt", "USDT, maps of specs; kernel configuration by features"},
	{"test_varlen", "variable lengths; sections of .data"},
	{"test_xdp", "XDP: a tunnel"},
	{"timer", "timers in values"},
	{"type_cast", "bpf_core_cast and typed kernel symbols"},
	{"uprobe_multi", "uprobes on many functions"},
	{"xdp_features", "XDP with device maps"},
}

// compiled returns the objects of the selftests, by name. They are kept in the cache for as long as their sources, the
// kernel's types and the compiler stay what they are.
func compiled(t *testing.T, source string, image []byte) map[string]string {
	t.Helper()
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		vm.Missing(t, "no clang: %v", err)
	}
	release, err := os.ReadFile(filepath.Join(filepath.Dir(source), "release"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("testdata/module_functions.c")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s%s%s%s", version, release, flags("", ""), ours))
	cache := filepath.Join(source, fmt.Sprintf("objects-%x", sum[:6]))
	header(t, cache, image)

	objects := map[string]string{}
	var todo []string
	for _, s := range selftests {
		objects[s.name] = filepath.Join(cache, s.name+".bpf.o")
		if _, err := os.Stat(objects[s.name]); errors.Is(err, fs.ErrNotExist) {
			todo = append(todo, s.name)
		}
	}
	work := make(chan string)
	var done sync.WaitGroup
	for range runtime.NumCPU() {
		done.Go(func() {
			for name := range work {
				if err := compile(source, cache, name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, name := range todo {
		work <- name
	}
	close(work)
	done.Wait()
	return objects
}

// header makes vmlinux.h in the cache folder, of the types in a kernel's image.
func header(t *testing.T, cache string, image []byte) {
	t.Helper()
	path := filepath.Join(cache, "vmlinux.h")
	if _, err := os.Stat(path); err == nil {
		return
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	vmlinux, err := vm.Vmlinux(image)
	if err != nil {
		t.Fatal(err)
	}
	types, err := btf.ParseFile(vmlinux, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := cheader.Write(types)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, text)
}

// flags are what the kernel's own Makefile compiles the programs with, as far as it matters.
func flags(source, cache string) []string {
	tests := filepath.Join(source, "tools/testing/selftests/bpf")
	return []string{
		"-target", "bpfel", "-mcpu=v3", "-O2", "-g", "-w", "-std=gnu11", "-fno-strict-aliasing", "-fms-extensions",
		"-D__TARGET_ARCH_x86", "-DENABLE_ATOMICS_TESTS",
		"-I" + cache, "-I" + filepath.Join(cache, "include"), "-I" + tests, "-I" + filepath.Join(tests, "progs"), "-I" + filepath.Join(tests, "libarena/include"),
		"-I" + filepath.Join(source, "tools/include/uapi"), "-I" + filepath.Join(source, "tools/lib"), "-I/usr/include/bpf",
		"-idirafter", "/usr/include/x86_64-linux-gnu",
	}
}

func compile(source, cache, name string) error {
	// <bpf/...> is the library of the same source, and not an installed one.
	include := filepath.Join(cache, "include")
	if err := os.MkdirAll(include, 0o755); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(source, "tools/lib/bpf"), filepath.Join(include, "bpf")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	out := filepath.Join(cache, name+".bpf.o")
	src := filepath.Join("testdata", name+".c")
	if _, err := os.Stat(src); err != nil {
		src = filepath.Join(source, "tools/testing/selftests/bpf/progs", name+".c")
	}
	cmd := exec.Command("clang", append(flags(source, cache), "-c", src, "-o", out+".new")...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, msg)
	}
	if msg, err := exec.Command("llvm-strip", "-g", out+".new").CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, msg)
	}
	return os.Rename(out+".new", out)
}

// cilium returns the objects of cilium/ebpf's own tests, by name: those of a byte order.
func cilium(t *testing.T, order string) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cilium/ebpf").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "testdata", "*-"+order+".elf"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d objects of cilium/ebpf: %v", len(files), err)
	}
	objects := map[string]string{}
	for _, file := range files {
		objects[strings.TrimSuffix(filepath.Base(file), "-"+order+".elf")] = file
	}
	return objects
}
