package main

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/tests/files"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

var update = flag.Bool("update", false, "write the golden files")

func TestPackageName(t *testing.T) {
	for path, want := range map[string]string{
		"example.com/monitor/execsnoop": "execsnoop",
		"execsnoop":                     "execsnoop",
		"example.com/exec-snoop":        "execsnoop",
		"example.com/execsnoop/v2":      "execsnoop",
		"gopkg.in/execsnoop.v3":         "execsnoop",
		"example.com/exec_snoop":        "exec_snoop",
		"example.com/v2/snoop":          "snoop",
		"v2":                            "v2",
	} {
		got, err := packageName(path)
		qt.Check(t, qt.IsNil(err), qt.Commentf(path))
		qt.Check(t, qt.Equals(got, want), qt.Commentf(path))
	}
	for _, path := range []string{"", ".", "example.com/main", "example.com/type", "example.com/9p", "example.com/-", "example.com/_"} {
		_, err := packageName(path)
		qt.Check(t, qt.ErrorMatches(err, `import path .* cannot be a package's name: .*`), qt.Commentf(path))
	}
}

func TestIdentifier(t *testing.T) {
	for c, want := range map[string]string{
		"events":       "Events",
		"on_exec":      "OnExec",
		"_hidden":      "Hidden",
		"__u32":        "U32",
		"FOO_BAR":      "FOO_BAR",
		"a_1_b":        "A_1B",
		"ab_1_b":       "Ab1B",
		"trailing_":    "Trailing",
		"type":         "Type",
		"event.suffix": "Eventsuffix",
		"_1st":         "X1st",
		"_":            "X",
		"größe":        "Größe",
		"名前":           "X名前",
	} {
		got := identifier(c)
		qt.Check(t, qt.Equals(got, want), qt.Commentf(c))
		qt.Check(t, qt.IsTrue(token.IsIdentifier(got) && token.IsExported(got)), qt.Commentf(c))
	}
}

// Types of C that tests use.
var (
	u8     = &btf.Int{Name: "unsigned char", Size: 1}
	char   = &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	u32    = &btf.Typedef{Name: "__u32", Type: &btf.Int{Name: "unsigned int", Size: 4}}
	u64    = &btf.Typedef{Name: "__u64", Type: &btf.Int{Name: "unsigned long long", Size: 8}}
	kind   = &btf.Enum{Name: "kind", Size: 4, Values: []btf.EnumValue{{Name: "KIND_EXEC", Value: 1}, {Name: "KIND_EXIT", Value: 2}}}
	inner  = &btf.Struct{Name: "inner", Size: 8, Members: []btf.Member{{Name: "a", Type: u32}, {Name: "b", Type: &btf.Array{Index: u32, Type: u8, Nelems: 4}, Offset: 32}}}
	event  = &btf.Struct{Name: "event", Size: 32, Members: []btf.Member{{Name: "pid", Type: u32}, {Name: "kind", Type: kind, Offset: 32}, {Name: "in", Type: inner, Offset: 64}, {Name: "comm", Type: &btf.Array{Index: u32, Type: char, Nelems: 16}, Offset: 128}}}
	eventT = &btf.Typedef{Name: "event_t", Type: event}
	// Nothing in Go is like these.
	opaque  = &btf.Struct{Name: "opaque", Size: 8, Members: []btf.Member{{Name: "p", Type: &btf.Pointer{Target: event}}}}
	twins   = &btf.Struct{Name: "twins", Size: 8, Members: []btf.Member{{Name: "aa_b", Type: u32}, {Name: "aaB", Type: u32, Offset: 32}}}
	echo    = &btf.Enum{Name: "echo", Size: 4, Values: []btf.EnumValue{{Name: "ab_", Value: 1}, {Name: "ab", Value: 2}}}
	objects = &btf.Struct{Name: "objects", Size: 4, Members: []btf.Member{{Name: "n", Type: u32}}}
)

