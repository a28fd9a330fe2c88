//go:build linux

package guest

import (
	"bufio"
	"bytes"
	"errors"
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

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/internal/vm/guest"
	"github.com/rules-bpf/rules_bpf/runtime"
)

const certificate = guest.DataDir + "/cert.der"

// example is a program of //examples that runs, signed.
type example struct {
	*exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
	text   strings.Builder
}

// start starts an example, as its README says.
func start(t *testing.T, name string, args ...string) *example {
	t.Helper()
	if scheme(t) == 0 {
		t.Skip("this kernel attests no loader")
	}
	file := filepath.Join(guest.DataDir, name+"_bin")
	if _, err := os.Stat(file); err != nil {
		t.Skip("no examples: Bazel builds them")
	}
	e := &example{Cmd: exec.Command(file, args...)}
	stdout, err := e.StdoutPipe()
	qt.Assert(t, qt.IsNil(err))
	e.lines = bufio.NewScanner(stdout)
	e.Stderr = &e.stderr
	qt.Assert(t, qt.IsNil(e.Start()))
	t.Cleanup(func() { e.Process.Kill(); e.Wait() })
	return e
}

// await reads what the example prints, until a line begins with prefix.
func (e *example) await(t *testing.T, prefix string) string {
	t.Helper()
	for e.lines.Scan() {
		fmt.Fprintln(&e.text, e.lines.Text())
		if strings.HasPrefix(e.lines.Text(), prefix) {
			return e.lines.Text()
		}
	}
	t.Fatalf("%s ended without %q: %v\n%s%s", e.Path, prefix, e.Wait(), e.text.String(), e.stderr.String())
	return ""
}

// end waits for the example's end, and returns all that it has printed.
func (e *example) end(t *testing.T) string {
	t.Helper()
	for e.lines.Scan() {
		fmt.Fprintln(&e.text, e.lines.Text())
	}
	if err := e.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s%s", e.Path, err, e.text.String(), e.stderr.String())
	}
	return e.text.String()
}

// interrupt has the example end, and returns all that it has printed.
func (e *example) interrupt(t *testing.T) string {
	t.Helper()
	qt.Assert(t, qt.IsNil(e.Process.Signal(unix.SIGINT)))
	return e.end(t)
}

func TestExecsnoop(t *testing.T) {
	e := start(t, "execsnoop", "-enroll", certificate, "-count", "1")
	e.await(t, "PID")
	cmd := exec.Command("/init", "-test.run=^$")
	qt.Assert(t, qt.IsNil(cmd.Run()))
	qt.Check(t, qt.Matches(strings.TrimSpace(e.end(t)), fmt.Sprintf(`(?s)PID .*\n%d +%d +init +/init`, cmd.Process.Pid, os.Getpid())))
}

func TestCounter(t *testing.T) {
	text := start(t, "counter", "-enroll", certificate, "-for", "500ms").end(t)
	qt.Check(t, qt.Matches(text, `(?s)CALL +COUNT +LAST PID\n(\d+ +[1-9]\d* +\d+\n)+lowest number: \d+\n`))
}

func TestPackets(t *testing.T) {
	e := start(t, "packets", "-enroll", certificate, "-interface", "lo", "-for", "3s")
	e.await(t, "counting on lo")
	c, err := net.Dial("udp", "127.0.0.1:9")
	qt.Assert(t, qt.IsNil(err))
	defer c.Close()
	for range 5 {
		_, _ = c.Write(make([]byte, 100)) // that nobody listens is an error of every second write
		_, _ = c.Write(make([]byte, 100))
	}
	// 14 bytes of Ethernet, 20 of IP, 8 of UDP
	m := regexp.MustCompile(`(?m)^UDP +(\d+) +(\d+)$`).FindStringSubmatch(e.end(t))
	qt.Assert(t, qt.HasLen(m, 3), qt.Commentf(e.text.String()))
	packets, _ := strconv.Atoi(m[1])
	size, _ := strconv.Atoi(m[2])
	qt.Check(t, qt.IsTrue(packets >= 5), qt.Commentf(e.text.String()))
	qt.Check(t, qt.Equals(size, packets*(14+20+8+100)))
}

func TestTasks(t *testing.T) {
	e := start(t, "tasks", "-enroll", certificate)
	text := e.end(t)
	qt.Check(t, qt.Matches(text, `(?s)PID +TID +PARENT +PAGES +COMMAND\n.*`))
	for _, row := range []string{`1 +1 +0 +\d+ +init`, fmt.Sprintf(`%d +%[1]d +1 +\d+ +init`, os.Getpid()), fmt.Sprintf(`%d +%[1]d +%d +\d+ +tasks_bin`, e.Process.Pid, os.Getpid()), `2 +2 +0 +0 +kthreadd`} {
		qt.Check(t, qt.IsTrue(regexp.MustCompile(`(?m)^`+row+`$`).MatchString(text)), qt.Commentf("%s\n%s", row, text))
	}
}

