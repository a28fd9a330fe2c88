package matrix

import (
	"testing"

	"github.com/go-quicktest/qt"
)

func TestTable(t *testing.T) {
	row := func(cell string) (row []string) {
		for range Columns {
			row = append(row, cell)
		}
		return row
	}
	doc := "# Kernels\n" + begin + end + "More.\n"
	qt.Check(t, qt.IsNil(Row(doc, "7.3")))
	doc, err := Update(doc, "7.2", row("a"))
	qt.Assert(t, qt.IsNil(err))
	doc, err = Update(doc, "7.3", row("b"))
	qt.Assert(t, qt.IsNil(err))
	doc, err = Update(doc, "7.2", row("c"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(Row(doc, "7.2"), row("c")))
	qt.Check(t, qt.DeepEquals(Row(doc, "7.3"), row("b")))
	qt.Check(t, qt.IsNil(Row(doc, "7.1")))
	again, err := Update(doc, "7.3", row("b"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(again, doc))
	for _, kernel := range []string{"6.18", "7.10", "7.2-s390x", "6.18.44-own, without signatures"} {
		doc, err = Update(doc, kernel, row("d"))
		qt.Assert(t, qt.IsNil(err))
	}
	table, err := rows(doc)
	qt.Assert(t, qt.IsNil(err))
	var order []string
	for _, r := range table {
		order = append(order, r[0])
	}
	qt.Check(t, qt.DeepEquals(order, []string{"6.18", "6.18.44-own, without signatures", "7.2", "7.2-s390x", "7.3", "7.10"}))
	qt.Check(t, qt.StringContains(doc, "# Kernels\n"))
	qt.Check(t, qt.StringContains(doc, "\nMore.\n"))

	_, err = Update("nothing", "7.3", row("b"))
	qt.Check(t, qt.ErrorMatches(err, "the document has no lines .*"))
}