// mapOf describes a map; key and value may be nil.
type mapOf struct {
	name       string
	typ        ebpf.MapType
	section    string
	key, value btf.Type
}

// build makes a bundle of some maps, and of programs by their names and sections.
func build(t *testing.T, maps []mapOf, programs ...[2]string) *bundle.Bundle {
	t.Helper()
	var b btf.Builder
	b2 := &bundle.Bundle{Contract: bundle.Contract{
		Object: bundle.Object{Name: "test.bpf.o", SHA256: make([]byte, 32), License: "GPL"}, CtxSize: bundle.CtxHeaderSize,
	}}
	next := func() uint32 {
		off := b2.CtxSize
		b2.CtxSize += 4
		return off
	}
	id := func(typ btf.Type) uint32 {
		if typ == nil {
			return 0
		}
		n, err := b.Add(typ)
		qt.Assert(t, qt.IsNil(err))
		return uint32(n)
	}
	for _, m := range maps {
		b2.Maps = append(b2.Maps, bundle.Map{Name: m.name, Section: m.section, Ctx: next(), MapAttributes: bundle.MapAttributes{
			Type: uint32(m.typ), KeyType: id(m.key), ValueType: id(m.value),
		}})
	}
	raw, err := b.Marshal(nil, nil)
	qt.Assert(t, qt.IsNil(err))
	const insns = bundle.ContractSize
	b2.Blob = append(make([]byte, insns+bundle.InsnSize), raw...)
	b2.BTF = bundle.Range{Offset: insns + bundle.InsnSize, Size: uint32(len(raw))}
	for _, p := range programs {
		b2.Programs = append(b2.Programs, bundle.Program{Name: p[0], Section: p[1], Type: uint32(ebpf.Tracing), Insns: bundle.Range{Offset: insns, Size: bundle.InsnSize}, Ctx: next()})
	}
	b2.Loaders = []bundle.Loader{{Scheme: bundle.Payload, Insns: make([]byte, 16)}}
	qt.Assert(t, qt.IsNil(b2.Seal()))
	data, err := bundle.Encode(b2)
	qt.Assert(t, qt.IsNil(err))
	b2, err = bundle.Decode(data)
	qt.Assert(t, qt.IsNil(err))
	return b2
}

func section(name string, vars ...*btf.Var) *btf.Datasec {
	s := &btf.Datasec{Name: name}
	for _, v := range vars {
		size, err := btf.Sizeof(v.Type)
		if err != nil {
			panic(err)
		}
		s.Vars = append(s.Vars, btf.VarSecinfo{Type: v, Offset: s.Size, Size: uint32(size)})
		s.Size += uint32(size)
	}
	return s
}

