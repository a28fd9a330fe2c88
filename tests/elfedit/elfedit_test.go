package elfedit

import (
	"bytes"
	"debug/elf"
	"testing"

	"github.com/go-quicktest/qt"
)

// No edits change nothing, each table can be changed, and what is changed is where it should be.
func TestApply(t *testing.T) {
	for _, o := range Load(t, "../../internal/object/testdata/*.o", "../../internal/object/testdata/eb/*.o") {
		qt.Check(t, qt.IsTrue(bytes.Equal(o.Apply(nil), o.raw)))
		qt.Check(t, qt.IsTrue(len(o.tables) > 5))
		for _, seed := range o.Seeds()[1:] {
			qt.Check(t, qt.HasLen(o.Apply(seed), len(o.raw)))
			qt.Check(t, qt.IsFalse(bytes.Equal(o.Apply(seed), o.raw)), qt.Commentf("%s: table %d", o.Name, seed[0]))
		}
		// The type of section 2, since section 1 has the names.
		f, err := elf.NewFile(bytes.NewReader(o.Apply([]byte{0, 2, 0, 1, 0, 0xef, 0xbe, 0, 0})))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(f.Sections[2].Type, elf.SectionType(0xbeef)))
	}
}
