package simkernel

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/insn"
)

// numCPUs is how many values a per-CPU map's element has.
const numCPUs = 1

// attr is a union bpf_attr as a program fills it: what is beyond its size is zero.
type attr struct {
	order binary.ByteOrder
	b     [attrSize]byte
	size  uint64
}

func (a *attr) u32(off int) uint32 { return a.order.Uint32(a.b[off:]) }
func (a *attr) s32(off int) int32  { return int32(a.u32(off)) }
func (a *attr) u64(off int) uint64 { return a.order.Uint64(a.b[off:]) }

// zeroFrom is the kernel's CHECK_ATTR: nothing is set after a command's last field.
func (a *attr) zeroFrom(off int) bool { return len(bytes.TrimLeft(a.b[off:], "\x00")) == 0 }

// name reads an object's name: letters, digits, '_' and '.', with a NUL.
func (a *attr) name(off int) (string, Errno) {
	text, _, nul := bytes.Cut(a.b[off:off+objNameLen], []byte{0})
	if !nul {
		return string(text), EINVAL
	}
	for _, c := range text {
		if c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return string(text), EINVAL
		}
	}
	return string(text), 0
}

// sysBPF is what bpf_sys_bpf does: it decodes the attributes into ev and, if the kernel would take them, does it.
func (m *machine) sysBPF(cmd uint32, addr, size uint64, ev *Event) int64 {
	raw, err := m.mem.read(addr, size)
	if err != nil {
		m.fault("the attributes: %v", err)
		return 0
	}
	a := &attr{order: m.k.order(), size: size}
	if copy(a.b[:], raw) < len(raw) && len(bytes.TrimLeft(raw[attrSize:], "\x00")) > 0 {
		return E2BIG.ret()
	}
	defer func() { m.regionOf(addr, size, attrName(ev), int(cmd)) }()
	switch cmd {
	case cmdMapCreate:
		return m.mapCreate(a, ev)
	case cmdMapUpdateElem:
		return m.mapUpdate(a, ev)
	case cmdMapFreeze:
		return m.mapFreeze(a, ev)
	case cmdBTFLoad:
		return m.btfLoad(a, addr, ev)
	case cmdProgLoad:
		return m.progLoad(a, addr, ev)
	case cmdLinkCreate:
		return m.linkCreate(a, ev)
	case cmdRawTracepointOpen:
		return m.rawTracepointOpen(a, ev)
	}
	m.fault("bpf_sys_bpf(%d): no loader has a use for this command", cmd)
	return 0
}

// attrName names the attributes of a command by what it is about.
func attrName(ev *Event) string {
	switch {
	case ev.Update != nil && len(ev.Update.Key) > 0:
		return fmt.Sprintf("MAP_UPDATE %q[%x]", ev.Map.Name, ev.Update.Key)
	case ev.Map != nil && ev.Cmd == cmdMapFreeze:
		return fmt.Sprintf("MAP_FREEZE %q", ev.Map.Name)
	case ev.Map != nil:
		return fmt.Sprintf("MAP_CREATE %q", ev.Map.Name)
	case ev.Prog != nil:
		return fmt.Sprintf("PROG_LOAD %q", ev.Prog.Name)
	case ev.BTF != nil:
		return "BTF_LOAD"
	}
	return fmt.Sprintf("command %d", ev.Cmd)
}

