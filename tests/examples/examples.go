//go:build linux

// Package examples runs the programs of //examples as their READMEs say, and looks at what they do: in virtual machines
// (//tests/kernel) and on the machine's own kernel (//tests/examples/here).
package examples

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"
)

// Suite is where the programs are, and how they are to load.
type Suite struct {
	// Path returns a program's file.
	Path func(name string) string
	// Options are flags that all of them have: -unsigned, or -enroll with a certificate.
	Options []string
}

// Program is one of the examples, running.
type Program struct {
	*exec.Cmd
	// Text is what it has printed so far.
	Text   strings.Builder
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

// Start starts an example with the suite's options and others.
func (s *Suite) Start(t *testing.T, name string, args ...string) *Program {
	t.Helper()
	p := &Program{Cmd: exec.Command(s.Path(name), append(s.Options[:len(s.Options):len(s.Options)], args...)...)}
	stdout, err := p.StdoutPipe()
	qt.Assert(t, qt.IsNil(err))
	p.lines = bufio.NewScanner(stdout)
	p.Stderr = &p.stderr
	qt.Assert(t, qt.IsNil(p.Cmd.Start()))
	t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	return p
}

// Await reads what the program prints, until a line begins with prefix.
func (p *Program) Await(t *testing.T, prefix string) {
	t.Helper()
	for p.lines.Scan() {
		fmt.Fprintln(&p.Text, p.lines.Text())
		if strings.HasPrefix(p.lines.Text(), prefix) {
			return
		}
	}
	t.Fatalf("%s ended without %q: %v\n%s%s", p.Path, prefix, p.Wait(), p.Text.String(), p.stderr.String())
}

// End waits for the program's end, and returns all that it has printed.
func (p *Program) End(t *testing.T) string {
	t.Helper()
	for p.lines.Scan() {
		fmt.Fprintln(&p.Text, p.lines.Text())
	}
	if err := p.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s%s", p.Path, err, p.Text.String(), p.stderr.String())
	}
	return p.Text.String()
}

// Interrupt has the program end, and returns all that it has printed.
func (p *Program) Interrupt(t *testing.T) string {
	t.Helper()
	qt.Assert(t, qt.IsNil(p.Process.Signal(unix.SIGINT)))
	return p.End(t)
}

// self is the test binary: a program that does nothing with nothing.
func self(t *testing.T) string {
	t.Helper()
	file, err := os.Executable()
	qt.Assert(t, qt.IsNil(err))
	return file
}

const nothing = "-test.run=^$"

// Execsnoop tells of this process's child.
func (s *Suite) Execsnoop(t *testing.T) {
	p := s.Start(t, "execsnoop")
	p.Await(t, "PID")
	cmd := exec.Command(self(t), nothing)
	qt.Assert(t, qt.IsNil(cmd.Run()))
	// Others may execute something as well.
	p.Await(t, fmt.Sprintf("%-8d %-8d ", cmd.Process.Pid, os.Getpid()))
	qt.Check(t, qt.Matches(p.Interrupt(t), `(?s).*\n`+fmt.Sprintf(`%d +%d +\S+ +%s\n.*`, cmd.Process.Pid, os.Getpid(), regexp.QuoteMeta(self(t)))))
}

// Counter counts something.
func (s *Suite) Counter(t *testing.T) {
	text := s.Start(t, "counter", "-for", "500ms").End(t)
	qt.Check(t, qt.Matches(text, `(?s)CALL +COUNT +LAST PID\n(\d+ +[1-9]\d* +\d+\n)+lowest number: \d+\n`))
}

// Packets counts what send sends to an interface: at least so many UDP packets with 100 bytes in each.
func (s *Suite) Packets(t *testing.T, iface string, least int, send func()) {
	p := s.Start(t, "packets", "-interface", iface, "-for", "3s")
	p.Await(t, "counting on "+iface)
	send()
	text := p.End(t)
	m := regexp.MustCompile(`(?m)^UDP +(\d+) +(\d+)$`).FindStringSubmatch(text)
	qt.Assert(t, qt.HasLen(m, 3), qt.Commentf(text))
	packets, _ := strconv.Atoi(m[1])
	size, _ := strconv.Atoi(m[2])
	qt.Check(t, qt.IsTrue(packets >= least), qt.Commentf(text))
	qt.Check(t, qt.IsTrue(size >= least*(14+20+8+100)), qt.Commentf(text)) // with headers of Ethernet, IP and UDP
}

