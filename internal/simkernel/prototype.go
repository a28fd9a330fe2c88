package simkernel

import "github.com/rules-bpf/rules_bpf/internal/insn"

// ValueKind is what the verifier makes of a kernel function's argument or result.
type ValueKind uint8

// The kinds of values.
const (
	NoValue       ValueKind = iota // void
	Number                         // of up to 8 bytes
	Pointer                        // to what is no struct: a number that is read as a whole
	StructPointer                  // to a struct, which the verifier knows
)

// Prototype is what the kernel's BTF says of a function.
type Prototype struct {
	// Params and Result are as a program that is attached to the function sees them.
	Params []ValueKind
	Result ValueKind
	// NoAddress says that there is a name in BTF and no function.
	NoAddress bool
}

// attachedTo returns the prototype of the function that a program is to be attached to before or after it runs, or nil.
func (k *Kernel) attachedTo(p *Prog) *Prototype {
	if k.Config.Prototype == nil || p.Type != progTracing || p.Attach == nil || p.Attach.Kind != kindFunc ||
		p.ExpectedAttachType != attachFentry && p.ExpectedAttachType != attachFexit {
		return nil
	}
	return k.Config.Prototype(p.Attach.Name)
}

// verify is as much of the verifier as holds a program to the prototype of the function that it is to be attached to
// (btf_ctx_access, kernel/bpf/btf.c): what it reads of the function's arguments, and whether it multiplies a pointer to a
// struct. Of programs that jump or call it says nothing.
func (p *Prototype) verify(prog *Prog, insns []insn.Insn) Errno {
	for _, in := range insns {
		if in.Class().IsJump() && in.Op != insn.Exit {
			return 0
		}
	}
	if p.NoAddress {
		return ENOENT
	}
	var known [16]bool // registers with a pointer to a struct
	for _, in := range insns {
		switch class := in.Class(); {
		case class == insn.ClassLDX && in.Src == insn.R1:
			value, e := p.read(in, prog.ExpectedAttachType == attachFexit)
			if e != 0 {
				return e
			}
			known[in.Dst] = value == StructPointer
		case class.IsALU() && in.ALUOp() == insn.ALUMov:
			known[in.Dst] = in.SourceIsReg() && known[in.Src]
		case class.IsALU() && in.ALUOp() == insn.ALUMul && known[in.Dst]:
			return EACCES
		}
	}
	return 0
}

// read is a read of the context: the arguments, in 8 bytes each, and after the function has run its result.
func (p *Prototype) read(in insn.Insn, after bool) (ValueKind, Errno) {
	const argument = 8 // bytes
	if in.Off < 0 || in.Off%argument != 0 {
		return NoValue, EACCES
	}
	value := NoValue
	switch i := int(in.Off / argument); {
	case i < len(p.Params):
		value = p.Params[i]
	case i == len(p.Params) && after:
		value = p.Result
	}
	if value == NoValue || value != Number && in.MemSize() != argument {
		return NoValue, EACCES
	}
	return value, 0
}