func (m *machine) mapCreate(a *attr, ev *Event) int64 {
	mp := &Map{
		Type: a.u32(createType), KeySize: a.u32(createKeySize), ValueSize: a.u32(createValueSize),
		MaxEntries: a.u32(createMaxEntries), Flags: a.u32(createFlags), NUMANode: a.u32(createNUMANode),
		IfIndex: a.u32(createIfIndex), Extra: a.u64(createExtra), KeyType: a.u32(createKeyType),
		ValueType: a.u32(createValueType),
	}
	ev.Map = mp
	var e Errno
	if mp.Name, e = a.name(createName); e != 0 || !a.zeroFrom(createEnd) {
		return EINVAL.ret()
	}
	kernelValue := a.u32(createKernelValue)
	if mp.KeyType|mp.ValueType|kernelValue != 0 {
		if mp.BTF, e = own[*BTF](m, a.s32(createBTFFD)); e != 0 {
			return e.ret()
		}
	}
	if kernelValue != 0 {
		fd := int32(0)
		if mp.Flags&flagValueInModule != 0 {
			fd = a.s32(createValueBTFFD)
		}
		if mp.KernelValue, e = m.k.symbolByFD(int32(kernelValue), fd); e != 0 {
			return e.ret()
		}
	}
	if mp.Type == mapArrayOfMaps || mp.Type == mapHashOfMaps {
		if mp.Inner, e = own[*Map](m, a.s32(createInnerMapFD)); e != 0 {
			return e.ret()
		}
	}
	if n := a.u32(createExclHashSize); a.u64(createExclHash) != 0 {
		hash, err := m.mem.read(a.u64(createExclHash), uint64(n))
		switch {
		case n != sha256.Size:
			return EINVAL.ret()
		case err != nil:
			return EFAULT.ret()
		}
		mp.ExclProgHash = m.clone(hash)
	} else if n != 0 {
		return EINVAL.ret()
	}
	if e := mp.check(); e != 0 {
		return e.ret()
	}
	return m.commit(ev, func() int64 {
		m.res.Maps = append(m.res.Maps, mp)
		return m.open(mp)
	})
}

// check is as much of the kernel's opinion of a map's geometry as a loader can get wrong.
func (mp *Map) check() Errno {
	ok := true
	switch mp.Type {
	case mapArray, mapPercpuArray:
		ok = mp.KeySize == 4 && mp.ValueSize > 0 && mp.MaxEntries > 0
	case mapHash, mapPercpuHash, mapLRUHash, mapLRUPercpuHash:
		ok = mp.KeySize > 0 && mp.ValueSize > 0 && mp.MaxEntries > 0
	case mapProgArray, mapArrayOfMaps:
		ok = mp.KeySize == 4 && mp.ValueSize == 4 && mp.MaxEntries > 0
	case mapHashOfMaps:
		ok = mp.KeySize > 0 && mp.ValueSize == 4 && mp.MaxEntries > 0
	case mapRingbuf, mapUserRingbuf:
		n := mp.MaxEntries
		ok = mp.KeySize == 0 && mp.ValueSize == 0 && n > 0 && n&(n-1) == 0 && n%pageSize == 0
	}
	switch {
	case !ok,
		mp.KeyType != 0 && mp.ValueType == 0,
		mp.KernelValue != nil && (mp.Type != mapStructOps || mp.KeyType|mp.ValueType != 0),
		mp.Type == mapStructOps && mp.KernelValue == nil,
		mp.Extra != 0 && mp.Type != mapBloom && mp.Type != mapArena:
		return EINVAL
	case mp.Inner != nil && mp.Inner.Inner != nil:
		return EINVAL
	case mp.Inner != nil && mp.Inner.ExclProgHash != nil: // CVE-2026-74364
		return ENOTSUPP
	}
	return 0
}

// elemSize is the size of a value in BPF_MAP_UPDATE_ELEM (bpf_map_value_size, kernel/bpf/syscall.c).
func (mp *Map) elemSize(flags uint64) uint64 {
	switch mp.Type {
	case mapPercpuArray, mapPercpuHash, mapLRUPercpuHash:
		if flags&flagAllCPUs == 0 {
			return (uint64(mp.ValueSize) + 7) &^ 7 * numCPUs
		}
	}
	return uint64(mp.ValueSize)
}

