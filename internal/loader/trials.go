package loader

import (
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// The kernel may have a weak function with another prototype than the object declares. Such a function counts as missing.
//
// A loader cannot read the kernel's BTF: bpf_btf_find_by_name_kind returns an id and nothing else. In-kernel CO-RE finds functions by
// name, but does not compare their prototypes (__bpf_core_types_are_compat, tools/lib/bpf/relo_core.c). The verifier does: it checks a
// program that attaches to a function against that function's prototype. So the loader loads trial programs. If the prototype is
// the declared one, the verifier accepts some of them and refuses the others. The loader closes them at once and attaches none.

// trial is a program that shows whether a kernel function has a property.
type trial struct {
	attach uapi.AttachType
	insns  []insn.Insn
	// accepted is set if the verifier accepts the program when the function has the property; otherwise it refuses it then.
	accepted bool
}

// noArgument is the index of an argument that no function has: there are at most MAX_BPF_FUNC_ARGS, which is 12 (include/linux/bpf.h).
const noArgument = 15

// read loads the argument at index i. In the context each argument takes 8 bytes; the result follows the last one.
func read(op uint8, i int) insn.Insn {
	return insn.Insn{Op: op, Dst: insn.R2, Src: insn.R1, Off: int16(8 * i)}
}

// double is accepted for a number and refused for a pointer to a struct.
var double = insn.Insn{Op: insn.MulK, Dst: insn.R2, Imm: 2}

// newTrial makes a program of its body.
func newTrial(attach uapi.AttachType, accepted bool, body ...insn.Insn) trial {
	insns := append(body[:len(body):len(body)], insn.Insn{Op: insn.MovK, Dst: insn.R0}, insn.Insn{Op: insn.Exit})
	return trial{attach, insns, accepted}
}

// controlTrial comes first: a verifier that compares prototypes refuses it, whatever the prototype is.
func controlTrial() trial {
	return newTrial(uapi.AttachTraceFentry, false, read(insn.LoadDW, noArgument))
}

// paramTrials show whether a function begins with these parameters.
func (p prototype) paramTrials() (trials []trial) {
	var reads []insn.Insn
	for i, class := range p.params {
		switch class {
		case classScalar:
			reads = append(reads, read(insn.LoadW, i)) // refused for pointers, which programs have to read whole
		case classPointer:
			reads = append(reads, read(insn.LoadDW, i), double)
		case classStructPtr:
			reads = append(reads, read(insn.LoadDW, i))
			trials = append(trials, newTrial(uapi.AttachTraceFentry, false, read(insn.LoadDW, i), double))
		}
	}
	if len(reads) > 0 {
		trials = append([]trial{newTrial(uapi.AttachTraceFentry, true, reads...)}, trials...)
	}
	return trials
}

// noParam shows whether a function has no parameter at index i.
func noParam(i int) trial { return newTrial(uapi.AttachTraceFentry, false, read(insn.LoadDW, i)) }

// resultTrials show whether a function with this number of parameters has this result.
func (p prototype) resultTrials() []trial {
	at := len(p.params)
	fexit := func(accepted bool, body ...insn.Insn) trial {
		return newTrial(uapi.AttachTraceFexit, accepted, body...)
	}
	switch p.result {
	case classVoid:
		return []trial{fexit(false, read(insn.LoadDW, at))}
	case classScalar:
		return []trial{fexit(true, read(insn.LoadW, at))}
	case classPointer:
		return []trial{fexit(true, read(insn.LoadDW, at), double)}
	case classStructPtr:
		return []trial{fexit(true, read(insn.LoadDW, at)), fexit(false, read(insn.LoadDW, at), double)}
	}
	return nil
}

// implSuffix marks the second BTF entry of a function whose last arguments the verifier fills in (KF_IMPLICIT_ARGS,
// kernel/bpf/verifier.c): the entry NAME_impl has those arguments, NAME has not. Since 7.3 a program that attaches to NAME is checked
// against the prototype of NAME_impl.
const implSuffix = "_impl"

// trialName is what the kernel calls each trial.
const trialName = "trial"

// trialPlan says where in the blob the trials' attribute is. All trials share it.
type trialPlan struct {
	attr uint32
	size int
}

// layOutTrials puts the trials' attribute into the blob, if there are any trials.
func (c *compiler) layOutTrials() {
	for _, l := range c.asked {
		if l.proto == nil || c.trials.size != 0 {
			continue
		}
		a := &attr{order: c.order}
		a.u32(uapi.ProgLoadType, uint32(uapi.ProgTypeTracing))
		a.name(uapi.ProgLoadName, trialName)
		a.reserve(uapi.ProgLoadAttachBTFObjFD + 4)
		c.trials = trialPlan{c.blob.add(a.data, 8), len(a.data)}
	}
}

// layOutTrialInsns puts the trials' instructions into the blob, each program once.
func (c *compiler) layOutTrialInsns() {
	for _, l := range c.asked {
		if l.proto == nil {
			continue
		}
		for _, t := range l.trialsOf() {
			c.trialAt(t)
		}
		l.implAt = c.blob.str(l.name + implSuffix)
	}
}

// trialsOf returns all trials that a function may need, in no particular order.
func (l *lookup) trialsOf() []trial {
	trials := []trial{controlTrial(), noParam(len(l.proto.params))}
	return append(append(trials, l.proto.paramTrials()...), l.proto.resultTrials()...)
}

// trialAt returns where in the blob the instructions of a trial are.
func (c *compiler) trialAt(t trial) uint32 {
	return c.blob.shared(insn.Append(nil, c.order, t.insns...), 8)
}

// regOther is 1 if the trials have shown that a function has another prototype, else 0.
const regOther = insn.R7

// compare emits the trials of a function that was found. Its id and its BTF's descriptor are in the attribute already.
func (c *compiler) compare(l *lookup) {
	code := &c.code
	code.move(regOther, 0)
	done, other := code.newLabel(), code.newLabel()
	c.compareAtAll(done, other)
	for _, t := range l.proto.paramTrials() {
		c.try(t, other)
	}
	c.compareNumber(l, done, other)
	for _, t := range l.proto.resultTrials() {
		c.try(t, other)
	}
	code.jump(insn.Ja, 0, 0, done)
	code.bind(other)
	code.move(regOther, 1)
	code.bind(done)
}

// compareAtAll emits the control trial. If the function has no address, nothing can call it, so it counts as missing. If the kernel has
// no such programs, or a policy of the host forbids them, there is nothing to compare with, so the function counts as present.
func (c *compiler) compareAtAll(done, other *label) {
	code, refused := &c.code, c.code.newLabel()
	c.loadTrial(controlTrial())
	code.jump(insn.JeqK, insn.R0, -uapi.EACCES, refused)
	code.jump(insn.JeqK, insn.R0, -uapi.ENOENT, other)
	code.jump(insn.JeqK, insn.R0, -uapi.EINVAL, done)
	code.jump(insn.JeqK, insn.R0, -uapi.EPERM, done)
	code.check()
	c.closeTrial()
	code.jump(insn.Ja, 0, 0, done)
	code.bind(refused)
}

// compareNumber emits the trial for further parameters. There may be some that the verifier fills in. Then the result is not compared: it
// follows those, and their number is not known.
func (c *compiler) compareNumber(l *lookup, done, other *label) {
	code, fewer := &c.code, c.code.newLabel()
	c.loadTrial(noParam(len(l.proto.params)))
	code.jump(insn.JeqK, insn.R0, -uapi.EACCES, fewer)
	code.check()
	c.closeTrial()
	code.address(insn.R1, l.implAt)
	code.move(insn.R2, int32(len(l.name)+len(implSuffix)+1))
	code.move(insn.R3, int32(btf.Func))
	code.move(insn.R4, 0)
	code.call(uapi.HelperBTFFindByNameKind)
	code.jump(insn.JsltK, insn.R0, 0, other)
	code.emit(insn.Insn{Op: insn.RshK, Dst: insn.R0, Imm: 32})
	code.skipIf(insn.JeqK, insn.R0, c.closeTrial) // the module's BTF
	code.jump(insn.Ja, 0, 0, done)
	code.bind(fewer)
}

// try emits a trial and a jump to other if the function has another prototype.
func (c *compiler) try(t trial, other *label) {
	code, passed := &c.code, c.code.newLabel()
	c.loadTrial(t)
	if t.accepted {
		code.jump(insn.JeqK, insn.R0, -uapi.EACCES, other)
		code.check()
		c.closeTrial()
	} else {
		code.jump(insn.JeqK, insn.R0, -uapi.EACCES, passed)
		code.check()
		c.closeTrial()
		code.jump(insn.Ja, 0, 0, other)
	}
	code.bind(passed)
}

// loadTrial emits the load of a trial. Its descriptor or the error is then in R0.
func (c *compiler) loadTrial(t trial) {
	code := &c.code
	code.address(insn.R1, c.trialAt(t))
	code.store(insn.StoreDW, c.trials.attr+uapi.ProgLoadInsns, insn.R1)
	code.storeImm(insn.StoreIW, c.trials.attr+uapi.ProgLoadInsnCnt, int32(len(t.insns)))
	code.storeImm(insn.StoreIW, c.trials.attr+uapi.ProgLoadAttachType, int32(t.attach))
	code.callSys(uapi.CmdProgLoad, c.trials.attr, c.trials.size)
}

// closeTrial emits the closing of the descriptor in R0.
func (c *compiler) closeTrial() {
	c.code.emit(insn.Insn{Op: insn.MovX, Dst: insn.R1, Src: insn.R0})
	c.code.call(uapi.HelperSysClose)
}