// connectTo in the environment has this binary connect to an address and tell how that went: a command for portguard.
const connectTo = "RULES_BPF_CONNECT_TO"

func connect(addresses string) {
	for address := range strings.FieldsSeq(addresses) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		fmt.Println("connected to", address+":", err)
	}
}

func TestPortguard(t *testing.T) {
	var addresses, ports []string
	for _, address := range []string{"127.0.0.1:0", "127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		qt.Assert(t, qt.IsNil(err))
		defer l.Close()
		go io.Copy(io.Discard, accept{l})
		_, port, _ := net.SplitHostPort(l.Addr().String())
		addresses, ports = append(addresses, l.Addr().String()), append(ports, port)
	}
	t.Setenv(connectTo, strings.Join(addresses, " "))
	text := start(t, "portguard", "-enroll", certificate, "-refuse", ports[1], "-refuse", ports[2], "/init").end(t)
	qt.Check(t, qt.StringContains(text, "connected to "+addresses[0]+": <nil>\n"))
	for i := range 2 {
		qt.Check(t, qt.Matches(text, `(?s).*connected to `+regexp.QuoteMeta(addresses[i+1])+`: .*operation not permitted\n.*`))
		qt.Check(t, qt.StringContains(text, "port "+ports[i+1]+": 1 connections refused\n"))
	}
	// Who is not in the cgroup connects.
	c, err := net.Dial("tcp", addresses[1])
	qt.Assert(t, qt.IsNil(err))
	c.Close()
	left, err := filepath.Glob("/sys/fs/cgroup/portguard-*")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(left, 0))
}

// accept is a reader that accepts connections, and never has anything to read.
type accept struct{ net.Listener }

func (l accept) Read([]byte) (int, error) {
	c, err := l.Accept()
	if err == nil {
		c.Close()
	}
	return 0, err
}

func TestExecdeny(t *testing.T) {
	self, err := os.ReadFile("/init")
	qt.Assert(t, qt.IsNil(err))
	dir := t.TempDir()
	file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	qt.Assert(t, qt.IsNil(os.WriteFile(file, self, 0o755)))
	qt.Assert(t, qt.IsNil(os.Link(file, other)))
	run := func(file string) error { return exec.Command(file, "-test.run=^$").Run() }

	e := start(t, "execdeny", "-enroll", certificate, file)
	e.await(t, "refusing")
	qt.Check(t, qt.ErrorIs(run(file), unix.EPERM))
	qt.Check(t, qt.ErrorIs(run(other), unix.EPERM))
	qt.Check(t, qt.IsNil(run("/init")))
	qt.Check(t, qt.StringContains(e.interrupt(t), file+": refused 2 times\n"))
	qt.Check(t, qt.IsNil(run(file)))
}

// keyring makes a keyring that every process of the user may search, and puts the certificate into it.
func keyring(t *testing.T, name string) runtime.KeyringID {
	t.Helper()
	serial, err := unix.AddKey("keyring", name, nil, unix.KEY_SPEC_USER_KEYRING)
	qt.Assert(t, qt.IsNil(err))
	const everything = 0x3f3f0000 // KEY_POS_ALL | KEY_USR_ALL
	qt.Assert(t, qt.IsNil(unix.KeyctlSetperm(serial, everything)))
	t.Cleanup(func() { _, _ = unix.KeyctlInt(unix.KEYCTL_UNLINK, serial, unix.KEY_SPEC_USER_KEYRING, 0, 0) })
	_, err = unix.AddKey("asymmetric", "", guest.ReadData(t, "cert.der"), serial)
	qt.Assert(t, qt.IsNil(err))
	return runtime.KeyringID(serial)
}

// loadDirectly loads a program as cilium/ebpf does, without a signature.
func loadDirectly() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "direct", Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err == nil {
		p.Close()
	}
	return err
}

// loadWithBpftool has bpftool load the programs of an object.
func loadWithBpftool(t *testing.T) (output string, err error) {
	t.Helper()
	tool, err := exec.LookPath("bpftool")
	if err != nil {
		t.Skip("no bpftool")
	}
	const pins = "/sys/fs/bpf/bpftool"
	defer os.RemoveAll(pins)
	out, err := exec.Command(tool, "prog", "loadall", guest.DataDir+"/features/functions.bpf.o", pins).CombinedOutput()
	return string(out), err
}

