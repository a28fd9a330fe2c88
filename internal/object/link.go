package object

import (
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// link gives every program the functions that it reaches, in the order in which libbpf appends them: so a program has the
// same instructions, and the same tag, however it is loaded.
func (r *reader) link() error {
	for _, f := range r.funcs {
		if f.program == nil {
			continue
		}
		l := linker{reader: r, program: f.program, at: map[*function]int{}}
		l.info = l.hasFuncInfo(f)
		if err := l.add(f); err != nil {
			return err
		}
		if err := l.relocateCalls(f); err != nil {
			return err
		}
		callback, err := r.exceptionCallback(f)
		if err != nil {
			return err
		}
		if callback != nil {
			if _, ok := l.at[callback]; !ok { // nothing calls it: the kernel finds it by its BTF
				if err := l.add(callback); err != nil {
					return err
				}
				if err := l.relocateCalls(callback); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// linker assembles one program.
type linker struct {
	*reader
	program *Program
	at      map[*function]int // where in the program each function begins, in instructions
	info    bool              // whether the program has function and line information
}

// maxLinked bounds the memory for programs, in instructions and records about them. Each program has a copy of every function
// that it reaches, so all programs together can be much larger than the object.
const maxLinked = 1 << 24

// add appends a function's instructions, and what is known about them.
func (l *linker) add(f *function) error {
	p := l.program
	base, before := len(p.Insns), p.records()
	l.at[f] = base
	if n := base + len(f.insns); n > uapi.MaxInsns {
		return l.errorf("program "+p.Name, "with the functions that it calls, it has at least %d instructions, and the kernel takes %d", n, uapi.MaxInsns)
	}
	p.Insns = append(p.Insns, f.insns...)
	for i := range f.insns {
		if ref, ok := f.refs[i]; ok {
			ref.Insn = base + i
			p.Refs = append(p.Refs, ref)
		}
	}
	if l.ext != nil {
		if err := l.addInfo(f, base); err != nil {
			return err
		}
	}
	if l.linked += p.records() - before; l.linked > maxLinked {
		return l.errorf("program "+p.Name, "the programs up to this one have more than %d instructions and records about them: split the object", maxLinked)
	}
	return nil
}

// records is how much memory a program takes, in instructions and records about them.
func (p *Program) records() int {
	return len(p.Insns) + len(p.Refs) + len(p.Funcs) + len(p.Lines) + len(p.Relos)
}

// addInfo appends what is known about the instructions of a function that begins at base.
func (l *linker) addInfo(f *function, base int) error {
	p := l.program
	// index converts an offset in the section to an index in the program.
	index := func(off uint32) (uint32, bool) {
		return uint32(base) + (off-uint32(f.off))/insn.Size, uint64(off) >= f.off && uint64(off) < f.end()
	}
	if l.info {
		found := false
		for _, fi := range l.ext.Funcs[f.section] {
			if i, ok := index(fi.Offset); ok {
				p.Funcs = append(p.Funcs, btf.FuncInfo{Offset: i, Type: fi.Type})
				found = true
			}
		}
		if !found {
			return l.errorf("function "+f.name, "has no BTF, but program %s, which calls it, has; compile both with -g", p.Name)
		}
		for _, li := range l.ext.Lines[f.section] {
			if i, ok := index(li.Offset); ok {
				li.Offset = i
				p.Lines = append(p.Lines, li)
			}
		}
	}
	for _, cr := range l.ext.Relos[f.section] {
		if i, ok := index(cr.Offset); ok {
			cr.Offset = i
			p.Relos = append(p.Relos, cr)
		}
	}
	return nil
}

func (l *linker) hasFuncInfo(f *function) bool {
	if l.ext == nil {
		return false
	}
	for _, fi := range l.ext.Funcs[f.section] {
		if uint64(fi.Offset) == f.off {
			return true
		}
	}
	return false
}

// relocateCalls appends what f refers to, if it is not there yet, and points f's references at it.
func (l *linker) relocateCalls(f *function) error {
	base := l.at[f]
	for i, in := range f.insns {
		call := in.IsCall() && in.Src == insn.PseudoCall
		if !call && !(in.IsLoadImm64() && in.Src == insn.PseudoFunc) {
			continue
		}
		if ref, ok := f.refs[i]; ok && ref.Extern != nil {
			continue // a kfunc
		}
		to := f.calls[i]
		if to == nil && call { // a static function of the same section: no relocation, a distance
			to = l.funcAt[location{f.sec, f.off + uint64(int64(i)+int64(in.Imm)+1)*insn.Size}]
		}
		if to == nil {
			return l.errorf(fmt.Sprintf("function %s%s", f.name, l.where(f, i)), "instruction %d refers to code where no function begins", i)
		}
		at, ok := l.at[to]
		if !ok {
			if err := l.add(to); err != nil {
				return err
			}
			if err := l.relocateCalls(to); err != nil {
				return err
			}
			at = l.at[to]
		}
		l.program.Insns[base+i].Imm = int32(at - (base + i) - 1)
	}
	return nil
}

// exceptionCallback finds the function that the program's declaration tag "exception_callback:NAME" names.
func (r *reader) exceptionCallback(f *function) (*function, error) {
	if r.BTF == nil {
		return nil, nil
	}
	var found *function
	for i := range r.BTF.Types {
		t := &r.BTF.Types[i]
		name, ok := strings.CutPrefix(t.Name, "exception_callback:")
		if !ok || t.Kind != btf.DeclTag || int32(t.Extra) != -1 {
			continue
		}
		if of := &r.BTF.Types[t.Ref]; of.Kind != btf.Func || of.Name != f.name {
			continue
		}
		if found != nil {
			return nil, nil // several: the verifier says so
		}
		for _, g := range r.funcs {
			if g.program == nil && g.name == name {
				found = g
			}
		}
		if found == nil {
			return nil, r.errorf("program "+f.name, "its exception callback %q is not a function of the object", name)
		}
		if !found.global || found.hidden {
			return nil, r.errorf("program "+f.name, "its exception callback %s must be global and not hidden", name)
		}
	}
	return found, nil
}
