package rules

import (
	"os"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/tools/signtool/provenance"
)

// The statement is of the bundle, names what it was made from as the sources have it, and nothing of this machine.
func TestProvenance(t *testing.T) {
	if os.Getenv("TEST_SRCDIR") == "" {
		t.Skip("Bazel builds what is looked at")
	}
	data, err := os.ReadFile("headers_loader.intoto.json")
	qt.Assert(t, qt.IsNil(err))
	s, err := provenance.Decode(data)
	qt.Assert(t, qt.IsNil(err))
	signed, err := os.ReadFile("headers_loader.bpfl")
	qt.Assert(t, qt.IsNil(err))
	b, err := bundle.Decode(signed)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsNil(s.Check(b)))

	build := s.Predicate.BuildDefinition
	object, err := os.ReadFile("headers.bpf.o")
	qt.Assert(t, qt.IsNil(err))
	ran, err := provenance.Producer(object)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(ran, "clang"))
	qt.Check(t, qt.Equals(build.ExternalParameters.Compiler, ran))
	for _, flag := range []string{"-O2", "-mcpu=v3", "-DSHARED_DEFINE=2", "-Werror"} {
		qt.Check(t, qt.SliceContains(build.ExternalParameters.Flags, flag))
	}
	var names []string
	for _, d := range build.ResolvedDependencies {
		names = append(names, d.Name)
	}
	const here = "tests/rules/"
	for _, name := range []string{
		"headers.bpf.o", here + "testdata/headers.bpf.c", here + "testdata/own.h", here + "testdata/shared.h", here + "testdata/base/base.h",
		here + "generated/generated.h",
	} {
		qt.Check(t, qt.SliceContains(names, name))
	}
	source, err := os.ReadFile("testdata/headers.bpf.c")
	qt.Assert(t, qt.IsNil(err))
	want := provenance.NewResource(here+"testdata/headers.bpf.c", source)
	for _, d := range build.ResolvedDependencies {
		if d.Name == want.Name {
			qt.Check(t, qt.DeepEquals(d.Digest, want.Digest))
		}
	}
	host, err := os.Hostname()
	qt.Assert(t, qt.IsNil(err))
	for _, word := range []string{"bazel-out", "sandbox", os.Getenv("HOME"), `"` + host} {
		if word != "" && word != "/" {
			qt.Check(t, qt.IsFalse(strings.Contains(string(data), word)), qt.Commentf("%q is in it", word))
		}
	}
}
