package files

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/file"
)

// Inputs checks that a command reads what its flag names, and not more than fits into memory. The command gets a file that it
// accepts, under other names.
func Inputs(t *testing.T, good string, command func(in string, stdin io.Reader) error) {
	t.Helper()
	data := read(t, good)
	none := strings.NewReader("")
	t.Run("standard input", func(t *testing.T) {
		qt.Assert(t, qt.IsNil(command("-", strings.NewReader(string(data)))))
	})
	t.Run("FIFO", func(t *testing.T) {
		fifo := filepath.Join(t.TempDir(), "fifo")
		qt.Assert(t, qt.IsNil(syscall.Mkfifo(fifo, 0o600)))
		go func() {
			if f, err := os.OpenFile(fifo, os.O_WRONLY, 0); err == nil {
				f.Write(data)
				f.Close()
			}
		}()
		qt.Assert(t, qt.IsNil(command(fifo, none)))
	})
	t.Run("large file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "large")
		qt.Assert(t, qt.IsNil(os.WriteFile(path, data, 0o600)))
		if err := os.Truncate(path, 6<<30); err != nil {
			t.Skipf("no sparse files here: %v", err)
		}
		err := command(path, none)
		qt.Assert(t, qt.ErrorIs(err, file.ErrTooLarge))
		qt.Assert(t, qt.StringContains(err.Error(), path+" is too large: 6442450944 bytes, limit "))
	})
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		err := command(dir, none)
		qt.Assert(t, qt.ErrorIs(err, syscall.EISDIR))
		qt.Assert(t, qt.StringContains(err.Error(), dir))
	})
}
