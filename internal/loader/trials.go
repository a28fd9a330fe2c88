package loader

import (
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// A weak kernel function may exist with another prototype than the object declares, and then counts as missing. A loader
// cannot read the kernel's BTF: bpf_btf_find_by_name_kind tells it an id and nothing else, and in-kernel CO-RE finds a function by
// name but compares no prototypes (kernel/bpf/relo_core.c). But the verifier holds a program that is attached to a function to
// that function's prototype. So the loader loads trial programs: some have to be accepted if the prototype is the declared one, some
// have to be refused. It closes them at once and attaches none.

// trial is a program that tells whether a kernel function has a property.
type trial struct {
	attach uapi.AttachType
	insns  []insn.Insn
	// accepted says whether the verifier accepts the program if the function has the property, or refuses it.
	accepted bool
}

// Errors of the kernel that say something in a trial (include/uapi/asm-generic/errno-base.h).
const (
	eperm  = 1  // the host lets nobody load such programs
	enoent = 2  // the function has no address: nothing can call it
	eacces = 13 // the verifier refused the program
)

// argument is where the context of a program that is attached to a function has the function's argument, in bytes. Behind the
// last one is the result.
func argument(i int) int16 { return int16(8 * i) }

// maxArgument is where no function has an argument: MAX_BPF_FUNC_ARGS, include/linux/bpf.h.
const maxArgument = 12

// read loads the argument at index i; size is that of the load.
func read(op uint8, i int) insn.Insn {
	return insn.Insn{Op: op, Dst: insn.R2, Src: insn.R1, Off: argument(i)}
}

// double is what the verifier accepts of a number and refuses of a pointer that it knows the target of.
var double = insn.Insn{Op: insn.MulK, Dst: insn.R2, Imm: 2}

// newTrial makes a program of what it does in between.
func newTrial(attach uapi.AttachType, accepted bool, body ...insn.Insn) trial {
	insns := append(body[:len(body):len(body)], insn.Insn{Op: insn.MovK, Dst: insn.R0}, insn.Insn{Op: insn.Exit})
	return trial{attach, insns, accepted}
}

// comparable is the trial that comes first: a program that no kernel accepts which compares at all.
func comparable() trial {
	return newTrial(uapi.AttachTraceFentry, false, read(insn.LoadDW, maxArgument+3))
}

// paramTrials tell whether a function has at least these parameters.
func (p prototype) paramTrials() (trials []trial) {
	var reads []insn.Insn
	for i, class := range p.params {
		switch class {
		case classScalar:
			reads = append(reads, read(insn.LoadW, i)) // of a pointer all 8 bytes must be read
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

// noParam is the trial that tells whether a function has no parameter at index i.
func noParam(i int) trial { return newTrial(uapi.AttachTraceFentry, false, read(insn.LoadDW, i)) }

// resultTrials tell whether a function that has as many parameters has the result.
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

// implSuffix is what the kernel appends to the name of a function whose last argument the verifier fills in: a second function in
// BTF has that argument too (KF_IMPLICIT_ARGS, kernel/bpf/verifier.c). Since 7.3 a program that is attached to the first sees
// the prototype of the second.
const implSuffix = "_impl"

// trialName is the name that the kernel is told of each trial.
const trialName = "trial"

// trialPlan is where in the blob the attribute of the trials is, one for all.
type trialPlan struct {
	attr uint32
	size int
}

// layOutTrials puts the attribute of the trials into the blob, if there are any.
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

// trialsOf returns all trials of a function, in no order.
func (l *lookup) trialsOf() []trial {
	n := len(l.proto.params)
	trials := []trial{comparable(), noParam(n), noParam(n + 1)}
	return append(append(trials, l.proto.paramTrials()...), l.proto.resultTrials()...)
}

// trialAt is where in the blob the instructions of a trial are.
func (c *compiler) trialAt(t trial) uint32 {
	return c.blob.shared(insn.Append(nil, c.order, t.insns...), 8)
}

// regOther is not zero once the trials have shown that a function has another prototype.
const regOther = insn.R7

// compare emits the trials of a function that was found. The attribute has its id and the descriptor of its BTF.
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

// compareAtAll emits the first trial. A function without an address cannot be called, and so counts as missing. Where there are no
// such programs, or a policy of the host forbids them, nothing can be compared: the function counts.
func (c *compiler) compareAtAll(done, other *label) {
	code, refused := &c.code, c.code.newLabel()
	c.loadTrial(comparable())
	code.jump(insn.JeqK, insn.R0, -eacces, refused)
	code.jump(insn.JeqK, insn.R0, -enoent, other)
	code.jump(insn.JeqK, insn.R0, -uapi.EINVAL, done)
	code.jump(insn.JeqK, insn.R0, -eperm, done)
	code.check()
	c.closeTrial()
	code.jump(insn.Ja, 0, 0, done)
	code.bind(refused)
}

// compareNumber emits the trial whether the function has no more parameters. One more is fine if the verifier fills it in; then
// nothing is known of the result, which is somewhere else.
func (c *compiler) compareNumber(l *lookup, done, other *label) {
	code, n := &c.code, len(l.proto.params)
	fewer := code.newLabel()
	c.loadTrial(noParam(n))
	code.jump(insn.JeqK, insn.R0, -eacces, fewer)
	code.check()
	c.closeTrial()
	c.try(noParam(n+1), other)
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

// try emits a trial, and goes on unless the function has another prototype.
func (c *compiler) try(t trial, other *label) {
	code, passed := &c.code, c.code.newLabel()
	c.loadTrial(t)
	if t.accepted {
		code.jump(insn.JeqK, insn.R0, -eacces, other)
		code.check()
		c.closeTrial()
	} else {
		code.jump(insn.JeqK, insn.R0, -eacces, passed)
		code.check()
		c.closeTrial()
		code.jump(insn.Ja, 0, 0, other)
	}
	code.bind(passed)
}

// loadTrial emits the loading of a trial. What becomes of it is in R0.
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
