package cheader

import (
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
)

// hostile is a text that would be C of its own wherever a header repeated it.
const hostile = "unused)); } *x;\r\n#include \"/etc/hostname\"\n*/ int injected(void) { return 0; } /* ??/\" \\"

// Whatever a name in BTF is, the header has an identifier for it.
func TestHostileNames(t *testing.T) {
	s := spec(8,
		btf.Type{Kind: btf.Int, Name: hostile, Size: 4, Extra: 1<<24 | 32},
		btf.Type{Kind: btf.Float, Name: hostile, Size: 4},
		btf.Type{Kind: btf.Enum, Name: hostile, Size: 4, Members: []btf.Member{member(hostile, 0, 1)}},
		btf.Type{Kind: btf.Enum64, Name: hostile, Size: 8, Members: []btf.Member{member(hostile, 0, 1)}},
		btf.Type{Kind: btf.Fwd, Name: hostile},
		btf.Type{Kind: btf.Ptr, Ref: 8},
		btf.Type{Kind: btf.FuncProto, Ref: 4, Members: []btf.Member{member(hostile, 9, 0)}},
		btf.Type{Kind: btf.Ptr, Ref: 10},
		btf.Type{Kind: btf.Typedef, Name: hostile, Ref: 11},
		btf.Type{Kind: btf.Union, Name: hostile, Size: 4, Members: []btf.Member{member(hostile, 4, 0), member("f", 5, 0)}},
		btf.Type{Kind: btf.Struct, Name: hostile, Size: 32, Flag: true, Members: []btf.Member{
			member(hostile, 13, 0), member("e", 6, 32), member("b", 4, 64|3<<24), member("t", 12, 128), member("w", 7, 192)}},
		btf.Type{Kind: btf.Func, Name: hostile, Ref: 10, Extra: btf.Global},
		btf.Type{Kind: btf.DeclTag, Name: "bpf_kfunc", Ref: 15, Extra: whole},
	)
	header, err := Write(s)
	qt.Assert(t, qt.IsNil(err))
	checkHeader(t, string(header))
	text := declarations(t, s)
	for _, not := range []string{"#include", "/etc", "*/", "/*", "??", "injected(", `"`, `\`} {
		text := strings.NewReplacer(kfuncsHead, "", "/* Kernel functions that programs may call. */", "").Replace(text)
		qt.Check(t, qt.Not(qt.StringContains(text, not)))
	}
}

func TestNameOfAMacro(t *testing.T) {
	s := spec(8, btf.Type{Kind: btf.Struct, Name: "s", Size: 4, Members: []btf.Member{member("__weak", 1, 0)}})
	qt.Check(t, qt.Equals(declarations(t, s), "struct s { int ___weak; };"))
}

// The value of a tag is a C string, and nothing of it is outside of that.
func TestHostileTagValues(t *testing.T) {
	for value, want := range map[string]string{
		"a \"quoted\" \\ one":    `"a \"quoted\" \\ one"`,
		"\")))\n#include \"/x\"": `"\")))\n#include \"/x\""`,
		"line\rline":             `"line\rline"`,
		`??/"))`:                 `"\?\?/\"))"`,
	} {
		s := spec(8,
			btf.Type{Kind: btf.DeclTag, Name: value, Ref: 6, Extra: 0},
			btf.Type{Kind: btf.TypeTag, Name: value, Ref: 1},
			btf.Type{Kind: btf.Struct, Name: "s", Size: 4, Members: []btf.Member{member("a", 5, 0)}})
		qt.Check(t, qt.Equals(declarations(t, s),
			"struct s { int __attribute__((btf_type_tag("+want+"))) a __attribute__((btf_decl_tag("+want+"))); };"))
	}
}

// An attribute that is itself in BTF is repeated if it is one.
func TestAttributes(t *testing.T) {
	both := func(name string) []*btf.Spec {
		return []*btf.Spec{
			spec(8, btf.Type{Kind: btf.DeclTag, Name: name, Ref: 5, Flag: true, Extra: whole}, btf.Type{Kind: btf.Typedef, Name: "t", Ref: 1}),
			spec(8, btf.Type{Kind: btf.TypeTag, Name: name, Ref: 1, Flag: true}, btf.Type{Kind: btf.Typedef, Name: "t", Ref: 4}),
		}
	}
	for _, good := range []string{"address_space(1)", "preserve_static_offset", "aligned(8)", `section("a b")`, "format(printf, 1, -2)", "f(0x1f,x)"} {
		for _, s := range both(good) {
			qt.Check(t, qt.StringContains(declarations(t, s), "__attribute__(("+good+"))"))
		}
	}
	for _, bad := range []string{
		"", "1", "unused))", "unused)); int z; }", "a(", "a(b", "a)", "a(b))", "a(b)(c)", "a b", "a\n", "a(b\n)", `a("b)`, `a("\")`, `a("?")`, "a/*", "a, b", hostile,
		`a("` + "\x01" + `")`, "a(\"\xff\")", "ü",
	} {
		for _, s := range both(bad) {
			_, err := Write(s)
			qt.Assert(t, qt.ErrorIs(err, btf.ErrMalformed), qt.Commentf("%q", bad))
			qt.Check(t, qt.ErrorMatches(err, `malformed BTF: type \d: ".*" is not a C attribute, NAME or NAME\(ARGUMENTS\)`))
		}
	}
}

func TestRefusesText(t *testing.T) {
	long := strings.Repeat("x", 512)
	for want, s := range map[string]*btf.Spec{
		"type 4: a name of 512 bytes":            spec(8, btf.Type{Kind: btf.Typedef, Name: long, Ref: 1}),
		`type 4 \(s\): a name of 512 bytes`:      spec(8, btf.Type{Kind: btf.Struct, Name: "s", Size: 4, Members: []btf.Member{member(long, 1, 0)}}),
		"type 4: a tag of 5120 bytes":            spec(8, btf.Type{Kind: btf.TypeTag, Name: strings.Repeat(long, 10), Ref: 1}),
		`type 4: the tag ".xff" is not UTF-8`:    spec(8, btf.Type{Kind: btf.TypeTag, Name: "\xff", Ref: 1}),
		`type 4: the tag ".x1b.*" has a control`: spec(8, btf.Type{Kind: btf.TypeTag, Name: "\x1b[2J", Ref: 1}),
		`type 4 \("a.nb"\): it contains itself`:  spec(8, btf.Type{Kind: btf.Struct, Name: "a\nb", Members: []btf.Member{member("a", 5, 0)}}, btf.Type{Kind: btf.Struct, Name: "a\nc", Members: []btf.Member{member("a", 4, 0)}}),
	} {
		_, err := Write(s)
		qt.Assert(t, qt.ErrorIs(err, btf.ErrMalformed))
		qt.Check(t, qt.ErrorMatches(err, "malformed BTF: "+want+".*"))
	}
}

// Members, tags and enumerators that share one long text could make a few kilobytes of BTF a header of gigabytes.
func TestSharedText(t *testing.T) {
	tags := spec(8, btf.Type{Kind: btf.Typedef, Name: "t", Ref: 1})
	for range 300 {
		tags.Types = append(tags.Types, btf.Type{Kind: btf.DeclTag, Name: strings.Repeat("x", maxTag), Ref: 4, Extra: whole})
	}
	enums := spec(8)
	for range 20 {
		e := btf.Type{Kind: btf.Enum, Size: 4, Members: make([]btf.Member, 150)}
		for i := range e.Members {
			e.Members[i].Name = strings.Repeat("x", maxName)
		}
		enums.Types = append(enums.Types, e)
	}
	for _, s := range []*btf.Spec{tags, enums} {
		_, err := write(s, 1<<20)
		qt.Check(t, qt.ErrorMatches(err, ".*larger than 1 MB"))
	}
}

// Anonymous records are written within one another.
func TestNestingOfAnonymousRecords(t *testing.T) {
	s := spec(8)
	last := btf.ID(1)
	record := func(name string) btf.ID {
		s.Types = append(s.Types, btf.Type{Kind: btf.Struct, Name: name, Size: 4, Members: []btf.Member{member("m", last, 0)}})
		return btf.ID(len(s.Types) - 1)
	}
	for i := range maxIndent + maxIndent/2 {
		last = record("")
		if i == maxIndent/2 { // so that what is below is known when what is above is written
			record("s")
		}
	}
	record("s")
	_, err := Write(s)
	qt.Check(t, qt.ErrorMatches(err, ".*anonymous types nest deeper than 100"))
}
