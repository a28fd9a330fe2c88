package loader

import "github.com/rules-bpf/rules_bpf/internal/btf"

// valueClass is what the verifier makes of an argument or a result, as far as a program that is attached to the function can
// tell.
type valueClass uint8

const (
	classUnknown   valueClass = iota // nothing that can be compared
	classVoid                        // no value
	classScalar                      // a number
	classPointer                     // an address that is a number to the verifier, like void * and int *
	classOther                       // a pointer to something else, which not every kernel lets programs read
	classStructPtr                   // a pointer to a struct or union
)

// maxParams is how many parameters are compared: MAX_BPF_FUNC_ARGS (include/linux/bpf.h) less one, for reading what lies behind.
const maxParams = 11

// prototype is what the object declares a kernel function to take and return.
type prototype struct {
	params []valueClass
	result valueClass
}

// prototypeOf returns the prototype of a function; false if it cannot be compared.
func prototypeOf(spec *btf.Spec, function btf.ID) (p prototype, ok bool) {
	f := &spec.Types[function]
	if f.Kind != btf.Func {
		return p, false
	}
	proto := &spec.Types[f.Ref]
	if proto.Kind != btf.FuncProto || len(proto.Members) > maxParams {
		return p, false
	}
	for _, m := range proto.Members {
		class := classOf(spec, m.Type)
		if class == classUnknown || class == classVoid { // void is "..."
			return p, false
		}
		p.params = append(p.params, class)
	}
	p.result = classOf(spec, proto.Ref)
	return p, p.result != classUnknown
}

func classOf(spec *btf.Spec, id btf.ID) valueClass {
	t := &spec.Types[spec.Strip(id)]
	switch t.Kind {
	case btf.Void:
		return classVoid
	case btf.Int, btf.Enum, btf.Enum64:
		if t.Size > 8 {
			return classUnknown
		}
		return classScalar
	case btf.Ptr:
		switch spec.Types[spec.Strip(t.Ref)].Kind {
		case btf.Struct, btf.Union, btf.Fwd:
			return classStructPtr
		case btf.Void, btf.Int:
			return classPointer
		}
		return classOther
	}
	return classUnknown
}

// comparison is of types of the object with types of a kernel.
type comparison struct{ own, kernel *btf.Spec }

// maxPointers is how many pointers and arrays are followed: malformed input may have a circle. maxNested is how deep prototypes
// within prototypes are compared.
const maxPointers, maxNested = 32, 2

// samePrototype says whether a function of the object can stand for one of the kernel.
func (c comparison) samePrototype(own, kernel btf.ID) bool {
	return c.same(c.own.Types[own].Ref, c.kernel.Types[kernel].Ref, maxNested)
}

// same says whether two types are of the same kind, and so is what they point at. Sizes of numbers and names do not matter, as in
// libbpf. A forward declaration stands for any struct or union.
func (c comparison) same(a, b btf.ID, nested int) bool {
	for range maxPointers {
		own, kernel := &c.own.Types[c.own.Strip(a)], &c.kernel.Types[c.kernel.Strip(b)]
		switch {
		case own.Kind != kernel.Kind:
			return isEnum(own) && isEnum(kernel) || isRecord(own) && isRecord(kernel) && (own.Kind == btf.Fwd || kernel.Kind == btf.Fwd)
		case own.Kind == btf.FuncProto:
			return nested == 0 || c.sameValues(own, kernel, nested-1)
		case own.Kind != btf.Ptr && own.Kind != btf.Array:
			return true
		}
		a, b = own.Ref, kernel.Ref
	}
	return false
}

// sameValues compares the parameters and the results of two prototypes.
func (c comparison) sameValues(own, kernel *btf.Type, nested int) bool {
	if len(own.Members) != len(kernel.Members) {
		return false
	}
	for i := range own.Members {
		if !c.same(own.Members[i].Type, kernel.Members[i].Type, nested) {
			return false
		}
	}
	return c.same(own.Ref, kernel.Ref, nested)
}

func isEnum(t *btf.Type) bool { return t.Kind == btf.Enum || t.Kind == btf.Enum64 }

func isRecord(t *btf.Type) bool {
	return t.Kind == btf.Struct || t.Kind == btf.Union || t.Kind == btf.Fwd
}
