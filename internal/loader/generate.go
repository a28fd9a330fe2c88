package loader

import (
	"fmt"
	"math"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// planBTF decides which types the loader brings along: those that a program's or map's attributes refer to.
func (c *compiler) planBTF() error {
	if c.obj.BTF == nil {
		return nil
	}
	var roots []btf.ID
	for _, m := range c.obj.Maps {
		if m.Disabled || m.StructOps != nil {
			continue
		}
		roots = append(roots, m.KeyType, m.ValueType)
		if m.Inner != nil {
			roots = append(roots, m.Inner.KeyType, m.Inner.ValueType)
		}
	}
	for _, p := range c.obj.Programs {
		if !p.Autoload {
			continue
		}
		for _, f := range p.Funcs {
			roots = append(roots, f.Type)
		}
		for _, r := range p.Relos {
			roots = append(roots, r.Type)
		}
	}
	w, err := btf.NewWriter(c.obj.BTF, roots)
	if err != nil {
		return err
	}
	if !w.Empty() {
		c.btf = w
		c.btfTemp = c.slots.addTemp()
	}
	return nil
}

// layOut fills the blob: first what the loader's instructions write to, so that it lies close together, then what is only
// pointed at.
func (c *compiler) layOut() error {
	c.blob.data = make([]byte, slotOffset(c.slots.total())) // Compile fills in the contract's digest at the end
	for i := range c.slots.total() {
		c.order.PutUint32(c.blob.data[slotOffset(i):], noFD&0xffffffff)
	}
	c.guard = c.blob.add(make([]byte, guardSize), guardSize)
	if c.btf != nil {
		a := &attr{order: c.order}
		a.reserve(uapi.BTFLoadSize + 4)
		c.btfAttr = c.blob.add(a.data, 8)
	}
	c.layOutMaps()
	c.layOutPrograms()
	c.layOutTrials()
	for _, l := range c.asked {
		if l.kind == btf.Void && c.scratch == 0 {
			c.scratch = c.blob.add(make([]byte, 8), 8)
		}
	}
	c.layOutInsns()
	c.layOutTrialInsns()
	for _, l := range c.asked {
		l.nameAt = c.blob.str(l.name)
	}
	if len(c.programs) > 0 {
		c.license = c.blob.str(c.obj.License)
	}
	c.layOutInfo()
	if c.btf != nil {
		data, err := c.btf.Bytes()
		if err != nil {
			return err
		}
		c.btfRange = bundle.Range{Offset: c.blob.add(data, 4), Size: uint32(len(data))}
		c.order.PutUint32(c.blob.data[c.btfAttr+uapi.BTFLoadSize:], uint32(len(data)))
	}
	c.layOutContents()
	c.blob.add(nil, 8) // instructions and blob are hashed together: keep the end tidy
	if size := uint64(len(c.blob.data)) + c.blob.dropped; size > uint64(c.blob.limit) {
		return fmt.Errorf("its data are %d bytes, and a map's value holds %d: split the object", size, c.blob.limit)
	}
	return nil
}

// maxBlob is the largest blob that an instruction can address, in bytes.
const maxBlob = uapi.MaxVarOff - 1

// generate emits the loader, less its scheme's beginning.
func (c *compiler) generate() error {
	for _, p := range c.programs {
		p.addLookupTargets()
	}
	for _, p := range c.maps {
		p.addLookupTargets()
	}
	code := &c.code
	if first := int64(slotOffset(0)); int64(len(c.blob.data))-first <= math.MaxInt16 {
		code.loadBlob(regBlob, first)
	} else { // in the middle of what an instruction reaches
		code.loadBlob(regBlob, first+math.MaxInt16&^7)
	}
	c.runOnce()
	if c.btf != nil {
		c.loadBTF()
	}
	c.point()
	c.resolve()
	c.createMaps()
	c.fillMapsOfMaps()
	c.loadPrograms()
	c.fillProgramArrays()
	c.freezeFilled()
	c.fillStructOps()
	if err := c.finish(); err != nil {
		return err
	}
	if n := len(code.insns) + maxAttest; n > bundle.MaxInsns {
		return fmt.Errorf("the loader would have %d instructions, and the kernel takes %d: split the object", n, bundle.MaxInsns)
	}
	return nil
}

// loadBTF emits the loading of the types, and leaves their descriptor in R0. It asks for no log: there is one buffer,
// and it is the programs'.
func (c *compiler) loadBTF() {
	code := &c.code
	code.address(insn.R1, c.btfRange.Offset)
	code.store(insn.StoreDW, c.btfAttr+uapi.BTFLoadBTF, insn.R1)
	code.sys(uapi.CmdBTFLoad, c.btfAttr, uapi.BTFLoadSize+4)
	code.store(insn.StoreW, slotOffset(c.slots.ofTemp(c.btfTemp)), insn.R0)
}

// point emits the filling-in of everything that is known now: the addresses of what is in the blob, the descriptor of the BTF
// (in R0, since no call comes between), and where the verifier shall write its log. R1 goes from one address to the next.
func (c *compiler) point() {
	const next, fdArray, license, logLevel, logBuf = insn.R1, insn.R2, insn.R3, insn.R4, insn.R5
	code := &c.code
	at := int64(-1) // what next points at
	pointer := func(field, target uint32) {
		if at < 0 {
			code.address(next, target)
		} else if d := int64(target) - at; d != 0 {
			code.emit(insn.Insn{Op: insn.AddK, Dst: next, Imm: int32(d)})
		}
		at = int64(target)
		code.store(insn.StoreDW, field, next)
	}
	for _, p := range c.maps {
		if p.inner != nil {
			c.storeMapBTF(p.inner.Map, p.inner.attr)
		}
		c.storeMapBTF(&p.Map, p.attr)
		for _, u := range p.updates() {
			pointer(u.attr+uapi.MapUpdateKey, u.key)
			pointer(u.attr+uapi.MapUpdateValue, u.value)
		}
	}
	if len(c.programs) == 0 {
		return
	}
	code.address(license, c.license)
	code.emit(insn.Insn{Op: insn.LoadDW, Dst: logLevel, Src: regCtx, Off: bundle.CtxLogLevel},
		insn.Insn{Op: insn.LoadDW, Dst: logBuf, Src: regCtx, Off: bundle.CtxLogBuf})
	if c.trials.size != 0 {
		code.store(insn.StoreDW, c.trials.attr+uapi.ProgLoadLicense, license)
	}
	haveFDArray := false
	for _, p := range c.programs {
		pointer(p.attr+uapi.ProgLoadInsns, p.insns)
		code.store(insn.StoreDW, p.attr+uapi.ProgLoadLicense, license)
		code.store(insn.StoreDW, p.attr+uapi.ProgLoadLogLevel, logLevel)
		code.store(insn.StoreDW, p.attr+uapi.ProgLoadLogBuf, logBuf)
		if p.needsBTF() && c.btf != nil {
			code.store(insn.StoreW, p.attr+uapi.ProgLoadBTFFD, insn.R0)
		}
		if c.usesFDArray(p) {
			if !haveFDArray {
				code.address(fdArray, slotOffset(0))
				haveFDArray = true
			}
			code.store(insn.StoreDW, p.attr+uapi.ProgLoadFDArray, fdArray)
		}
		for _, info := range []struct{ field, target uint32 }{
			{uapi.ProgLoadFuncInfo, p.funcs}, {uapi.ProgLoadLineInfo, p.lines}, {uapi.ProgLoadCORERelos, p.relos},
		} {
			if info.target != 0 {
				pointer(p.attr+info.field, info.target)
			}
		}
	}
}

// needsBTF says whether the program's attribute refers to types.
func (p *programPlan) needsBTF() bool { return len(p.Funcs) > 0 || len(p.Relos) > 0 }

// storeMapBTF emits the filling-in of a map's BTF. A struct_ops map has it, too: the kernel wants the BTF of the object
// that the map comes from, though no type of it.
func (c *compiler) storeMapBTF(m *object.Map, attr uint32) {
	if key, value := c.mapTypes(m); key != 0 || value != 0 || m.StructOps != nil && c.btf != nil {
		c.code.store(insn.StoreW, attr+uapi.MapCreateBTFFD, insn.R0)
	}
}

// finish emits the end: what closes the temporary descriptors after success, all after a failure. There is no loop in it: the
// verifier goes all its rounds, each of which costs twice what the two instructions do that take its place.
func (c *compiler) finish() error {
	const result = insn.R7
	code, slots := &c.code, &c.slots
	closeSlots := func(first, n int) {
		for i := range n {
			d := code.at(slotOffset(first + i))
			code.emit(insn.Insn{Op: insn.LoadW, Dst: insn.R1, Src: regBlob, Off: d}, insn.Insn{Op: insn.Call, Imm: int32(uapi.HelperSysClose)})
		}
	}
	temps := slots.numTemps()
	base := int64(slotOffset(0)) // where both ways meet, the blob is addressed from here
	if end := slotOffset(slots.total()); int64(end)-base > math.MaxInt16 {
		base = int64(slotOffset(slots.firstTemp()))
	}
	over := -1
	if temps > 0 {
		code.move(result, 0)
		code.moveBlob(base)
		over = len(code.insns)
		code.emit(insn.Insn{Op: insn.Ja}) // over what a failure begins with
	} else {
		code.move(insn.R0, 0)
		code.emit(insn.Insn{Op: insn.Exit})
	}
	if len(code.failures)+len(code.stones) == 0 { // nothing can fail, and nothing was made
		return nil
	}
	if err := code.land(); err != nil {
		return err
	}
	code.emit(insn.Insn{Op: insn.MovX, Dst: result, Src: insn.R0})
	code.loadBlob(regBlob, int64(slotOffset(0)))
	closeSlots(0, len(c.maps))
	closeSlots(slots.ofProgram(0), slots.programs)
	if temps > 0 {
		code.moveBlob(base)
		// There are at most maxDescriptors before: 16 bits do.
		code.insns[over].Off = int16(len(code.insns) - over - 1)
		closeSlots(slots.firstTemp(), temps)
	}
	code.emit(insn.Insn{Op: insn.MovX, Dst: insn.R0, Src: result}, insn.Insn{Op: insn.Exit})
	return nil
}
