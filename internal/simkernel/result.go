package simkernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// EventKind says what an Event is.
type EventKind uint8

// The kinds of events.
const (
	EventHost         EventKind = iota // the loading process does something, or the kernel for it: Text
	EventCheck                         // the loader compares something that struct bpf_map shows: Check
	EventBPF                           // bpf_sys_bpf: Cmd and what it is about
	EventFindBTF                       // bpf_btf_find_by_name_kind: Symbol
	EventKallsyms                      // bpf_kallsyms_lookup_name: Symbol
	EventCopyFromUser                  // bpf_copy_from_user
	EventPrintk                        // bpf_trace_printk: Text
	EventClose                         // bpf_sys_close: Object
)

// Event is something that happened.
type Event struct {
	Kind EventKind
	// PC is the number of the loader's instruction.
	PC int
	// N numbers the calls that may fail for reasons beyond the loader's control, from 1; 0 for others.
	N int
	// Ret is what the call returned; Injected says that it failed because it was to.
	Ret      int64
	Injected bool

	// Kernel says of an EventHost that it is a check of a signed loader by the kernel.
	Kernel bool
	Cmd    uint32
	Map    *Map
	Update *Update
	Prog   *Prog
	BTF    *BTF
	Link   *Link
	Symbol *Symbol
	Check  *Check
	Object any
	Text   string
}

// Errno returns the error that the call returned, 0 for none.
func (e *Event) Errno() Errno {
	if e.Ret < 0 {
		return Errno(-e.Ret)
	}
	return 0
}

// Check is a comparison of what struct bpf_map shows with a number in the loader.
type Check struct {
	// Excl says that the exclusivity is compared; SHA are the compared u64 of the digest, one bit each.
	Excl      bool
	SHA       int
	Got, Want uint64
}

// Region is a part of the blob with a meaning.
type Region struct {
	Off, Size int
	// What says what it is. For the attributes of a command Cmd is that, and -1 otherwise.
	What string
	Cmd  int
}

// Stage is how far a load came.
type Stage uint8

// The stages of a load.
const (
	StageHost Stage = iota // the metadata map was refused
	StageLoad              // BPF_PROG_LOAD of the loader
	StageRun               // the loader ran
)

// String returns the stage's name.
func (s Stage) String() string { return [...]string{"host", "load", "run"}[s] }

// Result is what came of a load.
type Result struct {
	// Stage is where the load ended, Errno how: 0 for success, what the kernel refused the map or the loader with, or what
	// the loader returned. Why is a sentence on a refusal.
	Stage Stage
	Errno Errno
	Why   string
	// Ret is what the loader returned.
	Ret int32
	// Fault is what the loader did wrong, nil for nothing.
	Fault  *Fault
	Events []*Event
	// Maps, Progs and BTFs are what the loader created, in order, whether it is still open or not.
	Maps  []*Map
	Progs []*Prog
	BTFs  []*BTF
	// Regions are the parts of the blob that the loader pointed the kernel at, in the order in which it did.
	Regions []Region
	// Ctx is the context after the run. Descriptors are the objects whose descriptors the loader left in it, by offset.
	Ctx         []byte
	Descriptors map[int]any
	// Leaks are the descriptors that the loader opened and left open without telling.
	Leaks []*Fault
	// Again is the second run's result, if one was asked for.
	Again *Result

	order   binary.ByteOrder
	refused bool // the verifier would not have let it run
}

// Order is the kernel's byte order.
func (r *Result) Order() binary.ByteOrder { return r.order }

// Err returns nil if the loader did nothing wrong; that the load failed is nothing wrong.
func (r *Result) Err() error {
	var errs []error
	if r.Fault != nil {
		errs = append(errs, r.Fault)
	}
	for _, l := range r.Leaks {
		errs = append(errs, l)
	}
	return errors.Join(errs...)
}

