package provenance

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

// The fixtures are programs in two sections, so that the compile unit has a list of ranges:
//
//	__attribute__((section("socket"))) int one(void) { return 1; }
//	__attribute__((section("xdp"))) int two(int *p) { int i = p[0]; while (i > 9) i -= p[1]; return i; }
//
// compiled with
//
//	clang -target bpfel -g -O2 -ffile-compilation-dir=. -c two.c -o little.bpf.o
//	clang -target bpfeb -g -O2 -gdwarf-4 -ffile-compilation-dir=. -c two.c -o big-dwarf4.bpf.o
func TestProducer(t *testing.T) {
	for _, name := range []string{"little", "big-dwarf4"} {
		object, err := os.ReadFile(filepath.Join("testdata", name+".bpf.o"))
		qt.Assert(t, qt.IsNil(err))
		producer, err := Producer(object)
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(producer, "Debian clang version 21.1.8 (13)"))
	}
}

// An object without debug information, a damaged one and one that is not an object are errors, and nothing worse.
func TestNoProducer(t *testing.T) {
	object, err := os.ReadFile(filepath.Join("testdata", "little.bpf.o"))
	qt.Assert(t, qt.IsNil(err))
	_, err = Producer(bytes.ReplaceAll(object, []byte(".debug_info"), []byte(".other_info")))
	qt.Check(t, qt.ErrorIs(err, ErrProducer))
	qt.Check(t, qt.ErrorMatches(err, ".*compile it with -g, and do not strip it"))
	_, err = Producer(bytes.ReplaceAll(object, []byte("Debian clang"), []byte("\x00ebian clang")))
	qt.Check(t, qt.ErrorMatches(err, ".*compile it without -fno-ident"))
	_, err = Producer([]byte("not an object"))
	qt.Check(t, qt.ErrorIs(err, ErrProducer))
	for i := range object {
		damaged := bytes.Clone(object)
		damaged[i] ^= 0xff
		_, _ = Producer(damaged)
		_, _ = Producer(object[:i])
	}
}
