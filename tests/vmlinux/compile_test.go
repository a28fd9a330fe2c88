package vmlinux_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
)

// How headers declare names, at the beginning of a line.
var (
	tagRE     = regexp.MustCompile(`(?m)^(struct|union|enum) (\w+) \{(?:\};)?$`)
	kfuncRE   = regexp.MustCompile(`(?m)^extern .*?\b(\w+)\([^;]*\) __weak __ksym;$`)
	typedefRE = regexp.MustCompile(`(?m)^(?:typedef |\} ).*;$`)
	attrRE    = regexp.MustCompile(` ?__attribute__\(\((?:[^()]|\([^()]*\))*\)\)`)
	pointerRE = regexp.MustCompile(`\(\*+ ?(?:const |volatile |restrict )*(\w+)`)
	// Of a function, of anything else.
	functionRE = regexp.MustCompile(`^typedef [^(]*?(\w+)\(`)
	plainRE    = regexp.MustCompile(`(\w+)(?:\[\d+\])*;$`)
)

// typedefs returns the names of a header's typedefs.
func typedefs(header string) (names []string) {
	for _, line := range typedefRE.FindAllString(header, -1) {
		line = attrRE.ReplaceAllString(line, "")
		for _, re := range []*regexp.Regexp{pointerRE, functionRE, plainRE} {
			if m := re.FindStringSubmatch(line); m != nil {
				names = append(names, m[1])
				break
			}
		}
	}
	return names
}

// chunk is how many types clang is given at a time: its tables of strings and types are slow when they are large.
const chunk = 1500

// compile compiles a header for BPF, with uses of all that it declares, and describes what clang makes of it. What is
// asserted is C.
func compile(t *testing.T, header []byte, order binary.ByteOrder, asserted string, flags ...string) layouts {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "vmlinux.h")
	if err := os.WriteFile(file, header, 0o644); err != nil {
		t.Fatal(err)
	}
	var uses []string
	for _, m := range tagRE.FindAllStringSubmatch(string(header), -1) {
		uses = append(uses, m[1]+" "+m[2])
	}
	uses = append(uses, typedefs(string(header))...)

	all := layouts{}
	add := func(c string) {
		for name, list := range layoutsOf(clang(t, dir, c, order, flags)) {
			if have := all[name]; len(list) != 1 || have != nil && !slices.Equal(have, list) {
				t.Fatalf("the header declares two of %s: %v %v", name, have, list)
			}
			all[name] = list
		}
	}
	for part := range slices.Chunk(uses, chunk) {
		var c strings.Builder
		for i, typ := range part {
			fmt.Fprintf(&c, "%s *use_%d;\n", typ, i)
		}
		add(c.String())
	}
	var c strings.Builder
	c.WriteString("void *volatile sink;\nvoid use(void)\n{\n")
	for _, m := range kfuncRE.FindAllStringSubmatch(attrRE.ReplaceAllString(string(header), ""), -1) {
		fmt.Fprintf(&c, "\tsink = %s;\n", m[1])
	}
	c.WriteString("}\n" + asserted)
	add(c.String())
	return all
}

// findClang returns the path of clang. Tests that need it ask before they do what takes long.
func findClang(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("clang")
	if err != nil {
		vm.Missing(t, "no clang: install it, or run the test with Bazel")
	}
	return path
}

// clang compiles what follows the header in a folder, and returns the types.
func clang(t *testing.T, dir, c string, order binary.ByteOrder, flags []string) *btf.Spec {
	t.Helper()
	src, obj := filepath.Join(dir, "all.bpf.c"), filepath.Join(dir, "all.bpf.o")
	if err := os.WriteFile(src, []byte("#include \"vmlinux.h\"\n"+c), 0o644); err != nil {
		t.Fatal(err)
	}
	target := "bpfel"
	if order == binary.BigEndian {
		target = "bpfeb"
	}
	flags = append([]string{"-target", target, "-g", "-O2", "-nostdinc", "-Wall", "-Wextra", "-Werror", "-c", src, "-o", obj}, flags...)
	cmd := exec.Command(findClang(t), flags...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("clang: %v\n%.4000s", err, out)
	}
	data, err := os.ReadFile(obj)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.ParseFile(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// assertions says that the enumerators have the values of a kernel's, anonymous enumerations' too; but for those that have
// a name in common with something else, and those that are known to be missing.
func assertions(kernel *btf.Spec, isMissing func(name string) bool) string {
	count := map[string]int{}
	for id := range kernel.Types {
		switch typ := &kernel.Types[id]; typ.Kind {
		case btf.Typedef, btf.Func:
			count[typ.Name]++
		case btf.Enum, btf.Enum64:
			for _, m := range typ.Members {
				count[m.Name]++
			}
		}
	}
	var c strings.Builder
	for id := range kernel.Types {
		typ := &kernel.Types[id]
		if typ.Kind != btf.Enum && typ.Kind != btf.Enum64 {
			continue
		}
		for _, m := range typ.Members {
			if count[m.Name] == 1 && !isMissing(m.Name) {
				fmt.Fprintf(&c, "_Static_assert((unsigned long long)%s == %dULL, \"value\");\n", m.Name, value(typ, m))
			}
		}
	}
	return c.String()
}
