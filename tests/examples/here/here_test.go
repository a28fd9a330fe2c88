//go:build linux

// Package here runs the examples on the machine's own kernel: signed, if it can verify signatures.
package here

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/examples"
)

// built names the folder in which Bazel has built //examples. tools/test sets it.
const built = "RULES_BPF_EXAMPLES"

func TestMain(m *testing.M) {
	examples.Main()
	os.Exit(m.Run())
}

func suite(t *testing.T) *examples.Suite {
	t.Helper()
	dir := os.Getenv(built)
	if dir == "" {
		t.Skipf("no examples: `bazel build //examples/...`, and name bazel-bin/examples in %s", built)
	}
	s := &examples.Suite{
		Path:    func(name string) string { return filepath.Join(dir, name, name+"_bin_", name+"_bin") },
		Options: []string{"-unsigned"},
	}
	if runtime.Probe().CanLoadSigned() == nil {
		s.Options = []string{"-enroll", "../../../signing/development_cert.der"}
	}
	return s
}

func TestExecsnoop(t *testing.T) { suite(t).Execsnoop(t) }
func TestCounter(t *testing.T)   { suite(t).Counter(t) }
func TestTasks(t *testing.T)     { suite(t).Tasks(t) }
func TestPortguard(t *testing.T) { suite(t).Portguard(t) }

func TestExecdeny(t *testing.T) {
	s := suite(t)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "bprm_check_security", License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	if err != nil {
		t.Skip("this kernel takes no LSM programs:", err)
	}
	p.Close()
	s.Execdeny(t)
}

// Packets that come out of one end of a veth pair went into the other.
func TestPackets(t *testing.T) {
	s := suite(t)
	vethPair(t, "near", "far")
	s.Packets(t, "far", 10, func() {
		for range 10 {
			send(t, "near")
		}
	})
}
