package signing

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

// A file is there whole or not at all, and nothing else is left.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, data := range []string{"one", "two"} {
		qt.Assert(t, qt.IsNil(WriteFile(path, []byte(data), 0o640)))
		got, err := os.ReadFile(path)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(string(got), data))
	}
	info, err := os.Stat(path)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(info.Mode().Perm(), 0o640))

	qt.Assert(t, qt.ErrorIs(WriteNewFile(path, []byte("three"), 0o600), os.ErrExist))
	qt.Assert(t, qt.IsNil(os.Mkdir(filepath.Join(dir, "folder"), 0o755)))
	qt.Assert(t, qt.IsNotNil(WriteFile(filepath.Join(dir, "folder"), []byte("x"), 0o600))) // the rename fails
	qt.Assert(t, qt.ErrorIs(WriteFile(filepath.Join(dir, "none", "file"), nil, 0o600), os.ErrNotExist))

	entries, err := os.ReadDir(dir)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.HasLen(entries, 2))
}

func TestReadFileLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte("12345"), 0o600)))
	_, err := readFile(path, 5)
	qt.Assert(t, qt.IsNil(err))
	_, err = readFile(path, 4)
	qt.Assert(t, qt.ErrorMatches(err, ".*longer than 4 bytes"))
}