func TestGolden(t *testing.T) {
	for name, b := range map[string]*bundle.Bundle{
		"full": build(t, []mapOf{
			{name: "events", typ: ebpf.RingBuf},
			{name: "counts", typ: ebpf.Hash, key: u32, value: eventT},
			{name: "states", typ: ebpf.Array, key: u32, value: kind},
			{name: "opaques", typ: ebpf.Array, key: u32, value: opaque},
			{name: "twins", typ: ebpf.Array, key: twins, value: echo},
			{name: "close", typ: ebpf.Array, key: u32, value: objects},
			{name: "exec", typ: ebpf.Array, key: u32, value: u64},
			{name: ".bss", typ: ebpf.Array, section: ".bss", key: u32, value: section(".bss",
				&btf.Var{Name: "unused_event", Type: &btf.Pointer{Target: event}, Linkage: btf.GlobalVar},
				&btf.Var{Name: "dropped", Type: u64, Linkage: btf.GlobalVar},
				&btf.Var{Name: "hidden", Type: inner, Linkage: btf.StaticVar})},
			{name: ".rodata", typ: ebpf.Array, section: ".rodata", key: u32, value: section(".rodata",
				&btf.Var{Name: "limit", Type: &btf.Const{Type: &btf.Volatile{Type: inner}}, Linkage: btf.GlobalVar},
				&btf.Var{Name: "names", Type: &btf.Array{Index: u32, Type: char, Nelems: 4}, Linkage: btf.GlobalVar},
				&btf.Var{Name: "opaque_one", Type: opaque, Linkage: btf.GlobalVar},
				&btf.Var{Name: "nameless", Type: &btf.Struct{Size: 4, Members: []btf.Member{{Name: "x", Type: u32}}}, Linkage: btf.GlobalVar})},
		}, [2]string{"on_exec", "tp_btf/sched_process_exec"}, [2]string{"exec", "fentry/x */ // not code"}),
		"programs": build(t, nil, [2]string{"drop", "xdp"}),
		"maps":     build(t, []mapOf{{name: "events", typ: ebpf.RingBuf}}),
		"empty":    build(t, nil),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := generate(b, "snoop", "snoop.bpfl")
			qt.Assert(t, qt.IsNil(err))
			again, err := generate(b, "snoop", "snoop.bpfl")
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.IsTrue(bytes.Equal(got, again)))
			_, err = parser.ParseFile(token.NewFileSet(), "", got, 0)
			qt.Assert(t, qt.IsNil(err))

			golden := filepath.Join("testdata", name+".golden")
			if *update {
				qt.Assert(t, qt.IsNil(os.WriteFile(golden, got, 0o644)))
			}
			want, err := os.ReadFile(golden)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.Equals(string(got), string(want)), qt.Commentf("go test ./tools/gogen -update writes it anew"))
		})
	}
}

func TestCollision(t *testing.T) {
	for want, b := range map[string]*bundle.Bundle{
		`the map "aa_b" \(Array\) and the map "aaB" \(Array\) would both be the field AaB of Objects: .*`: build(t,
			[]mapOf{{name: "aa_b", typ: ebpf.Array}, {name: "aaB", typ: ebpf.Array}}),
		`the map "exec_map" .* and the map "exec" .* would both be the field ExecMap of Objects: .*`: build(t,
			[]mapOf{{name: "exec_map", typ: ebpf.Array}, {name: "exec", typ: ebpf.Array}}, [2]string{"exec", "xdp"}),
		`the variables "aa_b" and "aaB" would both be the field AaB of Variables: .*`: build(t,
			[]mapOf{{name: ".bss", typ: ebpf.Array, section: ".bss", key: u32, value: section(".bss",
				&btf.Var{Name: "aa_b", Type: u32, Linkage: btf.GlobalVar}, &btf.Var{Name: "aaB", Type: u32, Linkage: btf.GlobalVar})}}),
	} {
		_, err := generate(b, "p", "p.bpfl")
		qt.Check(t, qt.ErrorMatches(err, want))
	}
}

// Nobody has verified a signature when Go code is generated, so nothing that a bundle says can become code: the contract's rules
// forbid such names, and those in the type information are checked or quoted.
func TestHostileNames(t *testing.T) {
	evil := "x\"; func init() { panic(1) } //\n*/ func init() { panic(2) }\n"
	b := build(t, []mapOf{
		{name: "evil", typ: ebpf.Array, key: &btf.Struct{Name: evil, Size: 4, Members: []btf.Member{{Name: evil, Type: u32}}}},
		{name: ".bss", typ: ebpf.Array, section: ".bss", key: u32, value: section(evil, &btf.Var{Name: evil, Type: u32, Linkage: btf.GlobalVar},
			&btf.Var{Name: "e", Type: &btf.Enum{Name: evil + "e", Size: 4, Values: []btf.EnumValue{{Name: evil, Value: 1}}}, Linkage: btf.GlobalVar})},
	}, [2]string{"p", "x\"; func init() { panic(1) } // */ func init() { panic(2) }"})
	src, err := generate(b, "p", "p.bpfl")
	qt.Assert(t, qt.IsNil(err))
	file, err := parser.ParseFile(token.NewFileSet(), "", src, 0)
	qt.Assert(t, qt.IsNil(err))
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "init" {
			t.Error("the bundle wrote a function")
		}
		return true
	})

	for _, change := range []func(*bundle.Contract){
		func(c *bundle.Contract) { c.Object.Name = evil }, func(c *bundle.Contract) { c.Maps[0].Name = evil },
		func(c *bundle.Contract) { c.Maps[1].Section = evil }, func(c *bundle.Contract) { c.Programs[0].Name = evil },
		func(c *bundle.Contract) { c.Programs[0].Section = evil },
	} {
		b := build(t, []mapOf{{name: "m", typ: ebpf.Array}, {name: ".bss", typ: ebpf.Array, section: ".bss"}}, [2]string{"p", "xdp"})
		change(&b.Contract)
		qt.Assert(t, qt.IsNil(b.Seal()))
		_, err := generate(b, "p", "p.bpfl")
		qt.Check(t, qt.ErrorIs(err, bundle.ErrMalformed))
	}
}

