package cheader

import (
	"strconv"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// names are the names that types have in the header.
//
// C has two spaces of names at file level: tags, and all others. Where several types of a kernel have one name, the first has
// it, and the others get ___2, ___3: CO-RE takes three underscores for the end of a name, and still finds them.
type names struct {
	of     []string  // by id
	actual []btf.ID  // by id: the definition that a declaration without one stands for, or the type itself
	used   []bool    // by id: types refer to it
	tags   namespace // of struct, union and enum
	idents namespace // of typedefs, enumerators, functions
}

// namespace are the names that are taken, each with the number of the last one that was made of it.
type namespace map[string]int

// take returns the name, or one made of it.
func (ns namespace) take(name string) string {
	free := name
	for {
		if ns[free] == 0 {
			ns[free] = 1
			return free
		}
		ns[name]++
		free = name + "___" + strconv.Itoa(ns[name])
	}
}

// reserved are what clang takes for something else than a name, and the macros of the header itself.
const reserved = `
	auto break case char const continue default do double else enum extern float for goto if inline int long register
	restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof
	_Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local
	_Float16 _Float32 _Float64 _Float128 _BitInt __int128 __float128 __thread __restrict __inline
	__signed__ __volatile__ __const__ __asm__ __typeof__ __attribute__ __extension__
	__ksym __weak __bpf_fastcall __VMLINUX_H__ __has_attribute`

// predefined are clang's own typedefs, with which a kernel's must not be mixed up: __builtin_va_list has one size on x86 and
// another on BPF.
const predefined = "__int128_t __uint128_t __builtin_va_list __builtin_ms_va_list"

var keywords = func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(reserved) {
		words[word] = true
	}
	return words
}()

// identifier makes a C identifier of a name. Those of C are identifiers already; other languages' may be anything.
func identifier(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, name)
	if name == "" || '0' <= name[0] && name[0] <= '9' || keywords[name] {
		return "_" + name
	}
	return name
}

// newNames names types, typedefs before functions. Enumerators get names when they are written.
func newNames(spec *btf.Spec, kfuncs []btf.ID) *names {
	n := &names{
		of:     make([]string, len(spec.Types)),
		actual: make([]btf.ID, len(spec.Types)),
		used:   make([]bool, len(spec.Types)),
		tags:   namespace{},
		idents: namespace{},
	}
	for word := range strings.FieldsSeq(predefined) {
		n.idents.take(word)
	}
	type tag struct {
		kind btf.Kind
		name string
	}
	defined := map[tag]btf.ID{}
	for id := range spec.Types {
		t := &spec.Types[id]
		n.actual[id] = btf.ID(id)
		n.markUsed(t)
		switch kind, declared := tagKind(t); {
		case t.Kind == btf.Typedef:
			n.of[id] = n.idents.take(identifier(t.Name))
		case kind == btf.Void || declared || t.Name == "":
		default:
			n.of[id] = n.tags.take(identifier(t.Name))
			if key := (tag{kind, t.Name}); defined[key] == 0 {
				defined[key] = btf.ID(id)
			}
		}
	}
	for id := range spec.Types {
		t := &spec.Types[id]
		kind, declared := tagKind(t)
		if !declared {
			continue
		}
		key := tag{kind, t.Name}
		if first := defined[key]; first != 0 {
			n.actual[id], n.of[id] = first, n.of[first]
			continue
		}
		defined[key] = btf.ID(id)
		n.of[id] = n.tags.take(identifier(t.Name))
	}
	for _, id := range kfuncs {
		n.of[id] = n.idents.take(identifier(spec.Types[id].Name))
	}
	return n
}

// tagKind says of which kind a type with a tag is, Struct, Union or Enum, and whether it has a name and nothing else.
func tagKind(t *btf.Type) (kind btf.Kind, declared bool) {
	switch {
	case t.Kind == btf.Fwd && t.Flag:
		return btf.Union, true
	case t.Kind == btf.Fwd:
		return btf.Struct, true
	case t.Kind == btf.Enum || t.Kind == btf.Enum64:
		return btf.Enum, len(t.Members) == 0 && t.Name != ""
	case t.Kind == btf.Struct || t.Kind == btf.Union:
		return t.Kind, false
	}
	return btf.Void, false
}

// markUsed marks what is written together with t.
func (n *names) markUsed(t *btf.Type) {
	switch t.Kind {
	case btf.Ptr, btf.Typedef, btf.Volatile, btf.Const, btf.Restrict, btf.FuncProto, btf.TypeTag, btf.Array:
		n.used[t.Ref] = true
	}
	switch t.Kind {
	case btf.Struct, btf.Union, btf.FuncProto:
		for i := range t.Members {
			n.used[t.Members[i].Type] = true
		}
	}
}
