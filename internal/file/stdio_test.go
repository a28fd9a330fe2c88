package file

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestStdio(t *testing.T) {
	t.Chdir(t.TempDir())
	var out strings.Builder
	s := &Stdio{In: strings.NewReader("input"), Out: &out}
	data, err := s.Read(Std, 5)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(data), "input"))
	_, err = s.Read(Std, 5)
	qt.Assert(t, qt.ErrorIs(err, ErrStdTwice))
	_, err = s.Open(Std, 5)
	qt.Assert(t, qt.ErrorIs(err, ErrStdTwice))

	qt.Assert(t, qt.IsNil(s.WriteAll(Output{Path: "file", Data: []byte("one")}, Output{Path: Std, Data: []byte("two")})))
	qt.Assert(t, qt.Equals(contents(t, "file"), "one"))
	qt.Assert(t, qt.Equals(out.String(), "two"))
	qt.Assert(t, qt.ErrorIs(s.Write(Std, nil), ErrStdTwice))
	qt.Assert(t, qt.ErrorIs((&Stdio{Out: io.Discard}).WriteAll(Output{Path: Std}, Output{Path: Std}), ErrStdTwice))
	qt.Assert(t, qt.DeepEquals(names(t, "."), []string{"file"}))

	s = &Stdio{In: strings.NewReader("longer"), Out: failing{}}
	_, err = s.Read(Std, 5)
	qt.Assert(t, qt.ErrorIs(err, ErrTooLarge))
	qt.Assert(t, qt.Equals(err.Error(), "standard input is too large: more than 5 bytes"))
	// Nothing is left of a file beside an output that fails.
	qt.Assert(t, qt.ErrorIs(s.WriteAll(Output{Path: "other"}, Output{Path: Std, Data: []byte("x")}), os.ErrClosed))
	qt.Assert(t, qt.DeepEquals(names(t, "."), []string{"file"}))

	s = &Stdio{In: strings.NewReader("parts")}
	c, err := s.Open(Std, 5)
	qt.Assert(t, qt.IsNil(err))
	part := make([]byte, 2)
	_, err = c.ReadAt(part, 2)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(part), "rt"))
	qt.Assert(t, qt.IsNil(c.Close()))
}

// failing is an output that is closed.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

// Without standard input and output, as in a library, the name is one like another.
func TestStdIsAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	qt.Assert(t, qt.IsNil(Write(Std, []byte("x"))))
	data, err := Read(Std, 1)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(data), "x"))
}
