package atomicfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

// A file is there whole or not at all, and nothing else is left.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, data := range []string{"one", "two"} {
		qt.Assert(t, qt.IsNil(Write(path, []byte(data), 0o640)))
		got, err := os.ReadFile(path)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(string(got), data))
	}
	info, err := os.Stat(path)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(info.Mode().Perm(), 0o640))

	qt.Assert(t, qt.ErrorIs(WriteNew(path, []byte("three"), 0o600), os.ErrExist))
	qt.Assert(t, qt.IsNil(os.Mkdir(filepath.Join(dir, "folder"), 0o755)))
	qt.Assert(t, qt.IsNotNil(Write(filepath.Join(dir, "folder"), []byte("x"), 0o600))) // the rename fails
	qt.Assert(t, qt.ErrorIs(Write(filepath.Join(dir, "none", "file"), nil, 0o600), os.ErrNotExist))

	entries, err := os.ReadDir(dir)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.HasLen(entries, 2))
}
