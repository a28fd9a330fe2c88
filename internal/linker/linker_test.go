package linker_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/linker"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/golden"
)

// objects is where the compiled objects of tests/features are, the linked one among them.
var objects = filepath.Join("..", "object", "testdata")

// inputs reads compiled sources of tests/features/linked.
func inputs(t testing.TB, paths ...string) (in []linker.Input) {
	t.Helper()
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		qt.Assert(t, qt.IsNil(err))
		in = append(in, linker.Input{Name: filepath.Base(path), Raw: raw})
	}
	return in
}

func part(name string) string { return filepath.Join("testdata", name+".bpf.o") }

// loaderText is what a loader of an object does and consists of.
func loaderText(t *testing.T, raw []byte) string {
	t.Helper()
	o, err := object.Parse("object.bpf.o", raw, object.Options{Kconfig: map[string]string{
		"LINUX_KERNEL_VERSION": "0x70304", "CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m",
		"CONFIG_DEFAULT_HOSTNAME": `"(none)"`,
	}})
	qt.Assert(t, qt.IsNil(err))
	b, err := loader.Compile(o, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	s, err := golden.Text(b)
	qt.Assert(t, qt.IsNil(err))
	return s
}

// The linked object is a fixture that other tests load, on real kernels too.
func TestLinked(t *testing.T) {
	for _, order := range []string{"", "eb"} {
		got, err := linker.Link(inputs(t, filepath.Join("testdata", order, "main.bpf.o"), filepath.Join("testdata", order, "lib.bpf.o")))
		qt.Assert(t, qt.IsNil(err))
		want := inputs(t, filepath.Join(objects, order, "linked.bpf.o"))[0].Raw
		qt.Check(t, qt.IsTrue(bytes.Equal(got, want)), qt.Commentf("%slinked.bpf.o is out of date: tests/features/update-fixtures", order))
	}
}

// sizes are those of the BTF, in which types that are the same have become one.
var sizes = regexp.MustCompile(`(metadata map of|BTF_LOAD) [0-9,]+ bytes`)

// Linking one object alone changes nothing else of its loader.
func TestAlone(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(objects, "*.bpf.o"))
	qt.Assert(t, qt.IsNil(err))
	more, err := filepath.Glob(filepath.Join(objects, "eb", "*.bpf.o"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(len(files) > 10 && len(more) == len(files)))
	for _, file := range append(files, more...) {
		in := inputs(t, file)
		out, err := linker.Link(in)
		qt.Assert(t, qt.IsNil(err), qt.Commentf(file))
		got, want := sizes.ReplaceAllString(loaderText(t, out), ""), sizes.ReplaceAllString(loaderText(t, in[0].Raw), "")
		qt.Check(t, qt.Equals(got, want), qt.Commentf(file))
	}
}

// What `bpftool gen object` makes of the same objects gives the same loader.
func TestBpftool(t *testing.T) {
	for _, tool := range bpftool.ForTest(t) {
		for _, order := range []string{"", "eb"} {
			paths := []string{filepath.Join("testdata", order, "main.bpf.o"), filepath.Join("testdata", order, "lib.bpf.o")}
			out := filepath.Join(t.TempDir(), "linked.bpf.o")
			msg, err := exec.Command(tool.Path, append([]string{"gen", "object", out}, paths...)...).CombinedOutput()
			qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", msg))
			ours, err := linker.Link(inputs(t, paths...))
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.Equals(loaderText(t, ours), loaderText(t, inputs(t, out)[0].Raw)))
		}
	}
}

// The tools make one object of any number, in steps or at once.
func TestSteps(t *testing.T) {
	in := inputs(t, part("main"), part("lib"))
	first, err := linker.Link(in)
	qt.Assert(t, qt.IsNil(err))
	again, err := linker.Link([]linker.Input{{"linked.o", first}})
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(loaderText(t, again), loaderText(t, first)))
	alone, err := linker.Link(in[1:])
	qt.Assert(t, qt.IsNil(err))
	steps, err := linker.Link([]linker.Input{in[0], {"alone.o", alone}})
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(loaderText(t, steps), loaderText(t, first)))
}

func TestErrors(t *testing.T) {
	license := func(in []linker.Input) []linker.Input {
		last := &in[len(in)-1]
		last.Raw = bytes.Replace(last.Raw, []byte("GPL\x00"), []byte("BSD\x00"), 1)
		return in
	}
	for _, test := range []struct {
		name, want string
		in         []linker.Input
	}{
		{"no input", "no objects", nil},
		{"no object", `a.o: cannot link: ELF: bad magic number .*`, []linker.Input{{"a.o", []byte("not ELF at all, but long enough")}}},
		{"two definitions", `main.bpf.o: cannot link: symbol first: is defined in main.bpf.o too: make one of them static or __weak`, inputs(t, part("main"), part("main"))},
		{"byte orders", `main.bpf.o: cannot link: byte order: BigEndian, but lib.bpf.o is LittleEndian`, inputs(t, part("lib"), filepath.Join("testdata", "eb", "main.bpf.o"))},
		{"types", `lib.bpf.o: cannot link: symbol offset: is .* another type than in mismatch.bpf.o|mismatch.bpf.o: .* symbol offset: is declared or defined here with another type than in lib.bpf.o`, inputs(t, part("mismatch"), part("lib"))},
		{"licenses", `lib.bpf.o: cannot link: section license: "BSD", but an object before it has "GPL": a linked object has one`, license(inputs(t, part("main"), part("lib")))},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := linker.Link(test.in)
			qt.Assert(t, qt.ErrorIs(err, linker.ErrLink))
			qt.Check(t, qt.ErrorMatches(err, "(cannot link: )?("+test.want+")"))
		})
	}
}

// FuzzLink: no object makes the linker panic, and what it makes is an object.
func FuzzLink(f *testing.F) {
	for _, name := range []string{"main", "lib", "mismatch"} {
		f.Add(inputs(f, part(name))[0].Raw)
	}
	lib := inputs(f, part("lib"))[0]
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := linker.Link([]linker.Input{{"fuzzed.o", raw}, lib})
		if err != nil {
			return
		}
		if _, err := linker.Link([]linker.Input{{"linked.o", out}}); err != nil {
			t.Error(err)
		}
	})
}
