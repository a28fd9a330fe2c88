//go:build linux

// Package guest makes a Go test binary the init of a virtual machine that
// package vm boots.
package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The contract between host and guest.
const (
	// Begin and End are lines around the output of the tests. End is followed
	// by the exit code.
	Begin = "@@ rules_bpf guest: tests begin"
	End   = "@@ rules_bpf guest: tests end, exit code "

	// ArgsFile holds the test binary's arguments as a JSON array.
	ArgsFile = "guest-args.json"

	// Measured begins a line of a test's log that is for the host: what a test
	// has measured.
	Measured = "measured: "

	// DataDir is where the host puts the files that tests read.
	DataDir = "/data"
)

// inGuest is in the environment of the tests in a guest.
const inGuest = "RULES_BPF_IN_GUEST"

// Main is for the TestMain of a test binary that runs in a guest:
//
//	func TestMain(m *testing.M) { guest.Main(m) }
//
// As process 1 it prepares the machine, runs itself again for the tests, reports
// and powers off. Elsewhere than in a guest it runs nothing: the tests are free
// to do with the kernel what they like.
func Main(m *testing.M) {
	switch {
	case os.Getpid() == 1:
		boot()
	case os.Getenv(inGuest) != "":
		os.Exit(m.Run())
	default:
		fmt.Println("skipped: these tests run in a virtual machine, see tests/kernel/README.md")
	}
}

// ReadData returns a file that the host has put into the guest for its tests.
func ReadData(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(DataDir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// boot is the life of process 1. It never returns.
func boot() {
	code, err := run()
	if err != nil {
		fmt.Println("guest:", err)
		code = 125
	}
	fmt.Printf("\n%s%d\n", End, code)
	if code != 0 {
		kernelLog()
	}
	unix.Sync()
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Println("guest: power off:", err)
	os.Exit(1) // a panic of the kernel ends the machine too
}

// run runs the tests and returns their exit code.
func run() (int, error) {
	fmt.Println("\n" + Begin)
	if err := prepare(); err != nil {
		return 0, err
	}
	var args []string
	if data, err := os.ReadFile("/" + ArgsFile); err != nil {
		return 0, err
	} else if err := json.Unmarshal(data, &args); err != nil {
		return 0, fmt.Errorf("%s: %w", ArgsFile, err)
	}

	cmd := exec.Command("/init", append([]string{"-test.v=test2json"}, args...)...)
	cmd.Dir = "/tmp"
	cmd.Env = append(os.Environ(), inGuest+"=1", "HOME=/root", "PATH=/bin", "TMPDIR=/tmp")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// mounts are the file systems of a guest. What a kernel was built without is
// left out.
var mounts = []struct{ kind, dir string }{
	{"proc", "/proc"},
	{"sysfs", "/sys"},
	{"devtmpfs", "/dev"},
	{"tmpfs", "/tmp"},
	{"tmpfs", "/run"},
	{"bpf", "/sys/fs/bpf"},
	{"cgroup2", "/sys/fs/cgroup"},
	{"securityfs", "/sys/kernel/security"},
	{"debugfs", "/sys/kernel/debug"},
	{"tracefs", "/sys/kernel/tracing"},
}

// prepare makes of a bare kernel a machine that tests can use.
func prepare() error {
	for _, m := range mounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil && !errors.Is(err, unix.EPERM) {
			return err
		}
		err := unix.Mount(m.kind, m.dir, m.kind, 0, "")
		if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	// Only what ends the machine may write over the tests' output from here on.
	if err := os.WriteFile("/proc/sys/kernel/printk", []byte("1"), 0); err != nil {
		return fmt.Errorf("quieten the kernel: %w", err)
	}
	return loopbackUp()
}

// loopbackUp brings up the interface lo.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}

// kernelLog writes the kernel's messages since the tests began.
func kernelLog() {
	const readAll = 3 // SYSLOG_ACTION_READ_ALL
	buf := make([]byte, 1<<20)
	n, err := unix.Klogctl(readAll, buf)
	if err != nil {
		fmt.Println("guest: kernel log:", err)
		return
	}
	_, log, _ := strings.Cut(string(buf[:n]), Begin)
	fmt.Printf("guest: kernel messages while the tests ran:\n%s\n", log)
}
