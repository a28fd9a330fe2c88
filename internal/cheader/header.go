package cheader

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

const (
	head = `/* The types of a kernel, from its BTF. Generated: do not edit. */

#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

`
	kfuncsHead = `/* Kernel functions that programs may call. */
#ifndef BPF_NO_KFUNC_PROTOTYPES
`
	kfuncsTail = `#endif

`
	tail = `#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
`
)

// maxSize bounds a header and the work for it: anonymous types and functions' are written wherever they are used, and a few
// bytes of malicious BTF can nest them without end. Real headers have 3 to 4 MB.
const maxSize = 128 << 20

// writer is a header in the making.
type writer struct {
	spec        *btf.Spec
	out         bytes.Buffer
	names       *names
	states      []state   // by id
	records     []*record // by id
	pointerSize uint64
	tags        map[tagged][]*btf.Type // declaration tags, by what they tag
	spent       int                    // bytes of declarations, and of other steps
	limit       int                    // of spent
}

// tagged is what a declaration tag is of: a type as a whole, or one of its components.
type tagged struct {
	id        btf.ID
	component uint32
}

// Write returns a header of all types that have names, of anonymous enumerations, and of kernel functions, in the order of
// their ids as far as C allows.
func Write(spec *btf.Spec) ([]byte, error) { return write(spec, maxSize) }

// write is Write with a limit of bytes.
func write(spec *btf.Spec, limit int) ([]byte, error) {
	w := &writer{
		limit:       limit,
		spec:        spec,
		states:      make([]state, len(spec.Types)),
		records:     make([]*record, len(spec.Types)),
		pointerSize: pointerSize(spec),
		tags:        map[tagged][]*btf.Type{},
	}
	if err := w.checkText(); err != nil {
		return nil, err
	}
	for id := range spec.Types {
		if t := &spec.Types[id]; t.Kind == btf.DeclTag {
			at := tagged{t.Ref, t.Extra}
			w.tags[at] = append(w.tags[at], t)
		}
	}
	var kfuncs []btf.ID
	for id := range spec.Types {
		if spec.Types[id].Kind == btf.Func && w.hasTag(btf.ID(id), "bpf_kfunc") {
			kfuncs = append(kfuncs, btf.ID(id))
		}
	}
	w.names = newNames(spec, kfuncs)

	w.out.WriteString(head)
	for id := range spec.Types {
		if err := w.define(btf.ID(id)); err != nil {
			return nil, err
		}
	}
	if err := w.writeKfuncs(kfuncs); err != nil {
		return nil, err
	}
	w.out.WriteString(tail)
	return w.out.Bytes(), nil
}

// define writes what a type declares by itself, if anything. Anonymous ones are written where they are used.
func (w *writer) define(id btf.ID) error {
	t := &w.spec.Types[id]
	_, bare := tagKind(t)
	switch {
	case t.Kind == btf.Typedef:
		return w.need(id, mentioned, 0, 0)
	case bare && w.names.actual[id] == id:
		w.declareTag(id)
		return nil
	case t.Kind == btf.Enum, t.Kind == btf.Enum64,
		(t.Kind == btf.Struct || t.Kind == btf.Union) && t.Name != "":
		return w.need(id, complete, 0, 0)
	}
	return nil
}

// writeKfuncs declares kernel functions, weak: a program can ask whether the kernel has them.
func (w *writer) writeKfuncs(kfuncs []btf.ID) error {
	for _, id := range kfuncs {
		if err := w.need(w.spec.Types[id].Ref, inPrototype, 0, 0); err != nil {
			return err
		}
	}
	if len(kfuncs) == 0 {
		return nil
	}
	w.out.WriteString(kfuncsHead)
	for _, id := range kfuncs {
		t := &w.spec.Types[id]
		if proto := w.spec.Types[t.Ref].Kind; proto != btf.FuncProto {
			return w.malformed(id, "a function without a prototype")
		}
		decl, err := w.declare(t.Ref, w.names.of[id], 0)
		if err != nil {
			return err
		}
		fast := ""
		if w.hasTag(id, "bpf_fastcall") {
			fast = "__bpf_fastcall "
		}
		fmt.Fprintf(&w.out, "extern %s%s __weak __ksym;\n", fast, decl)
	}
	w.out.WriteString(kfuncsTail)
	return nil
}

// spend counts work towards the limit.
func (w *writer) spend(id btf.ID, n int) error {
	if w.spent += n; w.spent > w.limit {
		return w.malformed(id, "the header would be larger than %d MB", w.limit>>20)
	}
	return nil
}

// hasTag says whether a type as a whole has a declaration tag.
func (w *writer) hasTag(id btf.ID, name string) bool {
	return slices.ContainsFunc(w.tags[tagged{id, whole}], func(t *btf.Type) bool { return t.Name == name })
}

// whole is the component index of a declaration tag that is of no component.
const whole = ^uint32(0)

// malformed is the error that a type is not what C, or BTF, has.
func (w *writer) malformed(id btf.ID, format string, args ...any) error {
	name := ""
	switch t := &w.spec.Types[id]; {
	case t.Name == "" || len(t.Name) > maxName || t.Kind == btf.DeclTag || t.Kind == btf.TypeTag: // a tag has no name, but a value
	case t.Name == identifier(t.Name):
		name = " (" + t.Name + ")"
	default:
		name = fmt.Sprintf(" (%q)", t.Name)
	}
	return fmt.Errorf("%w: type %d%s: %s", btf.ErrMalformed, id, name, fmt.Sprintf(format, args...))
}

// pointerSize is the size of the kernel's pointers: of a long, which every kernel has.
func pointerSize(spec *btf.Spec) uint64 {
	for id := range spec.Types {
		t := &spec.Types[id]
		if t.Kind == btf.Int && (t.Name == "long" || t.Name == "long int" || t.Name == "unsigned long" || t.Name == "long unsigned int") {
			if t.Size == 4 || t.Size == 8 {
				return uint64(t.Size)
			}
		}
	}
	return 8
}
