package file

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, size := range []int{0, 1, 9, 10} {
		want := strings.Repeat("x", size)
		put(t, path, want, 0o600)
		data, err := Read(path, 10)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(string(data), want))
	}
	put(t, path, strings.Repeat("x", 11), 0o600)
	_, err := Read(path, 10)
	qt.Assert(t, qt.ErrorIs(err, ErrTooLarge))
	qt.Assert(t, qt.Equals(err.Error(), path+" is too large: 11 bytes, limit 10"))

	_, err = Read(filepath.Join(dir, "missing"), 10)
	qt.Assert(t, qt.ErrorIs(err, fs.ErrNotExist))
	_, err = Read(dir, 10)
	qt.Assert(t, qt.ErrorIs(err, syscall.EISDIR))
	qt.Assert(t, qt.StringContains(err.Error(), dir))

	data, err := Read("/proc/self/stat", MaxText) // which has no size
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(len(data) > 0))
}

// A sparse file of a terabyte is refused before it is read, and can be looked at in parts.
func TestReadHuge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge")
	put(t, path, "head", 0o600)
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	_, err := Read(path, MaxBinary)
	qt.Assert(t, qt.ErrorIs(err, ErrTooLarge))
	qt.Assert(t, qt.Equals(err.Error(), path+" is too large: 1099511627776 bytes, limit 268435456"))
	c, err := Open(path, MaxText)
	qt.Assert(t, qt.IsNil(err))
	defer c.Close()
	qt.Assert(t, qt.Equals(c.Size(), 1<<40))
	head := make([]byte, 4)
	_, err = c.ReadAt(head, 0)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(head), "head"))
}

func TestReadEndless(t *testing.T) {
	zero := device(t, zeroDevice)
	_, err := Read(zero, 1<<16)
	qt.Assert(t, qt.ErrorIs(err, ErrTooLarge))
	qt.Assert(t, qt.Equals(err.Error(), zero+" is too large: more than 65536 bytes"))
	_, err = Open(zero, 1<<16)
	qt.Assert(t, qt.ErrorIs(err, ErrTooLarge))
}

func TestReadFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	qt.Assert(t, qt.IsNil(syscall.Mkfifo(fifo, 0o600)))
	long := bytes.Repeat([]byte("more than a pipe holds "), 10_000)
	write := func() {
		if f, err := os.OpenFile(fifo, os.O_WRONLY, 0); err == nil {
			f.Write(long)
			f.Close()
		}
	}
	go write()
	data, err := Read(fifo, MaxText)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(bytes.Equal(data, long)))

	go write()
	c, err := Open(fifo, MaxText)
	qt.Assert(t, qt.IsNil(err))
	defer c.Close()
	data, err = io.ReadAll(c)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(bytes.Equal(data, long)))
}
