//go:build linux

package guest

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// faulty are bundles to see fail: with data, with maps of maps, with tail calls.
var faulty = []string{"data", "maps_of_maps", "tailcalls"}

// newFault makes this thread's bpf() calls fail, those of a loader in the kernel included: with an LSM program at a hook
// that they pass. It returns the function that arms it, for the calls from one number to another, and the one that says
// how many calls there were.
func newFault(t *testing.T, hook string) (arm func(from, to uint32), seen func() uint32) {
	t.Helper()
	values, err := host.CreateMap(host.MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: 12, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE})
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { values.Close() })
	// By memory, not by bpf(2), which is what is counted.
	memory, err := unix.Mmap(values.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	qt.Assert(t, qt.IsNil(err))
	t.Cleanup(func() { unix.Munmap(memory) })

	lsm := attachLSM(t, hook, append(onThread("out"),
		asm.LoadMapValue(asm.R1, values.FD(), 0),
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word),
		asm.Add.Imm(asm.R2, 1),
		asm.StoreMem(asm.R1, 0, asm.R2, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, 4, asm.Word),
		asm.JLT.Reg(asm.R2, asm.R3, "out"),
		asm.LoadMem(asm.R3, asm.R1, 8, asm.Word),
		asm.JGT.Reg(asm.R2, asm.R3, "out"),
		asm.Mov.Imm(asm.R0, -int32(unix.ENOMEM)),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	))
	t.Cleanup(func() { lsm.Close() })
	arm = func(from, to uint32) {
		nativeEndian.PutUint32(memory, 0)
		nativeEndian.PutUint32(memory[4:], from)
		nativeEndian.PutUint32(memory[8:], to)
	}
	arm(1, 0)
	return arm, func() uint32 { return nativeEndian.Uint32(memory) }
}

// faultHooks are where calls fail, and the steps of a load at which that shows: as soon as bpf() is called, and when a map or
// a program has been made, all but the LSM's consent.
var faultHooks = map[string][]runtime.Step{
	"bpf":            {runtime.StepCreate, runtime.StepFill, runtime.StepFreeze, runtime.StepLoad, runtime.StepRun},
	"bpf_map_create": {runtime.StepCreate, runtime.StepRun},
	"bpf_prog_load":  {runtime.StepLoad, runtime.StepRun},
}

// Every bpf() of a load fails, the runtime's and the loader's: once, and from then on. The error says at which step and
// with what errno, and nothing is left in the kernel.
func TestEveryCallFails(t *testing.T) {
	if scheme(t) == 0 {
		t.Skip("this kernel attests no loader")
	}
	for _, name := range faulty {
		for hook, steps := range faultHooks {
			t.Run(name+"/"+hook, func(t *testing.T) { everyCallFails(t, name, hook, steps) })
		}
	}
}

func everyCallFails(t *testing.T, name, hook string, want []runtime.Step) {
	load := loadHere(t, name)
	arm, seen := newFault(t, hook)
	before := objects(t)
	arm(1, 0)
	qt.Assert(t, qt.IsNil(load()))
	calls := seen()

	steps := map[runtime.Step]int{}
	for n := uint32(1); n <= calls; n++ {
		arm(n, ^uint32(0))
		err := load()
		arm(1, 0)
		var failed *runtime.LoadError
		qt.Assert(t, qt.ErrorAs(err, &failed), qt.Commentf("call %d of %d", n, calls))
		qt.Check(t, qt.Equals(failed.Errno, unix.ENOMEM), qt.Commentf("call %d of %d: %v", n, calls, err))
		steps[failed.Step]++
	}
	// The runtime tries once more when a verifier may have something to say, so one failure may be made good.
	healed := 0
	for n := uint32(1); n <= calls; n++ {
		arm(n, n)
		err := load()
		arm(1, 0)
		if err == nil {
			healed++
			continue
		}
		qt.Check(t, qt.ErrorIs(err, unix.ENOMEM), qt.Commentf("call %d of %d", n, calls))
	}
	t.Logf("%d calls: failed at %v; of single failures %d were made good", calls, steps, healed)
	if hook == "bpf" && scheme(t) == bundle.MapHash {
		want = append(slices.Clone(want), runtime.StepHash)
	}
	for _, step := range want {
		qt.Check(t, qt.IsTrue(steps[step] > 0), qt.Commentf("%v: %v", step, steps))
	}
	nothingLeft(t, before)
}

// loadHere returns a function that loads one of the features on this thread, and lets it go. It has succeeded once.
func loadHere(t *testing.T, name string) func() error {
	t.Helper()
	b := readBundle(t, guest.DataDir+"/features/"+name+".bpfl")
	enroll(t)
	load := func() error {
		c, err := runtime.Load(t.Context(), b, runtime.Keyring(host.SessionKeyring))
		if err != nil {
			return err
		}
		return c.Close()
	}
	qt.Assert(t, qt.IsNil(load()))
	return load
}

// A process runs out of descriptors, at every number of them that is too small.
func TestNoDescriptors(t *testing.T) {
	if scheme(t) == 0 {
		t.Skip("this kernel attests no loader")
	}
	for _, name := range faulty {
		t.Run(name, func(t *testing.T) {
			load := loadHere(t, name)
			before := objects(t)
			open := descriptors(t)
			var limit unix.Rlimit
			qt.Assert(t, qt.IsNil(unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)))
			t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) })
			steps := map[runtime.Step]int{}
			for n := slices.Max(open) + 1; ; n++ {
				few := limit
				few.Cur = uint64(n)
				qt.Assert(t, qt.IsNil(unix.Setrlimit(unix.RLIMIT_NOFILE, &few)))
				err := load()
				qt.Assert(t, qt.IsNil(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)))
				if err == nil {
					break
				}
				var failed *runtime.LoadError
				qt.Assert(t, qt.ErrorAs(err, &failed), qt.Commentf("%d descriptors", n))
				qt.Check(t, qt.ErrorIs(err, unix.EMFILE), qt.Commentf("%d descriptors", n))
				steps[failed.Step]++
				qt.Assert(t, qt.IsTrue(n < 1000))
			}
			t.Logf("too few descriptors: %v", steps)
			for _, step := range []runtime.Step{runtime.StepCreate, runtime.StepLoad, runtime.StepRun} {
				qt.Check(t, qt.IsTrue(steps[step] > 0), qt.Commentf("%v: %v", step, steps))
			}
			qt.Check(t, qt.DeepEquals(descriptors(t), open))
			nothingLeft(t, before)
		})
	}
}

// descriptors are the process's.
func descriptors(t *testing.T) (open []int) {
	t.Helper()
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			open = append(open, fd)
		} else {
			qt.Assert(t, qt.IsTrue(errors.Is(err, unix.EBADF)))
		}
	}
	return open
}
