package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// machine says where the numbers come from.
func (b *bench) machine() map[string]string {
	m := map[string]string{"go": runtime.Version(), "CPUs": fmt.Sprint(runtime.NumCPU())}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m["kernel"] = unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, after, ok := strings.Cut(string(data), "model name"); ok {
			line, _, _ := strings.Cut(after, "\n")
			m["CPU"] = strings.TrimLeft(line, "\t: ")
		}
	}
	if data, err := os.ReadFile("/proc/loadavg"); err == nil {
		m["load average before"] = strings.Join(strings.Fields(string(data))[:1], " ")
	}
	for name, command := range map[string][]string{
		"bpftool": {b.bpftool.Path, "version"}, "clang": {"clang", "--version"}, "gcc": {"gcc", "--version"},
		"cilium/ebpf": {"go", "list", "-m", "-f", "{{.Version}}", "github.com/cilium/ebpf"},
		"commit":      {"git", "-c", "safe.directory=*", "describe", "--always", "--dirty"},
	} {
		if out, err := output(command[0], command[1:]...); err == nil {
			m[name] = strings.Join(strings.Split(out, "\n")[:1], "")
		}
	}
	return m
}

// head writes what the machine is.
func (r *Report) head(w io.Writer) {
	for _, k := range slices.Sorted(maps.Keys(r.Machine)) {
		fmt.Fprintf(w, "%s: %s\n", k, r.Machine[k])
	}
}
