package cheader

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// maxIndent bounds how deep anonymous types nest, which are written within one another. Kernels' nest less than ten deep.
const maxIndent = 100

// long stands for the size of a kernel's long, which is that of its pointers.
const long = 8

// basicTypes are the names that C has for numbers, as compilers write them, and their sizes for BPF.
var basicTypes = map[string]uint32{
	"_Bool": 1, "char": 1, "signed char": 1, "unsigned char": 1,
	"short": 2, "short int": 2, "unsigned short": 2, "short unsigned int": 2,
	"int": 4, "unsigned int": 4,
	"long": long, "long int": long, "unsigned long": long, "long unsigned int": long,
	"long long": 8, "long long int": 8, "unsigned long long": 8, "long long unsigned int": 8,
	"__int128": 16, "__int128 unsigned": 16, "unsigned __int128": 16,
	"float": 4, "double": 8, "long double": 8,
}

// basicDeclaration declares a name for a number that C has no name for, or none of this size when it compiles for BPF. Some
// become bytes: `long double` is shorter on BPF than on x86.
func basicDeclaration(t *btf.Type, name string) string {
	const signed, isBool = 1 << 24, 4 << 24 // BTF_INT_SIGNED and BTF_INT_BOOL, where the encoding is
	if t.Kind == btf.Float {
		switch t.Size {
		case 4:
			return "float " + name
		case 8:
			return "double " + name
		}
	} else if c, ok := map[uint32]string{1: "char", 2: "short", 4: "int", 8: "long long", 16: "__int128"}[t.Size]; ok {
		switch {
		case t.Extra&isBool != 0 && t.Size == 1:
			return "_Bool " + name
		case t.Extra&signed != 0:
			return "signed " + c + " " + name
		}
		return "unsigned " + c + " " + name
	}
	return fmt.Sprintf("struct { unsigned char bytes[%d]; } %s", t.Size, name)
}

func keyword(kind btf.Kind) string {
	switch kind {
	case btf.Union:
		return "union"
	case btf.Enum:
		return "enum"
	}
	return "struct"
}

// tag is how declarations name a struct, union or enum.
func (w *writer) tag(id btf.ID) string {
	kind, _ := tagKind(&w.spec.Types[id])
	return keyword(kind) + " " + w.names.of[id]
}

// declare returns a declaration of what has a type. inner is the name, with what has been said about it already. The
// first line follows what is before it; others are indented, by tabs.
func (w *writer) declare(id btf.ID, inner string, indent int) (string, error) {
	var qualifiers []string // innermost first
	for depth := 0; ; depth++ {
		if depth > maxDepth {
			return "", w.malformed(id, "types nest deeper than %d", maxDepth)
		}
		id = w.names.actual[id]
		t := &w.spec.Types[id]
		switch t.Kind {
		case btf.Const, btf.Volatile, btf.Restrict, btf.TypeTag:
			// Twice the same is no C, but BTF has it: of a const array of const elements.
			if q := qualifier(t); !slices.Contains(qualifiers, q) {
				qualifiers = slices.Insert(qualifiers, 0, q)
			}
		case btf.Ptr:
			inner = "*" + words(append(slices.Clip(qualifiers), inner)...)
			qualifiers = nil
		case btf.Array: // its qualifiers are its elements'
			inner = fmt.Sprintf("%s[%d]", parenthesize(inner), t.Extra)
		case btf.FuncProto: // has none
			params, err := w.params(id, indent)
			if err != nil {
				return "", err
			}
			inner = parenthesize(inner) + "(" + params + ")"
			if err := w.spend(id, len(inner)); err != nil {
				return "", err
			}
			qualifiers = nil
		default:
			return w.declareBase(id, qualifiers, inner, indent)
		}
		id = t.Ref
	}
}

// qualifier is the C for a qualifier or a type tag.
func qualifier(t *btf.Type) string {
	switch t.Kind {
	case btf.Const:
		return "const"
	case btf.Volatile:
		return "volatile"
	case btf.Restrict:
		return "restrict"
	}
	return attribute("btf_type_tag", t)
}

// parenthesize keeps a pointer together that is to an array or a function.
func parenthesize(inner string) string {
	if strings.HasPrefix(inner, "*") {
		return "(" + inner + ")"
	}
	return inner
}

// words joins words that are not empty.
func words(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), " ")
}

// declareBase is declare for what is not derived from another type.
func (w *writer) declareBase(id btf.ID, qualifiers []string, inner string, indent int) (string, error) {
	var base string
	switch t := &w.spec.Types[id]; {
	case t.Kind == btf.Void:
		base = "void"
	case t.Kind == btf.Int || t.Kind == btf.Float || t.Kind == btf.Typedef:
		base = w.names.of[id]
	case t.Name != "":
		base = w.tag(id)
	case t.Kind == btf.Enum || t.Kind == btf.Enum64:
		var err error
		if base, err = w.enumBody(id, indent); err != nil {
			return "", err
		}
	case t.Kind == btf.Struct || t.Kind == btf.Union:
		var err error
		if base, err = w.recordBody(id, "", indent); err != nil {
			return "", err
		}
	default:
		return "", w.malformed(id, "a declaration without a name")
	}
	var before, after []string
	for _, q := range qualifiers {
		if strings.HasPrefix(q, "__attribute__") {
			after = append(after, q)
		} else {
			before = append(before, q)
		}
	}
	return words(append(append(before, base), append(after, inner)...)...), nil
}

