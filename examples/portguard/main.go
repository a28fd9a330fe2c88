//go:build linux

// Command portguard runs a command that cannot connect to some ports.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/examples/internal/options"
	"github.com/rules-bpf/rules_bpf/examples/portguard/portguard"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("portguard: ")
	how := options.New()
	var ports []uint32
	flag.Func("refuse", "refuse connections to this `PORT`; may be repeated", func(s string) error {
		port, err := strconv.ParseUint(s, 10, 16)
		ports = append(ports, uint32(port))
		return err
	})
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: portguard [flags] COMMAND [ARGUMENT ...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	opts, err := how.Load()
	if err != nil {
		log.Fatal(err)
	}
	code, err := run(ports, flag.Args(), opts)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

// run runs the command in a cgroup of its own, and returns its exit code.
func run(ports []uint32, command []string, opts []runtime.Option) (code int, err error) {
	objs, err := portguard.Load(context.Background(), opts...)
	if err != nil {
		return 0, err
	}
	defer objs.Close()
	for _, port := range ports {
		if err := objs.Refused.Put(port, uint64(0)); err != nil {
			return 0, err
		}
	}

	cgroup, err := makeCgroup()
	if err != nil {
		return 0, err
	}
	defer os.Remove(cgroup)
	links, err := objs.AttachAll(runtime.ToCgroup(cgroup))
	if err != nil {
		return 0, err
	}
	defer links.Close()

	dir, err := os.Open(cgroup)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	// The command is guarded only as long as this process lives. An interrupt of the terminal is the command's, too; a
	// termination is passed on to it.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := cmd.Run(); cmd.ProcessState == nil { // it was not even started
		return 0, err
	}

	for _, port := range ports {
		var count uint64
		if err := objs.Refused.Lookup(port, &count); err != nil {
			return 0, err
		}
		fmt.Printf("port %d: %d connections refused\n", port, count)
	}
	return cmd.ProcessState.ExitCode(), nil
}

// makeCgroup makes a cgroup where the machine has version 2 mounted.
func makeCgroup() (string, error) {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return os.MkdirTemp(root, "portguard-")
		}
	}
	return "", errors.New("no cgroup2 is mounted: `mount -t cgroup2 cgroup2 /sys/fs/cgroup`")
}
