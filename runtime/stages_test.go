//go:build linux

package runtime

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// chosen is what choose makes of an unsigned load of a bundle.
func chosen(t *testing.T, b *bundle.Bundle, opts ...Option) *job {
	t.Helper()
	j, refused := choose(b, types{}, newConfig(unsigned(opts...)))
	qt.Assert(t, qt.IsNil(refused))
	return j
}

// An executor needs nothing but the job, and collect nothing but the outcome: here the maps and programs are made without
// any loader.
func TestOtherExecutor(t *testing.T) {
	needBPF(t)
	b := handmade{scheme: bundle.Payload}.bundle()
	var byHand executor = func(_ context.Context, j *job) *outcome {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Name: handName(), Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3})
		qt.Assert(t, qt.IsNil(err))
		defer m.Close()
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: handName(), Type: ebpf.SocketFilter, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
		qt.Assert(t, qt.IsNil(err))
		defer p.Close()
		o := &outcome{context: make([]byte, j.bundle.CtxSize)}
		for off, fd := range map[uint32]int{j.bundle.Maps[0].Ctx: m.FD(), j.bundle.Programs[0].Ctx: p.FD()} {
			own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			qt.Assert(t, qt.IsNil(err))
			putFD(o.context, off, int32(own))
		}
		return o
	}
	j := chosen(t, b)
	c, f := collect(t.Context(), sys.Native{}, j, byHand(t.Context(), j))
	qt.Assert(t, qt.IsNil(f))
	qt.Assert(t, qt.IsNil(c.Map("counts").Put(uint32(2), uint64(1))))
	qt.Assert(t, qt.HasLen(openFiles(t), 2))
	qt.Assert(t, qt.IsNil(c.Close()))

	j.bundle.Programs[0].Type = uint32(ebpf.XDP) // collect does not believe an executor
	_, f = collect(t.Context(), sys.Native{}, j, byHand(t.Context(), j))
	qt.Assert(t, qt.IsNotNil(f))
	qt.Assert(t, qt.ErrorIs(explain(j, f, &outcome{}), ErrTampered))
	assertNothingLeft(t)
}

// What execute hands over: after a success a context with descriptors, after a failure how far the loader got.
func TestOutcome(t *testing.T) {
	needBPF(t)
	j := chosen(t, handmade{scheme: bundle.Payload}.bundle())
	o := inKernel(sys.Native{})(t.Context(), j)
	qt.Assert(t, qt.IsNil(o.fault))
	for off := range descriptors(j.bundle) {
		qt.Assert(t, qt.IsNil(unix.Close(getFD(o.context, off))))
	}

	j = chosen(t, handmade{scheme: bundle.Payload, badProgram: true}.bundle())
	o = inKernel(sys.Native{})(t.Context(), j)
	qt.Assert(t, qt.Equals(*o.fault, fault{StepRun, unix.EACCES}))
	qt.Assert(t, qt.StringContains(o.log, "R5 !read_ok"))
	at := whereFailed(j.bundle, o.context)
	qt.Assert(t, qt.Equals(at.program, &j.bundle.Programs[0]))

	j = chosen(t, handmade{scheme: bundle.Payload}.bundle())
	o = inKernel(failCall(1, unix.EIO))(t.Context(), j)
	qt.Assert(t, qt.Equals(*o.fault, fault{StepCreate, unix.EIO}))
	qt.Assert(t, qt.IsNil(o.context))
	assertNothingLeft(t)
}

// attempts is what repeat does with attempts that fail with these errors, one after the other: the sizes of the logs it asks
// for. A load that runs out of errors succeeds.
func attempts(level uint32, ran bool, step Step, errs ...error) (o *outcome, logs []int) {
	o = repeat(level, func(log []byte) *outcome {
		n := len(logs)
		logs = append(logs, len(log))
		copy(log, "log")
		if n == len(errs) {
			return &outcome{context: []byte{byte(n)}}
		}
		o := &outcome{fault: &fault{step, errs[n]}}
		if ran {
			o.context = []byte{byte(n)}
		}
		return o
	})
	return o, logs
}