func (m *machine) mapUpdate(a *attr, ev *Event) int64 {
	mp, e := own[*Map](m, a.s32(updateMapFD))
	if e != 0 {
		return e.ret()
	}
	ev.Map = mp
	u := &Update{Flags: a.u64(updateFlags)}
	key, err := m.mem.read(a.u64(updateKey), uint64(mp.KeySize))
	if err != nil {
		m.fault("the key for %s: %v", describe(mp), err)
		return 0
	}
	value, err := m.mem.read(a.u64(updateValue), mp.elemSize(u.Flags))
	if err != nil {
		m.fault("the value for %s: %v", describe(mp), err)
		return 0
	}
	u.Key, u.Value = m.clone(key), m.clone(value)
	m.region(a.u64(updateKey), uint64(len(key)), fmt.Sprintf("key %x", key))
	m.region(a.u64(updateValue), uint64(len(value)), fmt.Sprintf("value of %q[%x]", mp.Name, key))
	ev.Update = u
	fd := func() int32 { return int32(a.order.Uint32(value)) }
	switch mp.Type {
	case mapArray, mapPercpuArray, mapProgArray, mapArrayOfMaps:
		if a.order.Uint32(key) >= mp.MaxEntries {
			return E2BIG.ret()
		}
	}
	switch mp.Type {
	case mapProgArray:
		u.Prog, e = own[*Prog](m, fd())
	case mapArrayOfMaps, mapHashOfMaps:
		u.Map, e = own[*Map](m, fd())
		if e == 0 && u.Map.ExclProgHash != nil {
			e = ENOTSUPP
		}
	}
	if mp.Type == mapStructOps {
		u.Progs = m.structOpsProgs(u.Value)
	}
	switch {
	case e != 0:
		return e.ret()
	case !a.zeroFrom(updateEnd):
		return EINVAL.ret()
	case mp.Frozen:
		return EPERM.ret()
	}
	return m.commit(ev, func() int64 {
		mp.Updates = append(mp.Updates, *u)
		return 0
	})
}

// structOpsProgs finds the descriptors of programs in a struct_ops table: without the kernel's type, the words that are
// such. They are taken out of the value.
func (m *machine) structOpsProgs(value []byte) map[int]*Prog {
	progs := map[int]*Prog{}
	for off := structOpsHeader; off+8 <= len(value); off += 8 {
		word := m.k.order().Uint64(value[off:])
		if word == 0 || word > 1<<20 {
			continue
		}
		f := m.k.fds.open[int32(word)]
		if p, ok := f.object.(*Prog); ok && !f.host { // else it is a number
			progs[off] = p
			clear(value[off : off+8])
		}
	}
	return progs
}

func (m *machine) mapFreeze(a *attr, ev *Event) int64 {
	mp, e := own[*Map](m, a.s32(freezeMapFD))
	if e != 0 {
		return e.ret()
	}
	ev.Map = mp
	switch {
	case !a.zeroFrom(freezeEnd):
		return EINVAL.ret()
	case mp.Frozen:
		return EBUSY.ret()
	}
	return m.commit(ev, func() int64 {
		mp.Frozen = true
		return 0
	})
}

func (m *machine) btfLoad(a *attr, addr uint64, ev *Event) int64 {
	raw, err := m.mem.read(a.u64(btfData), uint64(a.u32(btfSize)))
	if err != nil {
		m.fault("the BTF: %v", err)
		return 0
	}
	btf := &BTF{Raw: m.clone(raw)}
	m.region(a.u64(btfData), uint64(len(raw)), "BTF")
	ev.BTF = btf
	if len(raw) < btfHeaderSize || m.k.order().Uint16(raw) != btfMagic || !a.zeroFrom(btfEnd) {
		return EINVAL.ret()
	}
	m.logTrueSize(a, addr, btfLogTrueSize)
	return m.commit(ev, func() int64 {
		m.res.BTFs = append(m.res.BTFs, btf)
		return m.open(btf)
	})
}

// logTrueSize writes the length of the verifier's log back, 0, as the kernel does where the attributes have the field.
func (m *machine) logTrueSize(a *attr, addr, off uint64) {
	if a.size < off+4 {
		return
	}
	b, err := m.mem.write(addr+off, 4)
	if err != nil {
		m.fault("the attributes: %v", err)
		return
	}
	clear(b)
}

