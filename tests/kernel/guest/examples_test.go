//go:build linux

package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	stdruntime "runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/examples"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

const certificate = guest.DataDir + "/cert.der"

// suite is the examples, which are loaded signed.
func suite(t *testing.T, options ...string) *examples.Suite {
	t.Helper()
	if scheme(t) == 0 {
		t.Skip("this kernel attests no loader")
	}
	return &examples.Suite{Options: options, Path: func(name string) string {
		t.Helper()
		file := filepath.Join(guest.DataDir, name+"_bin")
		if _, err := os.Stat(file); err != nil { // for machines other than amd64 it builds one, execsnoop
			t.Skip("no examples: Bazel builds them")
		}
		return file
	}}
}

func TestExecsnoop(t *testing.T) { suite(t, "-enroll", certificate).Execsnoop(t) }
func TestCounter(t *testing.T)   { suite(t, "-enroll", certificate).Counter(t) }
func TestTasks(t *testing.T)     { suite(t, "-enroll", certificate).Tasks(t) }
func TestPortguard(t *testing.T) { suite(t, "-enroll", certificate).Portguard(t) }
func TestExecdeny(t *testing.T)  { suite(t, "-enroll", certificate).Execdeny(t) }

func TestPackets(t *testing.T) {
	suite(t, "-enroll", certificate).Packets(t, "lo", 5, func() {
		c, err := net.Dial("udp", "127.0.0.1:9")
		qt.Assert(t, qt.IsNil(err))
		defer c.Close()
		for range 10 {
			_, _ = c.Write(make([]byte, 100)) // that nobody listens is an error of every second write
		}
	})
}

// keyring makes a keyring that every process of the user may search, and puts the certificate into it.
func keyring(t *testing.T, name string) runtime.KeyringID {
	t.Helper()
	// Only who possesses the keyring may change its permissions: who finds it from his session keyring, which belongs to a
	// thread, and other tests may have left this one with one that leads nowhere.
	stdruntime.LockOSThread()
	defer stdruntime.UnlockOSThread()
	_, err := unix.KeyctlInt(unix.KEYCTL_LINK, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_SESSION_KEYRING, 0, 0)
	qt.Assert(t, qt.IsNil(err))
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
	e := suite(t, "-keyring", serial).Start(t, "gatekeeper", "-trust", serial)
	e.Await(t, "guarding")

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

	text := e.Interrupt(t)
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
	e := suite(t, "-enroll", certificate).Start(t, "gatekeeper", "-audit")
	e.Await(t, "guarding")
	qt.Check(t, qt.IsNil(loadDirectly()))
	qt.Check(t, qt.StringContains(e.Interrupt(t), `would refuse XDP program "direct" of process `))
}

func TestGatekeeperPinned(t *testing.T) {
	pin := filepath.Join(pinFolder(t), "gatekeeper")
	e := suite(t, "-enroll", certificate).Start(t, "gatekeeper", "-pin", pin)
	e.Await(t, "guarding")
	e.Interrupt(t)
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
