package signing

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestReadFileLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte("12345"), 0o600)))
	_, err := readFile(path, 5)
	qt.Assert(t, qt.IsNil(err))
	_, err = readFile(path, 4)
	qt.Assert(t, qt.ErrorMatches(err, ".*longer than 4 bytes"))
}