func TestRepeat(t *testing.T) {
	again := make([]error, 9)
	for i := range again {
		again[i] = unix.EAGAIN
	}
	const mb = 1 << 20
	for _, test := range []struct {
		name  string
		level uint32
		ran   bool
		step  Step
		errs  []error
		logs  []int
		want  error
		log   string
	}{
		{"good", 1, true, StepRun, nil, []int{0}, nil, ""},
		{"with a log", 1, true, StepRun, []error{unix.EACCES, unix.EACCES}, []int{0, mb}, unix.EACCES, "log"},
		{"no log wanted", 0, true, StepRun, []error{unix.EACCES}, []int{0}, unix.EACCES, ""},
		{"not the verifier", 1, true, StepFill, []error{unix.EACCES}, []int{0}, unix.EACCES, ""},
		{"no key", 1, false, StepLoad, []error{unix.ENOKEY}, []int{0}, unix.ENOKEY, ""},
		{"no keyring", 1, false, StepLoad, []error{&keyringError{KeyringUser}}, []int{0}, unix.EINVAL, ""},
		{"not the kernel", 1, false, StepLoad, []error{errors.ErrUnsupported}, []int{0}, errors.ErrUnsupported, ""},
		{"log too small", 1, true, StepRun, []error{unix.EACCES, unix.ENOSPC, unix.ENOSPC, unix.EACCES}, []int{0, mb, 4 * mb, 16 * mb}, unix.EACCES, "log"},
		{"log never large enough", 1, true, StepRun, []error{unix.EACCES, unix.ENOSPC, unix.ENOSPC, unix.ENOSPC, unix.ENOSPC}, []int{0, mb, 4 * mb, 16 * mb, 64 * mb}, unix.EACCES, "log"},
		{"better the second time", 1, true, StepRun, []error{unix.EACCES}, []int{0, mb}, nil, ""},
		{"interrupted", 1, true, StepRun, again, make([]int, 10), nil, ""},
		{"interrupted before it ran", 1, false, StepLoad, []error{unix.EAGAIN, unix.EAGAIN}, []int{0, mb}, unix.EAGAIN, "log"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, logs := attempts(test.level, test.ran, test.step, test.errs...)
			qt.Assert(t, qt.DeepEquals(logs, test.logs))
			qt.Assert(t, qt.Equals(o.log, test.log))
			if test.want == nil {
				qt.Assert(t, qt.IsNil(o.fault))
				return
			}
			qt.Assert(t, qt.ErrorIs(o.fault.err, test.want))
			if test.ran { // the error and the context of one attempt, not of two
				qt.Assert(t, qt.DeepEquals(o.context, []byte{0}))
			}
		})
	}
}

// An unsigned job shows no signature and enrolls no key, whatever else it holds.
func TestUnsignedJob(t *testing.T) {
	j, refused := choose(signedBundle(bundle.Payload), types{}, newConfig(unsigned(Enroll([]byte("certificate")))))
	qt.Assert(t, qt.IsNil(refused))
	qt.Assert(t, qt.IsTrue(j.unsigned))
	qt.Assert(t, qt.HasLen(j.signatures, 0))
	qt.Assert(t, qt.IsNil(j.certificate))

	needBPF(t)
	loads := 0
	k := &faulty{addKey: unix.EPERM, before: func(_ int, cmd sys.Cmd, attr unsafe.Pointer) error {
		if cmd == sys.ProgLoadCmd {
			loads++
			a := (*sys.ProgLoadAttr)(attr)
			qt.Check(t, qt.Equals(a.SignatureSize, 0))
			qt.Check(t, qt.Equals(a.Signature, sys.Pointer{}))
		}
		return nil
	}}
	o := inKernel(k)(t.Context(), j)
	qt.Assert(t, qt.IsNil(o.fault))
	qt.Assert(t, qt.Equals(loads, 1))
	for off := range descriptors(j.bundle) {
		qt.Assert(t, qt.IsNil(unix.Close(getFD(o.context, off))))
	}
	assertNothingLeft(t)
}

// A map that must not count its entries does not fail for the want of them.
func TestEntriesHint(t *testing.T) {
	for typ, want := range map[ebpf.MapType]bool{
		ebpf.Array: true, ebpf.RingBuf: true, ebpf.Arena: true,
		ebpf.SkStorage: false, ebpf.TaskStorage: false, ebpf.InodeStorage: false, ebpf.CgroupStorage: false, ebpf.CGroupStorage: false,
	} {
		j := chosen(t, handmade{scheme: bundle.Payload}.bundle())
		j.bundle.Maps[0].Type, j.bundle.Maps[0].MaxEntries = uint32(typ), 0
		o := &outcome{context: make([]byte, j.bundle.CtxSize)}
		putFD(o.context, j.bundle.Maps[0].Ctx, absent)
		err := explain(j, &fault{StepRun, unix.EINVAL}, o)
		qt.Check(t, qt.Equals(strings.Contains(err.Hint, "max_entries"), want), qt.Commentf("%v: %s", typ, err.Hint))
	}
}