// params returns a function's parameters.
func (w *writer) params(id btf.ID, indent int) (string, error) {
	t := &w.spec.Types[id]
	if len(t.Members) == 0 {
		return "void", nil
	}
	params := make([]string, len(t.Members))
	for i, p := range t.Members {
		if p.Type == 0 && i == len(params)-1 {
			params[i] = "..."
			continue
		}
		name := p.Name
		if name != "" {
			name = identifier(name)
		}
		var err error
		if params[i], err = w.declare(p.Type, name, indent); err != nil {
			return "", err
		}
	}
	return strings.Join(params, ", "), nil
}

// attribute is the C for a tag: an attribute with the tag as its value or, with kind_flag, the tag itself. checkText has
// looked at both.
func attribute(name string, tag *btf.Type) string {
	if tag.Flag {
		return "__attribute__((" + tag.Name + "))"
	}
	return fmt.Sprintf("__attribute__((%s(%s)))", name, quote(tag.Name))
}

// escapes are those that clang takes in an attribute's string. A question mark could begin a trigraph, of which one is a
// backslash.
var escapes = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "?", `\?`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// quote returns a C string.
func quote(s string) string { return `"` + escapes.Replace(s) + `"` }

// declTags are the attributes for declaration tags of a type, or of one of its components.
func (w *writer) declTags(id btf.ID, component uint32) (string, error) {
	var attributes strings.Builder
	for _, t := range w.tags[tagged{id, component}] {
		attributes.WriteString(" " + attribute("btf_decl_tag", t))
		if err := w.spend(id, len(t.Name)); err != nil {
			return "", err
		}
	}
	return attributes.String(), nil
}

// recordBody returns a struct or union with its members; tag is empty for an anonymous one.
func (w *writer) recordBody(id btf.ID, tag string, indent int) (string, error) {
	if indent > maxIndent {
		return "", w.malformed(id, "anonymous types nest deeper than %d", maxIndent)
	}
	t := &w.spec.Types[id]
	tabs := strings.Repeat("\t", indent)
	r := w.layout(id)
	var b strings.Builder
	b.WriteString(words(keyword(t.Kind), tag, "{") + "\n")
	line := func(format string, args ...any) {
		b.WriteString(tabs + "\t" + fmt.Sprintf(format, args...) + ";\n")
	}
	fill := func(i int) {
		for _, f := range r.gaps[i].fill() {
			if f.len > 0 {
				line("%s __gap_%d[%d]", f.typ, i, f.len)
			} else {
				line("%s: %d", f.typ, f.bits)
			}
		}
	}
	if r.opaque {
		why := "C has no members that lie as this type's do"
		if len(t.Members) == 0 {
			why = "BTF does not have the members"
		}
		fmt.Fprintf(&b, "%s\t/* %s. */\n", tabs, why)
		line("unsigned char __opaque[%d]", t.Size)
	} else {
		for i := range t.Members {
			fill(i)
			decl, err := w.member(t, i, indent+1)
			if err != nil {
				return "", err
			}
			tags, err := w.declTags(id, uint32(i))
			if err != nil {
				return "", err
			}
			line("%s%s", decl, tags)
		}
		fill(len(t.Members))
	}
	b.WriteString(tabs + "}")
	if r.packed {
		b.WriteString(" __attribute__((packed))")
	}
	if r.aligned > 0 {
		fmt.Fprintf(&b, " __attribute__((aligned(%d)))", r.aligned)
	}
	return b.String(), w.spend(id, b.Len())
}

// member returns a member's declaration.
func (w *writer) member(t *btf.Type, i, indent int) (string, error) {
	m := &t.Members[i]
	_, width := w.spec.BitField(t, m)
	name := m.Name
	switch {
	case name != "":
		name = identifier(name)
	case width > 0:
	default:
		of := w.spec.Strip(m.Type)
		if kind := w.spec.Types[of].Kind; kind == btf.Struct || kind == btf.Union {
			// Named structs without a name as members (-fms-extensions) are none of standard C's: an anonymous copy is.
			return w.recordBody(of, "", indent)
		}
		name = fmt.Sprintf("__unnamed_%d", i)
	}
	if width > 0 {
		name = fmt.Sprintf("%s: %d", name, width)
	}
	return w.declare(m.Type, name, indent)
}

// enumBody returns an enumeration with its values.
func (w *writer) enumBody(id btf.ID, indent int) (string, error) {
	t := &w.spec.Types[id]
	tabs := strings.Repeat("\t", indent)
	var b strings.Builder
	b.WriteString(words("enum", w.names.of[id], "{") + "\n")
	wide := false // whether C gives it 8 bytes
	negative, large := false, false
	for _, m := range t.Members {
		v := m.Offset
		if t.Kind == btf.Enum && t.Flag {
			v = uint64(int64(int32(v)))
		}
		text := fmt.Sprint(v)
		switch {
		case t.Flag && v == 1<<63:
			text, negative, wide = "(-9223372036854775807LL - 1)", true, true
		case t.Flag && int64(v) < 0:
			text, negative, wide = fmt.Sprint(int64(v)), true, wide || int64(v) < math.MinInt32
		default:
			large, wide = large || v > math.MaxInt32, wide || v > math.MaxUint32
		}
		if t.Kind == btf.Enum64 && v != 1<<63 {
			text += "LL"
		}
		if t.Kind == btf.Enum64 && !t.Flag {
			text = fmt.Sprintf("%dULL", v)
		}
		fmt.Fprintf(&b, "%s\t%s = %s,\n", tabs, w.names.idents.take(identifier(m.Name)), text)
	}
	b.WriteString(tabs + "}")
	natural := uint32(4)
	if wide || negative && large {
		natural = 8
	}
	if mode := map[uint32]string{1: "QI", 2: "HI", 4: "SI", 8: "DI"}[t.Size]; t.Size != natural && mode != "" {
		b.WriteString(" __attribute__((mode(" + mode + ")))")
	}
	return b.String(), w.spend(id, b.Len())
}