// Run runs a loaded loader with a context, which it returns changed in the result.
func (k *Kernel) Run(fd int32, ctx []byte) (*Result, error) {
	l, e := get[*loader](&k.fds, fd)
	if e != 0 {
		return nil, fmt.Errorf("run descriptor %d: %w", fd, e)
	}
	res := &Result{Stage: StageRun, Ctx: slices.Clone(ctx), order: k.order()}
	k.runInto(res, l)
	return res, nil
}

// runInto runs a loader and adds to a result.
func (k *Kernel) runInto(res *Result, l *loader) {
	insns, err := insn.Decode(l.insns, k.order())
	if err != nil {
		panic(err) // load decoded them too
	}
	m := &machine{k: k, insns: insns, second: secondSlots(insns), res: res, ctxFD: map[int]int{}, blobSize: int(l.meta.ValueSize)}
	m.mem.order = k.order()
	m.mem.add(&region{name: "ctx", base: ctxBase, data: res.Ctx, wrote: func(off, size int) {
		if size == 4 {
			m.ctxFD[off] = m.pc
		}
	}})
	m.mem.add(&region{name: "blob", base: blobBase, data: l.meta.value[:l.meta.ValueSize]})
	m.mem.add(&region{name: "struct bpf_map", base: mapBase, data: k.bpfMap(l.meta), readOnly: true})
	m.reg[insn.R1] = reg{v: ctxBase, set: true}
	ret := m.run()
	res.Stage, res.Ret = StageRun, ret
	if m.err != nil {
		if res.refused {
			res.Stage, res.Errno, res.Why = StageLoad, EACCES, m.err.Error()
			return
		}
		res.Fault = m.err
	}
	if ret < 0 {
		res.Errno = Errno(-ret)
	}
	if m.err == nil {
		m.checkDescriptors(ret)
	}
}

// checkDescriptors holds the loader to account: what it opened is closed or, if it succeeded, in the context.
func (m *machine) checkDescriptors(ret int32) {
	res := m.res
	res.Descriptors = map[int]any{}
	told := map[int32]bool{}
	if ret >= 0 {
		for _, off := range sortedKeys(m.ctxFD) {
			fd := int32(m.k.order().Uint32(res.Ctx[off:]))
			f, open := m.k.fds.open[fd]
			m.pc = m.ctxFD[off]
			switch {
			case open && !f.host && !told[fd]:
				told[fd] = true
				res.Descriptors[off] = f.object
			case open || fd > 0:
				m.fault("leaves %d in the context at %d, which is no descriptor of its own", fd, off)
				res.Fault = m.err
			}
		}
	}
	for _, fd := range sortedKeys(m.k.fds.open) {
		if f := m.k.fds.open[fd]; !f.host && !told[fd] {
			res.Leaks = append(res.Leaks, &Fault{f.pc, m.insns[f.pc], "the descriptor of " + describe(f.object) + " is left open"})
		}
	}
}

func sortedKeys[K int | int32, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Loader is a gen-loader and what it was signed with: an input of Run.
type Loader struct {
	// Scheme is the scheme of a signed loader, 0 for one that is not signed.
	Scheme      bundle.Scheme
	BigEndian   bool
	Insns, Blob []byte
	// CtxSize is the size of the context, in bytes; 0 for the largest there is.
	CtxSize int
}

// FromBundle returns a bundle's loader for a scheme. It checks the bundle's contract.
func FromBundle(b *bundle.Bundle, s bundle.Scheme) (Loader, error) {
	if err := b.CheckContract(); err != nil {
		return Loader{}, err
	}
	l := b.Loader(s)
	if l == nil {
		return Loader{}, fmt.Errorf("the bundle has no %v loader", s)
	}
	if _, err := hostFor(s); err != nil {
		return Loader{}, err
	}
	return Loader{s, b.Object.BigEndian, l.Insns, b.Blob, int(b.CtxSize)}, nil
}

// Injected says whether a call was made to fail.
func (r *Result) Injected() bool {
	return slices.ContainsFunc(r.Events, func(ev *Event) bool { return ev.Injected })
}