// Tasks has this process in its table, the program itself and a thread of the kernel.
func (s *Suite) Tasks(t *testing.T) {
	p := s.Start(t, "tasks")
	text := p.End(t)
	qt.Check(t, qt.Matches(text, `(?s)PID +TID +PARENT +PAGES +COMMAND\n.*`))
	for _, row := range []string{
		fmt.Sprintf(`%d +%[1]d +%d +[1-9]\d* +\S.*`, os.Getpid(), os.Getppid()),
		fmt.Sprintf(`%d +%[1]d +%d +[1-9]\d* +tasks_bin`, p.Process.Pid, os.Getpid()),
		`2 +2 +0 +0 +kthreadd`,
	} {
		qt.Check(t, qt.IsTrue(regexp.MustCompile(`(?m)^`+row+`$`).MatchString(text)), qt.Commentf("%s\n%s", row, text))
	}
}

// connectTo in the environment has a test binary be a command for portguard: see Main.
const connectTo = "RULES_BPF_CONNECT_TO"

// stay in the environment has a test binary be a command that goes on.
const stay = "RULES_BPF_STAY"

// Main is what the TestMain of a test binary calls first. It does not return when the binary is to be a command that an
// example runs.
func Main() {
	if os.Getenv(stay) != "" {
		fmt.Println("staying", os.Getpid())
		time.Sleep(time.Minute) // the longest that one is left behind
		os.Exit(0)
	}
	addresses := os.Getenv(connectTo)
	if addresses == "" {
		return
	}
	for address := range strings.FieldsSeq(addresses) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		fmt.Println("connected to", address+":", err)
	}
	os.Exit(0)
}

// Portguard refuses two of three connections, and only those of its command.
func (s *Suite) Portguard(t *testing.T) {
	var addresses, ports []string
	for _, address := range []string{"127.0.0.1:0", "127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		qt.Assert(t, qt.IsNil(err))
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		addresses, ports = append(addresses, l.Addr().String()), append(ports, port)
	}
	t.Setenv(connectTo, strings.Join(addresses, " "))
	text := s.Start(t, "portguard", "-refuse", ports[1], "-refuse", ports[2], self(t)).End(t)
	qt.Check(t, qt.StringContains(text, "connected to "+addresses[0]+": <nil>\n"))
	for i := range 2 {
		qt.Check(t, qt.Matches(text, `(?s).*connected to `+regexp.QuoteMeta(addresses[i+1])+`: .*operation not permitted\n.*`))
		qt.Check(t, qt.StringContains(text, "port "+ports[i+1]+": 1 connections refused\n"))
	}
	c, err := net.Dial("tcp", addresses[1])
	qt.Assert(t, qt.IsNil(err))
	c.Close()
	noCgroup(t)

	// Who ends it ends the command, which never goes on without its guard.
	t.Setenv(stay, "1")
	p := s.Start(t, "portguard", self(t))
	p.Await(t, "staying")
	var command int
	_, err = fmt.Sscanf(p.Text.String(), "staying %d\n", &command)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(p.Process.Signal(unix.SIGTERM)))
	var failed *exec.ExitError
	qt.Check(t, qt.ErrorAs(p.Wait(), &failed))
	qt.Check(t, qt.ErrorIs(unix.Kill(command, 0), unix.ESRCH))
	noCgroup(t)
}

// noCgroup checks that portguard has left none, where version 2 is the only one and where it is beside version 1.
func noCgroup(t *testing.T) {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		left, err := filepath.Glob(filepath.Join(root, "portguard-*"))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.HasLen(left, 0))
	}
}

// Execdeny keeps a file from being executed, by all of its names, while it runs.
func (s *Suite) Execdeny(t *testing.T) {
	source, err := os.Open(self(t))
	qt.Assert(t, qt.IsNil(err))
	defer source.Close()
	dir := t.TempDir()
	file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	target, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o755)
	qt.Assert(t, qt.IsNil(err))
	_, err = io.Copy(target, source)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(target.Close()))
	qt.Assert(t, qt.IsNil(os.Link(file, other)))
	run := func(file string) error { return exec.Command(file, nothing).Run() }

	p := s.Start(t, "execdeny", file)
	p.Await(t, "refusing")
	qt.Check(t, qt.ErrorIs(run(file), unix.EPERM))
	qt.Check(t, qt.ErrorIs(run(other), unix.EPERM))
	qt.Check(t, qt.IsNil(run(self(t))))
	qt.Check(t, qt.StringContains(p.Interrupt(t), file+": refused 2 times\n"))
	qt.Check(t, qt.IsNil(run(file)))
}