// The gatekeeper, which is loaded signed, keeps out what has no signature by a key of the keyring that it trusts.
func TestGatekeeper(t *testing.T) {
	trusted := keyring(t, "trusted")
	load := func(opts ...runtime.Option) error {
		c, err := runtime.Load(t.Context(), readBundle(t, guest.DataDir+"/features/functions.bpfl"), opts...)
		if err == nil {
			c.Close()
		}
		return err
	}
	qt.Assert(t, qt.IsNil(loadDirectly()))

	serial := fmt.Sprint(int(trusted))
	e := start(t, "gatekeeper", "-keyring", serial, "-trust", serial)
	e.await(t, "guarding")

	qt.Check(t, qt.ErrorIs(loadDirectly(), unix.EPERM))
	qt.Check(t, qt.ErrorIs(load(runtime.AllowUnsigned()), runtime.ErrDenied))
	// The same key in a keyring that anybody can make is not trusted; neither is a keyring by another number.
	qt.Check(t, qt.ErrorIs(load(runtime.Enroll(guest.ReadData(t, "cert.der"))), runtime.ErrDenied))
	qt.Check(t, qt.ErrorIs(load(runtime.Keyring(keyring(t, "other"))), runtime.ErrDenied))
	// The signed loader gets in, and brings its programs with it.
	qt.Check(t, qt.IsNil(load(runtime.Keyring(trusted))))
	// A wrong signature does not get as far as the gatekeeper.
	wrong := readBundle(t, guest.DataDir+"/features/functions.bpfl")
	cms := wrong.Loader(scheme(t)).Signatures[0].CMS
	cms[len(cms)-1] ^= 1
	_, err := runtime.Load(t.Context(), wrong, runtime.Keyring(trusted))
	qt.Check(t, qt.ErrorIs(err, runtime.ErrSignatureRejected))
	// The policy is nobody's to change.
	qt.Check(t, qt.ErrorIs(mapNamed(t, "policies").Put(uint32(0), make([]byte, 12)), unix.EPERM))

	t.Run("bpftool", func(t *testing.T) {
		out, err := loadWithBpftool(t)
		var failed *exec.ExitError
		qt.Assert(t, qt.ErrorAs(err, &failed))
		qt.Check(t, qt.StringContains(out, "-EPERM"), qt.Commentf(out))
	})

	text := e.interrupt(t)
	t.Log(text)
	qt.Check(t, qt.StringContains(text, fmt.Sprintf("refused XDP program \"direct\" of process %d (init): unsigned\n", os.Getpid())))
	qt.Check(t, qt.Matches(text, `(?s).*refused Syscall program "__loader.prog" of process \d+ \(init\): signed by a key of keyring -?\d+\n.*`))
	qt.Check(t, qt.IsNil(loadDirectly()))
	t.Run("bpftool afterwards", func(t *testing.T) { // the test's own test
		out, err := loadWithBpftool(t)
		qt.Check(t, qt.IsNil(err), qt.Commentf(out))
	})
}

func TestGatekeeperAudit(t *testing.T) {
	e := start(t, "gatekeeper", "-enroll", certificate, "-audit")
	e.await(t, "guarding")
	qt.Check(t, qt.IsNil(loadDirectly()))
	qt.Check(t, qt.StringContains(e.interrupt(t), `would refuse XDP program "direct" of process `))
}

func TestGatekeeperPinned(t *testing.T) {
	pin := filepath.Join(pinFolder(t), "gatekeeper")
	e := start(t, "gatekeeper", "-enroll", certificate, "-pin", pin)
	e.await(t, "guarding")
	e.interrupt(t)
	qt.Check(t, qt.ErrorIs(loadDirectly(), unix.EPERM))
	qt.Assert(t, qt.IsNil(os.Remove(pin)))
	var err error
	for range 100 { // the kernel lets go of the link a little later
		if err = loadDirectly(); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	qt.Check(t, qt.IsNil(err))
}

// mapNamed finds a map of any process.
func mapNamed(t *testing.T, name string) *ebpf.Map {
	t.Helper()
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		qt.Assert(t, qt.IsNil(err), qt.Commentf("no map %s", name))
		id = next
		m, err := ebpf.NewMapFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		qt.Assert(t, qt.IsNil(err))
		if info, err := m.Info(); err == nil && info.Name == name {
			t.Cleanup(func() { m.Close() })
			return m
		}
		m.Close()
	}
}
