package loader

import (
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// lookupKey says what is looked up in the kernel; kind is btf.Void for a symbol in kallsyms. proto is the prototype that a
// function must have, or empty.
type lookupKey struct {
	name  string
	kind  btf.Kind
	proto string
}

// lookup is a question to the kernel, asked once however many instructions and attributes want the answer.
type lookup struct {
	lookupKey
	weak   bool // nobody minds if there is none
	proto  *prototype
	implAt uint32 // where in the blob the name of the function with all arguments is, if proto is set
	slot   int    // of the module's BTF, if the answer is in one
	nameAt uint32 // where in the blob the name is
	// attributes that want the answer: offsets in the blob of a BTF id, and of the descriptor of the BTF that it is in
	ids, fds []uint32
	// attributes' flags that say that the BTF is a module's
	flags []flag
	// instructions that want it
	uses []use
}

// flag is a value for an attribute's field at an offset of the blob.
type flag struct{ off, value uint32 }

// use is an instruction that refers to a kernel symbol.
type use struct {
	program *programPlan
	insn    int
}

// lookup returns the lookup for a name, the same one for the same question.
func (c *compiler) lookup(name string, kind btf.Kind, weak bool) *lookup {
	return c.lookupByKey(lookupKey{name: name, kind: kind}, weak)
}

func (c *compiler) lookupByKey(key lookupKey, weak bool) *lookup {
	l, ok := c.lookups[key]
	if !ok {
		l = &lookup{lookupKey: key, weak: weak, slot: -1}
		if key.kind != btf.Void {
			l.slot = c.slots.addLookup()
		}
		c.lookups[key] = l
		c.asked = append(c.asked, l)
	}
	l.weak = l.weak && weak
	return l
}

// planExtern plans the lookup for an instruction's reference to the kernel.
func (c *compiler) planExtern(p *programPlan, ref object.Ref) error {
	var kind btf.Kind
	switch ref.Extern.Kind {
	case object.Kfunc:
		kind = btf.Func
	case object.TypedKsym:
		kind = btf.Var
	case object.TypelessKsym:
		kind = btf.Void
	}
	if p.Insns[ref.Insn].IsCall() && ref.Extern.Kind != object.Kfunc {
		return fmt.Errorf("it calls %s, which is declared as a variable", ref.Extern.Name)
	}
	var l *lookup
	if kind == btf.Func && ref.Extern.Weak && c.obj.BTF != nil {
		l = c.lookupWeak(ref.Extern)
	} else {
		l = c.lookup(ref.Extern.Name, kind, ref.Extern.Weak)
	}
	if l == nil {
		return nil // it stays missing
	}
	l.uses = append(l.uses, use{p, ref.Insn})
	return nil
}

// lookupWeak returns the lookup for a kernel function that counts as missing if it has another prototype: nil if it is known to have
// one. Declarations of a function with several prototypes (its name and "___" and something) are told apart.
func (c *compiler) lookupWeak(e *object.Extern) *lookup {
	if kernel := c.opts.KernelBTF; kernel != nil {
		id := kernel.Find(btf.Func, e.Name) // a module may have it, too
		if id != 0 && !(comparison{c.obj.BTF, kernel}).samePrototype(e.Type, id) {
			return nil
		}
	}
	proto, ok := prototypeOf(c.obj.BTF, e.Type)
	if !ok {
		return c.lookup(e.Name, btf.Func, true)
	}
	l := c.lookupByKey(lookupKey{e.Name, btf.Func, fmt.Sprint(proto)}, true)
	l.proto = &proto
	return l
}

// resolve emits all lookups.
func (c *compiler) resolve() {
	for _, l := range c.asked {
		if l.kind == btf.Void {
			c.resolveAddress(l)
		} else {
			c.resolveBTF(l)
		}
	}
}

// ask emits the arguments that both kinds of lookups begin with.
func (c *compiler) ask(l *lookup, flags int32) {
	c.code.address(insn.R1, l.nameAt)
	c.code.move(insn.R2, int32(len(l.name)+1))
	c.code.move(insn.R3, flags)
}

// unlessMissing emits what to do when the call just made succeeded; otherwise the loader fails, or goes on if the symbol
// is weak.
func (c *compiler) unlessMissing(l *lookup, body func()) {
	if !l.weak {
		c.code.check()
		body()
		return
	}
	c.code.skipIf(insn.JsltK, insn.R0, body)
}

// resolveBTF emits a lookup by BTF. The answer has the type's id in its lower half and in its upper one the descriptor
// of the BTF: 0 for vmlinux, that of a module must be closed.
func (c *compiler) resolveBTF(l *lookup) {
	c.ask(l, int32(l.kind))
	c.code.move(insn.R4, 0)
	c.code.call(uapi.HelperBTFFindByNameKind)
	c.unlessMissing(l, func() {
		for _, off := range l.ids {
			c.code.store(insn.StoreW, off, insn.R0)
		}
		for _, u := range l.uses {
			c.code.store(insn.StoreW, u.offset(0)+insn.ImmAt, insn.R0)
			if in := u.instruction(); !in.IsCall() {
				c.code.storeImm(insn.StoreIB, u.offset(0)+insn.RegsAt, int32(c.registers(in.Dst, insn.PseudoBTFID)))
			}
		}
		if l.proto != nil {
			c.code.store(insn.StoreW, c.trials.attr+uapi.ProgLoadAttachBTFID, insn.R0)
		}
		c.code.emit(insn.Insn{Op: insn.RshK, Dst: insn.R0, Imm: 32})
		if l.proto != nil {
			c.code.store(insn.StoreW, c.trials.attr+uapi.ProgLoadAttachBTFObjFD, insn.R0)
		}
		c.code.skipIf(insn.JeqK, insn.R0, func() {
			c.code.store(insn.StoreW, slotOffset(c.slots.ofLookup(l.slot)), insn.R0)
			for _, off := range l.fds {
				c.code.store(insn.StoreW, off, insn.R0)
			}
			for _, f := range l.flags {
				c.code.storeImm(insn.StoreIW, f.off, int32(f.value))
			}
			for _, u := range l.uses {
				if u.instruction().IsCall() {
					c.code.storeImm(insn.StoreIH, u.offset(0)+insn.OffAt, int32(c.slots.ofLookup(l.slot)))
				} else {
					c.code.store(insn.StoreW, u.offset(1)+insn.ImmAt, insn.R0)
				}
			}
		})
		if l.proto != nil {
			c.compare(l)
			c.code.skipIf(insn.JeqK, regOther, func() { c.forget(l) })
		}
	})
}

// forget emits what makes a kernel function be missing in the instructions that want it, although it was found.
func (c *compiler) forget(l *lookup) {
	for _, u := range l.uses {
		c.code.storeImm(insn.StoreIW, u.offset(0)+insn.ImmAt, 0)
		if in := u.instruction(); in.IsCall() {
			c.code.storeImm(insn.StoreIH, u.offset(0)+insn.OffAt, 0)
		} else {
			c.code.storeImm(insn.StoreIB, u.offset(0)+insn.RegsAt, int32(c.registers(in.Dst, insn.PseudoNone)))
			c.code.storeImm(insn.StoreIW, u.offset(1)+insn.ImmAt, 0)
		}
	}
}

// resolveAddress emits a lookup of an address in kallsyms.
func (c *compiler) resolveAddress(l *lookup) {
	c.ask(l, 0)
	c.code.address(insn.R4, c.scratch)
	c.code.call(uapi.HelperKallsymsLookupName)
	c.unlessMissing(l, func() {
		d := c.code.at(c.scratch)
		c.code.emit(insn.Insn{Op: insn.LoadDW, Dst: insn.R0, Src: regBlob, Off: d})
		for _, u := range l.uses {
			c.code.store(insn.StoreW, u.offset(0)+insn.ImmAt, insn.R0)
		}
		c.code.emit(insn.Insn{Op: insn.RshK, Dst: insn.R0, Imm: 32})
		for _, u := range l.uses {
			c.code.store(insn.StoreW, u.offset(1)+insn.ImmAt, insn.R0)
		}
	})
}

// registers is the byte of an instruction that holds both registers.
func (c *compiler) registers(dst, src uint8) uint8 {
	var raw [insn.Size]byte
	insn.Put(raw[:], c.order, insn.Insn{Dst: dst, Src: src})
	return raw[insn.RegsAt]
}

func (u use) instruction() insn.Insn { return u.program.Insns[u.insn] }

// offset is where in the blob the instruction is, or the slot after it.
func (u use) offset(slot int) uint32 { return u.program.insns + uint32(u.insn+slot)*insn.Size }
