//go:build linux

// Package vm boots a kernel in QEMU, under software emulation, and runs a Go
// test binary in it: no image, no network, no privileges, nothing left behind.
//
// The binary is the guest's init; its TestMain is [guest.Main]. [Run] boots it,
// [Result.Cases] are the tests that ran, [Result.Replay] makes them subtests of
// the host's test.
//
// It serves the tests of this module only.
package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
	"golang.org/x/sys/unix"
)

// ErrNoQEMU is wrapped by the error of [Run] when QEMU is not installed.
var ErrNoQEMU = errors.New("QEMU is not installed")

const (
	defaultMemory  = 1024 // MiB
	defaultTimeout = 10 * time.Minute
)

// Config says what to boot.
type Config struct {
	// Kernel is the path of the kernel image.
	Kernel string
	// Arch is the kernel's architecture as in GOARCH; empty: the host's.
	Arch string
	// Init is the path of a statically linked Go test binary for Arch whose
	// TestMain is [guest.Main].
	Init string
	// Args are the test binary's arguments, such as -test.run=Facts.
	Args []string
	// Files are put into the guest's file system, by path.
	Files map[string][]byte
	// Memory of the guest in MiB; zero: 1024.
	Memory int
	// Timeout for the boot and the tests together; zero: 10 minutes.
	Timeout time.Duration
	// Console gets the text that the guest writes, as it comes; nil: nothing.
	Console io.Writer
}

// Result is what a guest did.
type Result struct {
	// Cases are the guest's tests in the order they started.
	Cases []*Case
	// ExitCode is the test binary's.
	ExitCode int
	// Output is the test binary's standard output and error.
	Output []byte
	// Console is everything the guest wrote, kernel messages included.
	Console []byte
	// Boot is the time from starting QEMU to starting the test binary.
	Boot time.Duration
}

// findQEMU returns the path of the QEMU for an architecture.
func findQEMU(arch string) (string, error) {
	m, ok := machines[arch]
	if !ok {
		return "", fmt.Errorf("no machine for architecture %s (have %s)", arch, strings.Join(Architectures(), ", "))
	}
	path, err := exec.LookPath(m.qemu)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoQEMU, err)
	}
	return path, nil
}

// NeedQEMU ends a test where there is no QEMU for an architecture, as [Missing] does. Call it before anything is built for
// the guest: plain `go test ./...` must not take minutes to find out that it cannot boot one.
func NeedQEMU(t *testing.T, arch string) {
	t.Helper()
	_, err := findQEMU(arch)
	switch {
	case errors.Is(err, ErrNoQEMU):
		Missing(t, "%v: install qemu-system-x86, or qemu-system-arm and qemu-system-misc for other architectures", err)
	case err != nil:
		t.Fatal(err)
	}
}

// Run boots a kernel, runs the tests and waits for the end of the machine.
//
// Failing tests are no error: an error says that the guest could not be started
// or did not report an end of the tests, because of a panic or of time running
// out. A result comes with the error once the machine has run.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if cfg.Arch == "" {
		cfg.Arch = runtime.GOARCH
	}
	if cfg.Memory == 0 {
		cfg.Memory = defaultMemory
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}

	qemu, err := findQEMU(cfg.Arch)
	if err != nil {
		return nil, err
	}
	m := machines[cfg.Arch]
	if _, err := os.Stat(cfg.Kernel); err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	initrd, err := initrd(cfg)
	if err != nil {
		return nil, err
	}
	defer initrd.Close()

	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()

	console := consoleWriter{copy: cfg.Console, start: time.Now()}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, qemu,
		"-accel", "tcg",
		"-machine", m.machine,
		"-cpu", m.cpu,
		"-m", strconv.Itoa(cfg.Memory),
		"-nodefaults", "-no-user-config", "-display", "none",
		"-nic", "none",
		"-no-reboot",
		"-serial", "stdio",
		"-kernel", cfg.Kernel,
		"-initrd", "/dev/fd/3",
		"-append", "console="+m.console+" panic=-1",
	)
	cmd.ExtraFiles = []*os.File{initrd}
	cmd.Stdout = &console
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	// The machine ends with this process, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	// Pdeathsig is about the thread that starts the process, so keep it.
	runtime.LockOSThread()
	err = cmd.Run()
	runtime.UnlockOSThread()

	result := &Result{ExitCode: -1, Console: console.text.Bytes(), Boot: console.boot}
	reported := false
	result.Output, result.ExitCode, reported = between(result.Console)
	result.Cases = ParseTests(result.Output)
	switch {
	case reported:
		// The guest has reported; that it then ended badly is of no interest.
		return result, nil
	case ctx.Err() != nil:
		return result, fmt.Errorf("guest did not finish in %s: %w", time.Since(console.start).Round(time.Second), context.Cause(ctx))
	case err != nil:
		return result, fmt.Errorf("%s: %w: %s", m.qemu, err, bytes.TrimSpace(stderr.Bytes()))
	default:
		return result, fmt.Errorf("guest ended before its tests did: %s", lastLines(result.Console, 25))
	}
}

// initrd returns the initramfs as an open file that is in no folder.
func initrd(cfg Config) (*os.File, error) {
	init, err := os.ReadFile(cfg.Init)
	if err != nil {
		return nil, fmt.Errorf("init: %w", err)
	}
	args, err := json.Marshal(cfg.Args)
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	files := map[string][]byte{"init": init, guest.ArgsFile: args}
	for name, data := range cfg.Files {
		if _, ok := files[strings.TrimPrefix(name, "/")]; ok {
			return nil, fmt.Errorf("file %s is reserved", name)
		}
		files[name] = data
	}
	archive, err := initramfs(files)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	if _, err := f.Write(archive); err != nil {
		f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	return f, nil
}

// consoleWriter keeps what the guest writes and notes when the tests start.
type consoleWriter struct {
	text  bytes.Buffer // not embedded: its ReadFrom would go past Write
	copy  io.Writer
	start time.Time
	boot  time.Duration
}

func (w *consoleWriter) Write(p []byte) (int, error) {
	// The line discipline of the guest's console ends lines with \r\n.
	w.text.Write(bytes.ReplaceAll(p, []byte("\r"), nil))
	if w.boot == 0 && bytes.Contains(w.text.Bytes(), []byte(guest.Begin)) {
		w.boot = time.Since(w.start)
	}
	if w.copy != nil {
		if _, err := w.copy.Write(plain(p)); err != nil {
			return 0, fmt.Errorf("copy console: %w", err)
		}
	}
	return len(p), nil
}

// between returns what the guest wrote between its markers, and the exit code
// that comes with the second one. Without that, ok is false.
func between(console []byte) (output []byte, code int, ok bool) {
	_, output, _ = bytes.Cut(console, []byte(guest.Begin+"\n"))
	output, rest, _ := bytes.Cut(output, []byte("\n"+guest.End))
	line, _, complete := bytes.Cut(rest, []byte("\n"))
	code, err := strconv.Atoi(string(line))
	if !complete || err != nil {
		return output, -1, false
	}
	return output, code, true
}

// plain removes what is not for people to read, nor for the host's go test to
// take for its own: carriage returns and package testing's marks.
func plain(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r"), nil), []byte("\x16"), nil)
}

// lastLines returns the end of the console's text.
func lastLines(text []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(plain(text))), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