// No code is generated for a contract that is not the one that is signed.
func TestContract(t *testing.T) {
	b := build(t, []mapOf{{name: "allow", typ: ebpf.Array}, {name: "deny", typ: ebpf.Array}})
	b.Maps[0].Name, b.Maps[1].Name = b.Maps[1].Name, b.Maps[0].Name
	_, err := generate(b, "p", "p.bpfl")
	qt.Check(t, qt.ErrorIs(err, bundle.ErrContract))
}

func TestBrokenBTF(t *testing.T) {
	b := build(t, []mapOf{{name: "m", typ: ebpf.Array, key: u32}})
	b.Blob[b.BTF.Offset] ^= 0xff
	_, err := generate(b, "p", "p.bpfl")
	qt.Check(t, qt.ErrorMatches(err, "type information: .*"))

	b = build(t, []mapOf{{name: "m", typ: ebpf.Array, key: u32}})
	b.Maps[0].KeyType = 1000
	qt.Assert(t, qt.IsNil(b.Seal()))
	_, err = generate(b, "p", "p.bpfl")
	qt.Check(t, qt.ErrorMatches(err, "map m: type 1000: .*"))
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "x.bpfl"), filepath.Join(dir, "x.go")
	data, err := bundle.Encode(build(t, nil, [2]string{"drop", "xdp"}))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(os.WriteFile(in, data, 0o644)))
	run := func(in, importPath string) error {
		return run([]string{"-bundle", in, "-importpath", importPath, "-embed", "x.bpfl", "-out", out}, cli.NewEnv(nil, io.Discard, io.Discard))
	}
	qt.Assert(t, qt.IsNil(run(in, "example.com/drop")))
	src, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsTrue(strings.Contains(string(src), "package drop\n")))

	qt.Check(t, qt.ErrorIs(run(filepath.Join(dir, "none"), "a"), os.ErrNotExist))
	qt.Check(t, qt.ErrorMatches(run(in, "a/main"), "import path .*"))
	qt.Assert(t, qt.IsNil(os.WriteFile(in, data[1:], 0o644)))
	qt.Check(t, qt.ErrorIs(run(in, "a"), bundle.ErrMalformed))
}

func TestFiles(t *testing.T) {
	in := filepath.Join(t.TempDir(), "x.bpfl")
	data, err := bundle.Encode(build(t, nil, [2]string{"drop", "xdp"}))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(os.WriteFile(in, data, 0o644)))
	gogen := func(in, out string, stdin io.Reader, stdout io.Writer) error {
		return run([]string{"-bundle", in, "-importpath", "example.com/drop", "-embed", "x.bpfl", "-out", out}, cli.NewEnv(stdin, stdout, io.Discard))
	}
	files.Outputs(t, func(out string, stdout io.Writer) error { return gogen(in, out, nil, stdout) })
	files.Inputs(t, in, func(in string, stdin io.Reader) error { return gogen(in, "-", stdin, io.Discard) })
}
