//go:build linux

package loads

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
)

// Record is what a kernel made of the loads.
type Record struct {
	Release string                `json:"release"`
	Attest  simkernel.Attestation `json:"attestation"`
	// Signatures says whether signed loads were tried.
	Signatures bool              `json:"signatures"`
	Outcomes   map[string]string `json:"outcomes"`
}

// RecordMark is what the line begins with in which Compare logs its Record, as JSON.
const RecordMark = "RECORD "

// Compare tests that the running kernel and the simulated one agree on all loads, signed ones if enroll is set.
func Compare(t *testing.T, files fs.FS, enroll bool) {
	runtime.LockOSThread() // the session keyring is the thread's
	defer runtime.UnlockOSThread()
	if enroll {
		if err := Enroll(); err != nil {
			t.Fatal(err)
		}
	}
	cases, err := Cases(files)
	if err != nil {
		t.Fatal(err)
	}
	attest, err := attestation()
	if err != nil {
		t.Skipf("the kernel shows no types: %v", err)
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	r := Record{unix.ByteSliceToString(uts.Release[:]), attest, enroll, map[string]string{}}
	for _, c := range cases {
		if c.Signature != nil && !enroll {
			continue
		}
		got, err := Real(c)
		switch {
		case errors.Is(err, ErrNoBPF):
			t.Skip(err)
		case err != nil:
			t.Fatalf("%s: %v", c.Name, err)
		}
		r.Outcomes[c.Name] = got
	}
	r.Check(t, cases)
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(RecordMark + string(line))
}

// Check tests that the simulated kernel does what was recorded.
func (r *Record) Check(t *testing.T, cases []Case) {
	good, bad := 0, 0
	for _, c := range cases {
		real, ok := r.Outcomes[c.Name]
		if !ok {
			if c.Signature == nil || r.Signatures {
				t.Errorf("%s: not recorded: record anew", c.Name)
			}
			continue
		}
		simulated := Simulate(c, r.Attest)
		if !Agree(c, simulated, real) {
			t.Errorf("%s: %s %s, simulated: %s", c.Name, r.Release, real, simulated)
		}
		if real == "run ok" {
			good++
		} else {
			bad++
		}
	}
	t.Logf("%s: agreement on %d loads that work and %d that do not", r.Release, good, bad)
}

// attestation finds out what the running kernel does about signed loaders.
func attestation() (simkernel.Attestation, error) {
	raw, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		return 0, err
	}
	spec, err := btf.Parse(raw, byteOrder)
	if err != nil {
		return 0, fmt.Errorf("the kernel's BTF: %w", err)
	}
	has := func(name, member string) bool {
		for _, m := range spec.Types[spec.Find(btf.Struct, name)].Members {
			if m.Name == member {
				return true
			}
		}
		return false
	}
	switch {
	case has("bpf_map", "excl"):
		return simkernel.AttestMapHash, nil
	case has("bpf_prog_aux", "sig"):
		return simkernel.AttestPayload, nil
	}
	return simkernel.AttestNone, nil
}