func (m *machine) progLoad(a *attr, addr uint64, ev *Event) int64 {
	p := &Prog{
		Type: a.u32(progType), Flags: a.u32(progFlags), IfIndex: a.u32(progIfIndex),
		ExpectedAttachType: a.u32(progAttachType), LogLevel: a.u32(progLogLevel), Refs: map[int]Ref{},
	}
	ev.Prog = p
	var e Errno
	if p.Name, e = a.name(progName); e != 0 {
		return e.ret()
	}
	count := a.u32(progInsnCnt)
	if count == 0 {
		return E2BIG.ret()
	}
	raw, err := m.mem.read(a.u64(progInsns), uint64(count)*insn.Size)
	if err != nil {
		m.fault("the instructions of %s: %v", describe(p), err)
		return 0
	}
	p.Insns = m.clone(raw)
	m.region(a.u64(progInsns), uint64(len(raw)), fmt.Sprintf("instructions of %q", p.Name))
	var ok bool
	if p.License, ok = m.mem.cstring(a.u64(progLicense), licenseLen); !ok {
		m.fault("the license of %s is no text", describe(p))
		return 0
	}
	m.region(a.u64(progLicense), uint64(len(p.License)+1), "license")
	m.region(a.u64(progFDArray), fdSize, "fd_array")
	for _, r := range []struct {
		what             string
		to               *Records
		addr, count, rec int
		min              uint32
	}{
		{"func_info", &p.FuncInfo, progFuncInfo, progFuncInfoCnt, progFuncInfoRecSize, funcInfoSize},
		{"line_info", &p.LineInfo, progLineInfo, progLineInfoCnt, progLineInfoRecSize, lineInfoSize},
		{"core_relos", &p.Relocation, progCORERelos, progCOREReloCnt, progCOREReloRecSize, coreReloSize},
	} {
		r.to.Size, r.to.Count = a.u32(r.rec), a.u32(r.count)
		if r.to.Count == 0 {
			continue
		}
		if r.to.Size < r.min || r.to.Size%4 != 0 {
			return EINVAL.ret()
		}
		data, err := m.mem.read(a.u64(r.addr), uint64(r.to.Size)*uint64(r.to.Count))
		if err != nil {
			m.fault("the %s of %s: %v", r.what, describe(p), err)
			return 0
		}
		r.to.Data = m.clone(data)
		m.region(a.u64(r.addr), uint64(len(data)), fmt.Sprintf("%s of %q", r.what, p.Name))
	}
	if fd := a.s32(progBTFFD); fd != 0 || p.FuncInfo.Count+p.LineInfo.Count+p.Relocation.Count > 0 {
		if p.BTF, e = own[*BTF](m, fd); e != 0 {
			return e.ret()
		}
	}
	if e := m.attachTarget(a, p); e != 0 {
		return e.ret()
	}
	if e := m.resolve(p, a.u64(progFDArray)); e != 0 || m.err != nil {
		return e.ret()
	}
	if proto := m.k.attachedTo(p); proto != nil {
		insns, err := insn.Decode(p.Insns, m.k.order())
		if err != nil {
			return EINVAL.ret()
		}
		if e := proto.verify(p, insns); e != 0 {
			return e.ret()
		}
	}
	if !a.zeroFrom(progTokenFD) { // a token, a signature or a fd_array_cnt
		m.fault("%s: a loader loads no signed programs", describe(p))
		return 0
	}
	m.logTrueSize(a, addr, progLogTrueSize)
	return m.commit(ev, func() int64 {
		m.res.Progs = append(m.res.Progs, p)
		return m.open(p)
	})
}

// attachTarget finds out what attach_btf_id, attach_btf_obj_fd and attach_prog_fd stand for.
func (m *machine) attachTarget(a *attr, p *Prog) Errno {
	id, fd := a.u32(progAttachBTFID), a.s32(progAttachFD)
	module := ""
	if fd != 0 {
		switch o := m.k.fds.open[fd].object.(type) {
		case *Prog:
			p.AttachProg = o
			if id != 0 {
				p.Attach = &Symbol{id: id}
			}
			return 0
		case *BTF:
			if o.Module == "" {
				return ENOTSUPP
			}
			module = o.Module
		default:
			return EINVAL
		}
	}
	if id == 0 {
		return 0
	}
	if p.Attach = m.k.symbolByID(id, module); p.Attach == nil {
		return EINVAL
	}
	return 0
}

