package cheader

import (
	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// state is how far a type is.
type state uint8

const (
	declared state = 1 << iota // its tag is known
	started                    // what it needs is being written
	done
)

// use is how a declaration uses a type that it mentions.
type use uint8

const (
	// mentioned: a tag needs no declaration before, its first mention is one.
	mentioned use = iota
	// inPrototype: but in a function's parameters it would declare a type for that function alone.
	inPrototype
	// complete: the size has to be known.
	complete
)

// maxDepth bounds how deep types nest. Kernels' reach some dozens.
const maxDepth = 2000

// need writes what has to precede a declaration that uses a type. within is the record whose body the declaration is
// in, where its tag is known.
func (w *writer) need(id btf.ID, as use, within btf.ID, depth int) error {
	if depth > maxDepth {
		return w.malformed(id, "types nest deeper than %d", maxDepth)
	}
	depth++
	if err := w.spend(id, 64); err != nil { // about what a declaration is long
		return err
	}
	id = w.names.actual[id]
	t := &w.spec.Types[id]
	switch t.Kind {
	case btf.Void:
		if as == complete {
			return w.malformed(id, "a member or an element is void")
		}
		return nil
	case btf.Int, btf.Float:
		return w.once(id, func() error { w.basic(id); return nil })
	case btf.Ptr:
		return w.need(t.Ref, min(as, inPrototype), within, depth)
	case btf.Array: // C wants complete elements even where the array is pointed to
		return w.need(t.Ref, complete, within, depth)
	case btf.Const, btf.Volatile, btf.Restrict, btf.TypeTag:
		return w.need(t.Ref, as, within, depth)
	case btf.FuncProto:
		if as == complete {
			return w.malformed(id, "a member or an element is a function")
		}
		for _, ref := range append([]btf.Member{{Type: t.Ref}}, t.Members...) {
			if err := w.need(ref.Type, inPrototype, within, depth); err != nil {
				return err
			}
		}
		return nil
	case btf.Typedef:
		if err := w.once(id, func() error { return w.typedef(id, depth) }); err != nil {
			return err
		}
		if as == complete {
			return w.need(t.Ref, complete, 0, depth)
		}
		return nil
	case btf.Enum, btf.Enum64:
		if _, bare := tagKind(t); !bare {
			return w.once(id, func() error { return w.enum(id) })
		}
		fallthrough
	case btf.Fwd:
		if as == complete {
			return w.malformed(id, "a member or an element has an incomplete type")
		}
		w.mention(id, as, within)
		return nil
	case btf.Struct, btf.Union:
		switch {
		case t.Name == "": // its body is written wherever it is used, within other records too
			return w.once(id, func() error { return w.needMembers(id, 0, depth) })
		case as != complete:
			w.mention(id, as, within)
			return nil
		}
		return w.once(id, func() error {
			if err := w.needMembers(id, id, depth); err != nil {
				return err
			}
			return w.record(id)
		})
	}
	return w.malformed(id, "not a type that another can refer to")
}

// needMembers writes what a record's members need.
func (w *writer) needMembers(id, within btf.ID, depth int) error {
	for _, m := range w.spec.Types[id].Members {
		if err := w.need(m.Type, complete, within, depth); err != nil {
			return err
		}
	}
	return nil
}

// once does what there is to do for a type, if it has not been done. A type whose definition needs itself cannot be.
func (w *writer) once(id btf.ID, do func() error) error {
	switch {
	case w.states[id]&done != 0:
		return nil
	case w.states[id]&started != 0:
		return w.malformed(id, "it contains itself")
	}
	w.states[id] |= started
	if err := do(); err != nil {
		return err
	}
	w.states[id] |= done
	return nil
}

// mention declares a tag where it has to be.
func (w *writer) mention(id btf.ID, as use, within btf.ID) {
	if as == inPrototype && id != within {
		w.declareTag(id)
	}
}

// declareTag makes a tag known.
func (w *writer) declareTag(id btf.ID) {
	if w.states[id]&(declared|done) != 0 {
		return
	}
	w.states[id] |= declared
	w.out.WriteString(w.tag(id) + ";\n\n")
}

// basic declares an integer or floating-point type that C does not have.
func (w *writer) basic(id btf.ID) {
	t := &w.spec.Types[id]
	if size, ok := basicTypes[t.Name]; ok && (t.Size == size || size == long && uint64(t.Size) == w.pointerSize) {
		w.names.of[id] = t.Name
		return
	}
	w.names.of[id] = w.names.idents.take(identifier(t.Name))
	w.out.WriteString("typedef " + basicDeclaration(t, w.names.of[id]) + ";\n\n")
}

// typedef writes a typedef.
func (w *writer) typedef(id btf.ID, depth int) error {
	t := &w.spec.Types[id]
	if err := w.need(t.Ref, mentioned, 0, depth); err != nil {
		return err
	}
	decl, err := w.declare(t.Ref, w.names.of[id], 0)
	if err != nil {
		return err
	}
	return w.writeDeclaration(id, "typedef "+decl, t.Name == "bool")
}

// enum writes an enumeration that has a name, or that nothing else does.
func (w *writer) enum(id btf.ID) error {
	t := &w.spec.Types[id]
	if t.Name == "" && w.names.used[id] {
		return nil
	}
	isBool := t.Name == ""
	for _, m := range t.Members {
		isBool = isBool && (m.Name == "false" || m.Name == "true")
	}
	body, err := w.enumBody(id, 0)
	if err != nil {
		return err
	}
	return w.writeDeclaration(id, body, isBool)
}

// writeDeclaration ends a declaration with its type's tags. Those of bool, false and true are of C before C23, where they are
// keywords.
func (w *writer) writeDeclaration(id btf.ID, decl string, isBool bool) error {
	tags, err := w.declTags(id, whole)
	if err != nil {
		return err
	}
	decl += tags + ";\n"
	if isBool {
		decl = "#if __STDC_VERSION__ < 202311L\n" + decl + "#endif\n"
	}
	w.out.WriteString(decl + "\n")
	return nil
}

// record writes a struct or union that has a name.
func (w *writer) record(id btf.ID) error {
	body, err := w.recordBody(id, w.names.of[id], 0)
	if err != nil {
		return err
	}
	return w.writeDeclaration(id, body, false)
}
