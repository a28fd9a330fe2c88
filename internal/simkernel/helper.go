package simkernel

import (
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// helpers are the functions that a loader may call, by number.
var helpers = map[int32]struct {
	// args is how many registers it takes.
	args int
	call func(m *machine, r [5]uint64) int64
}{
	helperTracePrintk:        {2, (*machine).tracePrintk},
	helperProbeReadKernel:    {3, (*machine).probeReadKernel},
	helperCopyFromUser:       {3, (*machine).copyFromUser},
	helperSysBPF:             {3, (*machine).callSysBPF},
	helperBTFFindByNameKind:  {4, (*machine).btfFind},
	helperSysClose:           {1, (*machine).sysClose},
	helperKallsymsLookupName: {4, (*machine).kallsyms},
}

func (m *machine) helper(fn int32) {
	h, ok := helpers[fn]
	if !ok {
		m.fault("unknown helper %d", fn)
		return
	}
	var args [5]uint64
	for i := range h.args {
		args[i] = m.get(uint8(insn.R1 + i)).v
	}
	if m.err != nil {
		return
	}
	ret := h.call(m, args)
	for r := insn.R1; r <= insn.R5; r++ {
		m.reg[r] = reg{}
	}
	m.set(insn.R0, uint64(ret), 0)
}

// event adds an event at the current instruction. A call that may fail for reasons beyond the loader's control has a
// number, by which a fault is injected.
func (m *machine) event(kind EventKind, mayFail bool) *Event {
	ev := &Event{PC: m.pc, Kind: kind}
	if mayFail {
		m.calls++
		ev.N = m.calls
	}
	m.res.Events = append(m.res.Events, ev)
	m.keep(callSize)
	return ev
}

// commit is the point of a call after which the kernel would succeed: it fails if it was told to, or has its effect.
func (m *machine) commit(ev *Event, effect func() int64) int64 {
	if ev.N == m.k.FailCall {
		ev.Injected = true
		if m.k.FailErrno == 0 {
			return ENOMEM.ret()
		}
		return m.k.FailErrno.ret()
	}
	return effect()
}

// open gives the loader a descriptor of an object.
func (m *machine) open(object any) int64 {
	return int64(m.k.fds.add(file{object: object, pc: m.pc}))
}

func (m *machine) callSysBPF(r [5]uint64) int64 {
	ev := m.event(EventBPF, true)
	ev.Cmd = uint32(r[0])
	ev.Ret = m.sysBPF(uint32(r[0]), r[1], uint64(uint32(r[2])), ev)
	return ev.Ret
}

func (m *machine) sysClose(r [5]uint64) int64 {
	fd := int32(r[0])
	if fd < 0 { // stands for none: no descriptor is negative
		return EBADF.ret()
	}
	ev := m.event(EventClose, false)
	f, ok := m.k.fds.open[fd]
	switch {
	case !ok:
		m.fault("closes descriptor %d, which is not open", fd)
		return 0
	case f.host:
		m.fault("closes descriptor %d, which the host opened", fd)
		return 0
	}
	ev.Object = f.object
	delete(m.k.fds.open, fd)
	return 0
}

// symbolName reads the name argument of the two helpers that look names up.
func (m *machine) symbolName(addr, size uint64) (string, Errno) {
	b, err := m.mem.read(addr, uint64(uint32(size)))
	if err != nil {
		m.fault("the name: %v", err)
		return "", EINVAL
	}
	if len(b) <= 1 || b[len(b)-1] != 0 {
		return "", EINVAL
	}
	if m.keep(len(b)); m.err != nil {
		return "", EINVAL
	}
	name, _, _ := strings.Cut(string(b), "\x00")
	m.region(addr, uint64(len(b)), fmt.Sprintf("name %q", name))
	return name, 0
}

func (m *machine) btfFind(r [5]uint64) int64 {
	ev := m.event(EventFindBTF, true)
	name, e := m.symbolName(r[0], r[1])
	if e == 0 && int32(r[3]) != 0 {
		e = EINVAL
	}
	if e != 0 {
		ev.Ret = e.ret()
		return ev.Ret
	}
	sym, found := m.k.symbol(name, uint32(r[2]))
	ev.Symbol = sym
	if !found {
		ev.Ret = ENOENT.ret()
		return ev.Ret
	}
	ev.Ret = m.commit(ev, func() int64 {
		if sym.Module == "" {
			return int64(sym.id)
		}
		return m.open(&BTF{Module: sym.Module})<<32 | int64(sym.id)
	})
	return ev.Ret
}

func (m *machine) kallsyms(r [5]uint64) int64 {
	ev := m.event(EventKallsyms, true)
	res, err := m.mem.write(r[3], 8)
	if err != nil {
		m.fault("the result: %v", err)
		return 0
	}
	clear(res)
	name, e := m.symbolName(r[0], r[1])
	if e == 0 && int32(r[2]) != 0 {
		e = EINVAL
	}
	if e != 0 {
		ev.Ret = e.ret()
		return ev.Ret
	}
	sym, found := m.k.symbol(name, 0)
	ev.Symbol = sym
	if !found {
		ev.Ret = ENOENT.ret()
		return ev.Ret
	}
	m.region(r[3], 8, "address")
	ev.Ret = m.commit(ev, func() int64 {
		m.k.order().PutUint64(res, sym.addr)
		return 0
	})
	return ev.Ret
}

// copyIn is bpf_probe_read_kernel and bpf_copy_from_user: what cannot be read becomes zeros and -EFAULT.
func (m *machine) copyIn(dst, size, src uint64, from *memory) int64 {
	to, err := m.mem.write(dst, uint64(uint32(size)))
	if err != nil {
		m.fault("the destination: %v", err)
		return 0
	}
	b, err := from.read(src, uint64(len(to)))
	if err != nil {
		clear(to)
		return EFAULT.ret()
	}
	copy(to, b)
	return 0
}

func (m *machine) probeReadKernel(r [5]uint64) int64 { return m.copyIn(r[0], r[1], r[2], &m.mem) }

func (m *machine) copyFromUser(r [5]uint64) int64 {
	ev := m.event(EventCopyFromUser, false)
	ev.Ret = m.copyIn(r[0], r[1], r[2], &m.k.user)
	return ev.Ret
}

// tracePrintk is bpf_trace_printk with the conversions that loaders use.
func (m *machine) tracePrintk(r [5]uint64) int64 {
	ev := m.event(EventPrintk, false)
	b, err := m.mem.read(r[0], uint64(uint32(r[1])))
	if err != nil {
		m.fault("the format: %v", err)
		return 0
	}
	if m.keep(len(b)); m.err != nil {
		return 0
	}
	format, ok := strings.CutSuffix(string(b), "\x00")
	if !ok {
		return EINVAL.ret()
	}
	var out strings.Builder
	next := uint8(insn.R3)
	for {
		text, rest, more := strings.Cut(format, "%")
		out.WriteString(text)
		if !more {
			break
		}
		verb := strings.TrimLeft(rest, "l")
		if verb == "" || next > insn.R5 && verb[0] != '%' {
			return EINVAL.ret()
		}
		long := len(rest) > len(verb)
		format = verb[1:]
		if verb[0] == '%' {
			out.WriteByte('%')
			continue
		}
		v := m.get(next).v
		next++
		switch {
		case verb[0] == 'd' && long:
			fmt.Fprintf(&out, "%d", int64(v))
		case verb[0] == 'd':
			fmt.Fprintf(&out, "%d", int32(v))
		case verb[0] == 'u' && long:
			fmt.Fprintf(&out, "%d", v)
		case verb[0] == 'u':
			fmt.Fprintf(&out, "%d", uint32(v))
		case verb[0] == 'x' && long:
			fmt.Fprintf(&out, "%x", v)
		case verb[0] == 'x':
			fmt.Fprintf(&out, "%x", uint32(v))
		default:
			return EINVAL.ret()
		}
	}
	ev.Text = out.String()
	return int64(out.Len())
}