// resolve explains the numbers in a program's instructions.
func (m *machine) resolve(p *Prog, fdArray uint64) Errno {
	insns, err := insn.Decode(p.Insns, m.k.order())
	if err != nil {
		return EINVAL
	}
	// slot reads a descriptor of fd_array, whose end the kernel does not know.
	slot := func(i int32) (int32, Errno) {
		if fdArray == 0 {
			return 0, EPROTO
		}
		b, err := m.mem.read(fdArray+uint64(int64(i))*fdSize, fdSize)
		if err != nil {
			m.fault("fd_array[%d] of %s: %v", i, describe(p), err)
			return 0, EFAULT
		}
		return int32(m.k.order().Uint32(b)), 0
	}
	mapRef := func(fd int32, value bool, off int32) (Ref, Errno) {
		mp, e := own[*Map](m, fd)
		if e == 0 && value && uint32(off) >= max(mp.ValueSize, 1) && mp.Type != mapArena {
			e = EINVAL
		}
		return Ref{Map: mp, Value: value, Offset: uint32(off)}, e
	}
	for i := 0; i < len(insns); i++ {
		in := insns[i]
		var ref Ref
		var e Errno
		switch {
		case in.IsLoadImm64() && i+1 == len(insns):
			return EINVAL
		case in.IsLoadImm64():
			next := insns[i+1].Imm
			fd := in.Imm
			switch in.Src {
			case insn.PseudoMapIdx, insn.PseudoMapIdxValue:
				if fd, e = slot(in.Imm); e != 0 {
					return e
				}
				fallthrough
			case insn.PseudoMapFD, insn.PseudoMapValue:
				value := in.Src == insn.PseudoMapValue || in.Src == insn.PseudoMapIdxValue
				ref, e = mapRef(fd, value, next)
			case insn.PseudoBTFID:
				ref.Symbol, e = m.k.symbolByFD(in.Imm, next)
			case insn.PseudoNone:
				ref.Symbol = m.k.symbolByAddr(uint64(uint32(in.Imm)) | uint64(uint32(next))<<32)
				if ref.Symbol == nil {
					i++
					continue
				}
			default:
				i++
				continue
			}
			if e != 0 {
				return e
			}
			p.Refs[i] = ref
			i++
		case in.IsCall() && in.Src == insn.PseudoKfunc:
			fd := int32(0)
			if in.Off != 0 {
				if fd, e = slot(int32(in.Off)); e != 0 {
					return e
				}
			}
			if in.Imm != 0 { // 0: a weak one that this kernel has not
				if ref.Symbol, e = m.k.symbolByFD(in.Imm, fd); e != 0 {
					return e
				}
			}
			p.Refs[i] = ref
		}
	}
	return 0
}

func (m *machine) linkCreate(a *attr, ev *Event) int64 {
	p, e := own[*Prog](m, a.s32(linkProgFD))
	if e != 0 {
		return e.ret()
	}
	l := &Link{Prog: p, AttachType: a.u32(linkAttachType)}
	ev.Link = l
	return m.commit(ev, func() int64 { return m.open(l) })
}

func (m *machine) rawTracepointOpen(a *attr, ev *Event) int64 {
	p, e := own[*Prog](m, a.s32(rawTracepointProgFD))
	if e != 0 {
		return e.ret()
	}
	l := &Link{Prog: p}
	ev.Link = l
	if addr := a.u64(rawTracepointName); addr != 0 {
		var ok bool
		if l.Name, ok = m.mem.cstring(addr, licenseLen); !ok {
			return EFAULT.ret()
		}
	}
	return m.commit(ev, func() int64 { return m.open(l) })
}
