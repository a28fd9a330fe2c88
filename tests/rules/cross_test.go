package rules

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// checkStripped checks that an object has type information and no DWARF.
func checkStripped(t *testing.T, path string, order binary.ByteOrder) {
	t.Helper()
	f, err := elf.Open(path)
	qt.Assert(t, qt.IsNil(err))
	defer f.Close()
	qt.Check(t, qt.Equals[binary.ByteOrder](f.ByteOrder, order))
	qt.Check(t, qt.IsNotNil(f.Section(".BTF")), qt.Commentf("the type information is gone"))
	for _, s := range f.Sections {
		qt.Check(t, qt.IsFalse(strings.HasPrefix(s.Name, ".debug")), qt.Commentf("section %s", s.Name))
	}
}

// A build for a platform has the platform's byte order, in the object and in the loader made of it.
func TestByteOrder(t *testing.T) {
	if os.Getenv("TEST_SRCDIR") == "" {
		t.Skip("Bazel builds what is looked at")
	}
	for platform, order := range map[string]binary.ByteOrder{
		"linux_arm64":   binary.LittleEndian,
		"linux_armv7":   binary.LittleEndian,
		"linux_ppc64le": binary.LittleEndian,
		"linux_riscv64": binary.LittleEndian,
		"linux_s390x":   binary.BigEndian,
		"linux_x86_32":  binary.LittleEndian,
		"linux_x86_64":  binary.LittleEndian,
	} {
		t.Run(platform, func(t *testing.T) {
			object, err := os.ReadFile("objects_" + platform + ".bpf.o")
			qt.Assert(t, qt.IsNil(err))
			f, err := elf.NewFile(strings.NewReader(string(object)))
			qt.Assert(t, qt.IsNil(err))
			qt.Check(t, qt.Equals(f.Machine, elf.EM_BPF))
			qt.Check(t, qt.Equals[binary.ByteOrder](f.ByteOrder, order))
			qt.Check(t, qt.IsNotNil(f.Section(".BTF")), qt.Commentf("the type information is gone"))
			checkStripped(t, "stripped_"+platform+".bpf.o", order)

			data, err := os.ReadFile("objects_" + platform + ".bpfl")
			qt.Assert(t, qt.IsNil(err))
			b, err := bundle.Decode(data)
			qt.Assert(t, qt.IsNil(err))
			digest := sha256.Sum256(object)
			qt.Check(t, qt.DeepEquals(b.Object.SHA256, digest[:]))
			qt.Check(t, qt.Equals(b.Object.BigEndian, order == binary.BigEndian))
			qt.Check(t, qt.HasLen(b.Loaders, 2))
			for _, l := range b.Loaders {
				qt.Check(t, qt.HasLen(l.Signatures, 1))
				qt.Check(t, qt.Equals(l.Signatures[0].Kind, bundle.KindTest))
			}
		})
	}
}
