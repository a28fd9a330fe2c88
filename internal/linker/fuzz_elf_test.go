package linker_test

import (
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/linker"
	"github.com/rules-bpf/rules_bpf/tests/elfedit"
)

// FuzzLinkObjects changes two objects. What they are linked to can be linked again, and is the same then.
func FuzzLinkObjects(f *testing.F) {
	all := elfedit.Load(f, "testdata/*.o", "testdata/eb/*.o", filepath.Join(objects, "*.o"))
	for i, o := range all {
		for _, seed := range o.Seeds() {
			f.Add(uint8(i), seed, uint8(i+1), []byte(nil))
		}
	}
	f.Fuzz(func(t *testing.T, first uint8, edits []byte, second uint8, more []byte) {
		in := []linker.Input{
			{Name: "first.o", Raw: all[int(first)%len(all)].Apply(edits)},
			{Name: "second.o", Raw: all[int(second)%len(all)].Apply(more)},
		}
		if second >= 128 { // one alone gets further
			in = in[:1]
		}
		out, err := linker.Link(in)
		if err != nil {
			qt.Assert(t, qt.ErrorIs(err, linker.ErrLink))
			return
		}
		again, err := linker.Link([]linker.Input{{Name: "linked.o", Raw: out}})
		if err != nil {
			t.Fatal(err)
		}
		last, err := linker.Link([]linker.Input{{Name: "again.o", Raw: again}})
		if err != nil {
			t.Fatal(err)
		}
		qt.Assert(t, qt.Equals(len(last), len(again)))
	})
}
