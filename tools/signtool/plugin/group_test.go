package plugin

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/internal/cms"
)

// pidsVariable names the file to which sleepers and signers that a test must find again write their process ids.
const pidsVariable = "RULES_BPF_TEST_PIDS"

// startSleeper starts a process that holds this one's standard output and error.
func startSleeper(attr *syscall.SysProcAttr) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), modeVariable+"=sleeper")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := cmd.Start(); err != nil {
		return err
	}
	for range 1000 { // until it has said which process it is
		if data, err := os.ReadFile(os.Getenv(pidsVariable)); err == nil && len(data) > 0 {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("the sleeper has not started")
}

func sleeperMain() int {
	if err := os.WriteFile(os.Getenv(pidsVariable), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		return 3
	}
	time.Sleep(time.Minute)
	return 0
}

// callerMain has a signature made by a signer of the mode that its argument names.
func callerMain() int {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 3
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return 3
	}
	self, err := os.Executable()
	if err != nil {
		return 3
	}
	cert := &x509.Certificate{SubjectKeyId: []byte{1}, Raw: []byte{1}}
	s := &Signer{
		Command: []string{self}, Key: hex.EncodeToString(private), PublicKey: key.Public(), Certificate: cert,
		Timeout: 20 * time.Second, Stderr: io.Discard, Env: append(os.Environ(), modeVariable+"="+os.Args[1]),
	}
	_, err = s.Sign(nil, make([]byte, 32), crypto.SHA256)
	fmt.Println(err)
	return 0
}

// caller returns a command that has a signature made in a process of its own.
func caller(t *testing.T, mode string) (cmd *exec.Cmd, pids string) {
	t.Helper()
	self, err := os.Executable()
	qt.Assert(t, qt.IsNil(err))
	pids = filepath.Join(t.TempDir(), "pids")
	cmd = exec.Command(self, mode)
	cmd.Env = append(os.Environ(), modeVariable+"=caller", pidsVariable+"="+pids)
	return cmd, pids
}

// pid waits until a file has a process id.
func pid(t *testing.T, path string) int {
	t.Helper()
	for range 1000 {
		if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
			n, err := strconv.Atoi(string(data))
			qt.Assert(t, qt.IsNil(err))
			return n
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no process has started")
	return 0
}

// alive says whether a process runs: one that waits for its parent to look at its status does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// gone asserts that a process ends. It kills one that does not, since that is the test's own.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 300 {
		if !alive(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d lives on", pid)
}

// What a signer leaves behind ends with it, whether it answers or not; a daemon of its own does not. In no case does
// who holds the pipes hold the caller.
func TestLeftBehind(t *testing.T) {
	self, err := os.Executable()
	qt.Assert(t, qt.IsNil(err))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	qt.Assert(t, qt.IsNil(err))
	name, cert := pair(t, key)
	digest := sha256.Sum256([]byte("message"))
	for _, c := range []struct {
		mode           string
		signs, remains bool
	}{
		{"leaves a child", true, false},
		{"hangs with a child", false, false},
		{"leaves a daemon", true, true},
	} {
		t.Run(c.mode, func(t *testing.T) {
			pids := filepath.Join(t.TempDir(), "pids")
			t.Setenv(pidsVariable, pids)
			t.Setenv(modeVariable, c.mode)
			s := &Signer{Command: []string{self}, Key: name, PublicKey: cert.PublicKey, Certificate: cert, Stderr: io.Discard, Timeout: 10 * time.Second}
			if !c.signs {
				s.Timeout = time.Second
			}
			start := time.Now()
			_, err := cms.Sign(s, cert, crypto.SHA256, digest[:])
			qt.Check(t, qt.Equals(err == nil, c.signs), qt.Commentf("%v", err))
			qt.Check(t, qt.IsTrue(time.Since(start) < 8*time.Second))
			child := pid(t, pids)
			if c.remains {
				qt.Check(t, qt.IsTrue(alive(child)))
				syscall.Kill(child, syscall.SIGKILL)
			}
			gone(t, child)
		})
	}
}

// Signals that end the caller end the signer, and what it has started.
func TestInterrupted(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			if signal.Ignored(sig) {
				t.Skip("the signal is ignored, as nohup has it")
			}
			cmd, pids := caller(t, "hangs with a child")
			var out bytes.Buffer
			cmd.Stdout = &out
			qt.Assert(t, qt.IsNil(cmd.Start()))
			child := pid(t, pids)
			qt.Assert(t, qt.IsNil(cmd.Process.Signal(sig)))
			qt.Assert(t, qt.IsNil(cmd.Wait()))
			qt.Check(t, qt.StringContains(out.String(), "interrupted by a signal"))
			gone(t, child)
		})
	}
}

// A caller that is killed takes its signer along.
func TestKilled(t *testing.T) {
	cmd, pids := caller(t, "sleeper")
	qt.Assert(t, qt.IsNil(cmd.Start()))
	signer := pid(t, pids)
	qt.Assert(t, qt.IsTrue(alive(signer)))
	qt.Assert(t, qt.IsNil(cmd.Process.Kill()))
	_ = cmd.Wait()
	gone(t, signer)
}

// ask asks for a PIN at the terminal.
func ask() string {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return err.Error()
	}
	defer terminal.Close()
	fmt.Fprint(terminal, "PIN: ")
	line, err := bufio.NewReader(terminal).ReadString('\n')
	return fmt.Sprint(strings.TrimSpace(line), err)
}

// A signer can ask for its PIN at the terminal, which is the caller's again afterwards.
func TestTerminal(t *testing.T) {
	master, slave := pty(t)
	cmd, _ := caller(t, "asks")
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, &out, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	qt.Assert(t, qt.IsNil(cmd.Start()))
	waitFor(t, master, "PIN: ")
	_, err := master.WriteString("1234\n")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(cmd.Wait()))
	qt.Check(t, qt.StringContains(out.String(), "the PIN is 1234<nil>"))
}

// pty opens a terminal: the side of who types, and that of the program.
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	qt.Assert(t, qt.IsNil(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	qt.Assert(t, qt.IsNil(err))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// waitFor reads until a text comes.
func waitFor(t *testing.T, r io.Reader, want string) {
	t.Helper()
	var got []byte
	buf := make([]byte, 100)
	for !bytes.Contains(got, []byte(want)) {
		n, err := r.Read(buf)
		qt.Assert(t, qt.IsNil(err), qt.Commentf("%q", got))
		got = append(got, buf[:n]...)
	}
}
