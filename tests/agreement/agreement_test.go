//go:build linux

// Package agreement holds the simulated kernel to real ones: to what they were seen to do, and to those at hand.
package agreement

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/agreement/loads"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

var (
	boot   = flag.Bool("kernels", false, "boot the kernels that tests/kernel/fetch-kernels has fetched, which takes minutes")
	record = flag.Bool("record", false, "boot them and record in testdata what they do")
)

// files is where the loaders are.
const files = "../../internal/simkernel/testdata"

// TestRecorded compares the simulated kernel with what kernels were seen to do.
func TestRecorded(t *testing.T) {
	cases, err := loads.Cases(os.DirFS(files))
	qt.Assert(t, qt.IsNil(err))
	records, err := filepath.Glob("testdata/*.json")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(len(records) > 0))
	for _, name := range records {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			qt.Assert(t, qt.IsNil(err))
			var r loads.Record
			qt.Assert(t, qt.IsNil(json.Unmarshal(data, &r)))
			r.Check(t, cases)
		})
	}
}

// TestHere compares it with the running kernel, without signatures: a test does not touch a real machine's keyrings.
func TestHere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	loads.Compare(t, os.DirFS(files), false)
}

// TestKernels compares it with kernels in virtual machines.
func TestKernels(t *testing.T) {
	if !*boot && !*record {
		t.Skip("what kernels do is recorded; -kernels boots them again")
	}
	kernels, err := vm.Kernels()
	if err != nil {
		t.Skip(err)
	}
	init := filepath.Join(t.TempDir(), "guest.test")
	built := false
	for _, k := range kernels {
		if k.Arch() != "amd64" || k.Before("6.18") { // nothing to agree on before there were exclusive maps
			continue
		}
		if !built {
			cmd := exec.Command("go", "test", "-c", "-o", init, "./guest")
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			out, err := cmd.CombinedOutput()
			qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
			built = true
		}
		t.Run(k.Name, func(t *testing.T) {
			cfg := vm.Config{Kernel: k.Image, Init: init, Args: []string{"-test.run=Agreement"}, Files: map[string][]byte{}}
			for _, name := range loads.Files {
				data, err := os.ReadFile(filepath.Join(files, name))
				qt.Assert(t, qt.IsNil(err))
				cfg.Files[guest.DataDir+"/"+name] = data
			}
			result, err := vm.Run(t.Context(), cfg)
			if errors.Is(err, vm.ErrNoQEMU) {
				t.Skip(err)
			}
			qt.Assert(t, qt.IsNotNil(result), qt.Commentf("%v", err))
			for _, c := range result.Cases {
				if _, line, ok := strings.Cut(c.Output, loads.RecordMark); ok && *record {
					line, _, _ = strings.Cut(line, "\n")
					var r loads.Record
					qt.Assert(t, qt.IsNil(json.Unmarshal([]byte(line), &r)))
					data, err := json.MarshalIndent(r, "", "  ")
					qt.Assert(t, qt.IsNil(err))
					qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join("testdata", k.Name+".json"), append(data, '\n'), 0o644)))
				}
			}
			result.Replay(t, err)
		})
	}
	if !built {
		t.Skip("no kernels: run tests/kernel/fetch-kernels")
	}
}
