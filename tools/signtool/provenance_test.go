package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// A statement is of a bundle before and after it was signed, and the same every time.
func TestProvenance(t *testing.T) {
	s := newTool(t)
	unsigned, signed := s.bundle("unsigned.bpfl", small()), s.path("signed.bpfl")
	s.ok("sign", "-key", rsaKey, "-cert", rsaCert, "-in", unsigned, "-out", signed)
	source := s.write("small.bpf.c", []byte("int x;"))
	for in, out := range map[string]string{unsigned: "1.json", signed: "2.json"} {
		s.ok("provenance", "-compiler", "clang version 21", "-flag", "-O2", "-flag", "-g",
			"-kconfig", "CONFIG_HZ=250", "-kconfig", "CONFIG_LOCALVERSION=\"-a=b\"", "-material", "small.bpf.c="+source,
			"-in", in, "-out", s.path(out))
	}
	one, err := os.ReadFile(s.path("1.json"))
	qt.Assert(t, qt.IsNil(err))
	two, err := os.ReadFile(s.path("2.json"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(one, two))

	s.ok("inspect", "-provenance", s.path("1.json"), signed)
	for _, want := range []string{"clang version 21 -O2 -g", "CONFIG_HZ=250", `CONFIG_LOCALVERSION="-a=b"`, "from small.bpf.c sha256", "from small.bpf.o sha256"} {
		qt.Assert(t, qt.StringContains(s.stdout.String(), want))
	}
	s.ok("inspect", "-json", "-provenance", s.path("1.json"), signed)
	qt.Assert(t, qt.StringContains(s.stdout.String(), `"provenance": {`))

	other := small()
	other.Blob[bundle.ContractSize] ^= 1
	s.fails(cli.ExitFailed, []string{"-provenance", "not of this bundle", "small/blob"}, "inspect", "-provenance", s.path("1.json"), s.bundle("other.bpfl", other))
	// The compiler is what the objects say, if it is one.
	const object = "provenance/testdata/little.bpf.o"
	s.ok("provenance", "-compiled", object, "-compiled", object, "-in", unsigned, "-out", s.path("compiled.json"))
	s.ok("inspect", "-provenance", s.path("compiled.json"), signed)
	qt.Assert(t, qt.StringContains(s.stdout.String(), "Debian clang version 21.1.8 (13)"))
	data, err := os.ReadFile(object)
	qt.Assert(t, qt.IsNil(err))
	another := s.write("another.bpf.o", bytes.ReplaceAll(data, []byte("21.1.8"), []byte("19.1.7")))
	s.fails(cli.ExitFailed, []string{"different compilers", "21.1.8", "19.1.7"},
		"provenance", "-compiled", object, "-compiled", another, "-in", unsigned, "-out", s.path("3.json"))
	s.fails(cli.ExitFailed, []string{"-compiled", source}, "provenance", "-compiled", source, "-in", unsigned, "-out", s.path("3.json"))
	s.fails(cli.ExitUsage, []string{"-compiler or -compiled"}, "provenance", "-compiler", "x", "-compiled", object, "-in", unsigned, "-out", s.path("3.json"))

	s.fails(cli.ExitUsage, []string{"-material"}, "provenance", "-material", "x", "-in", unsigned, "-out", s.path("3.json"))
	s.fails(cli.ExitUsage, []string{"-kconfig", "NAME=VALUE"}, "provenance", "-kconfig", "CONFIG_HZ", "-in", unsigned, "-out", s.path("3.json"))
	s.fails(cli.ExitFailed, []string{"-material", "missing"}, "provenance", "-material", "x=missing", "-in", unsigned, "-out", s.path("3.json"))
	s.fails(cli.ExitFailed, []string{"-provenance", "signed.bpfl"}, "inspect", "-provenance", signed, signed)
}
