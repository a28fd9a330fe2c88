package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The lines around the table in docs/kernels.md.
const (
	begin = "<!-- Measured: see tests/kernel/README.md. -->\n"
	end   = "<!-- End of what was measured. -->\n"
)

// Row returns what a document's table says of a kernel, or nil.
func Row(document, kernel string) []string {
	rows, err := rows(document)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(rows, func(r []string) bool { return r[0] == kernel })
	if i < 0 {
		return nil
	}
	return rows[i][1:]
}

// Update returns the document with a kernel's row in the place of the one that is there, or among the others by its version.
func Update(document, kernel string, row []string) (string, error) {
	table, err := rows(document)
	if err != nil {
		return "", err
	}
	row = append([]string{kernel}, row...)
	if i := slices.IndexFunc(table, func(r []string) bool { return r[0] == kernel }); i >= 0 {
		table[i] = row
	} else {
		table = append(table, row)
	}
	slices.SortStableFunc(table, func(a, b []string) int { return slices.Compare(version(a[0]), version(b[0])) })
	var text strings.Builder
	line := func(cells []string) { fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | ")) }
	head := append([]string{"Kernel"}, Columns...)
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range table {
		line(r)
	}
	before, rest, _ := strings.Cut(document, begin)
	_, after, _ := strings.Cut(rest, end)
	return before + begin + text.String() + end + after, nil
}

// version returns the numbers that a kernel's name begins with.
func version(kernel string) (numbers []int) {
	for part := range strings.SplitSeq(kernel, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		if numbers = append(numbers, n); len(digits) < len(part) {
			break
		}
	}
	return numbers
}

// rows returns the rows below the heads.
func rows(document string) (rows [][]string, err error) {
	_, rest, ok := strings.Cut(document, begin)
	table, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return nil, fmt.Errorf("the document has no lines %q and %q", begin, end)
	}
	for i, line := range strings.Split(strings.TrimSpace(table), "\n") {
		if i < 2 {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		rows = append(rows, cells)
	}
	return rows, nil
}
