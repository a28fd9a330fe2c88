// Package files checks how a command treats the files that its flags name, whatever they are.
package files

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/go-quicktest/qt"
)

// Outputs checks that a command writes to what its flag names, and never replaces what is not a regular file. The command
// writes the same each time.
func Outputs(t *testing.T, command func(out string, stdout io.Writer) error) {
	t.Helper()
	regular := filepath.Join(t.TempDir(), "out")
	qt.Assert(t, qt.IsNil(command(regular, io.Discard)))
	want := read(t, regular)
	qt.Assert(t, qt.IsTrue(len(want) > 0))
	same := func(t *testing.T, got []byte) {
		t.Helper()
		qt.Assert(t, qt.IsTrue(bytes.Equal(got, want)), qt.Commentf("%d bytes, want %d", len(got), len(want)))
	}

	t.Run("standard output", func(t *testing.T) {
		var stdout bytes.Buffer
		qt.Assert(t, qt.IsNil(command("-", &stdout)))
		same(t, stdout.Bytes())
		_, err := os.Lstat("-")
		qt.Assert(t, qt.ErrorIs(err, fs.ErrNotExist))
	})
	t.Run("existing file", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte("old"), 0o600)))
		qt.Assert(t, qt.IsNil(command(path, io.Discard)))
		same(t, read(t, path))
		hasMode(t, path, 0o600)
		only(t, dir, "out")
	})
	for _, there := range []bool{true, false} {
		t.Run(fmt.Sprintf("symbolic link, to a file %v", there), func(t *testing.T) {
			dir := t.TempDir()
			target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
			if there {
				qt.Assert(t, qt.IsNil(os.WriteFile(target, []byte("old"), 0o600)))
			}
			qt.Assert(t, qt.IsNil(os.Symlink("target", link)))
			qt.Assert(t, qt.IsNil(command(link, io.Discard)))
			same(t, read(t, target))
			hasMode(t, link, fs.ModeSymlink|0o777)
			only(t, dir, "link", "target")
		})
	}
	t.Run("FIFO", func(t *testing.T) {
		dir := t.TempDir()
		fifo := filepath.Join(dir, "fifo")
		qt.Assert(t, qt.IsNil(syscall.Mkfifo(fifo, 0o600)))
		got := make(chan []byte, 1)
		go func() {
			data, _ := os.ReadFile(fifo)
			got <- data
		}()
		qt.Assert(t, qt.IsNil(command(fifo, io.Discard)))
		hasMode(t, fifo, fs.ModeNamedPipe|0o600) // before reading, which would wait for ever if the FIFO was replaced
		same(t, <-got)
		only(t, dir, "fifo")
	})
	t.Run("device", func(t *testing.T) {
		for _, minor := range []int{null, full} {
			path := device(t, minor)
			err := command(path, io.Discard)
			if minor == full {
				qt.Assert(t, qt.ErrorIs(err, syscall.ENOSPC))
			} else {
				qt.Assert(t, qt.IsNil(err))
			}
			hasMode(t, path, fs.ModeDevice|fs.ModeCharDevice|0o600)
			only(t, filepath.Dir(path), "device")
		}
	})
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		qt.Assert(t, qt.ErrorIs(command(dir, io.Discard), syscall.EISDIR))
		only(t, dir)
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	qt.Assert(t, qt.IsNil(err))
	return data
}

func hasMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(info.Mode(), want))
}

// only asserts what is in a folder.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	qt.Assert(t, qt.IsNil(err))
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	qt.Assert(t, qt.DeepEquals(got, want))
}

// Minor numbers of the memory devices, whose major number is 1 (Documentation/admin-guide/devices.txt).
const (
	null = 3
	full = 7
)

// device makes a node of a memory device in a folder of the test's own.
func device(t *testing.T, minor int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "device")
	if err := syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|minor); err != nil {
		t.Skipf("cannot make a device node: %v", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Skipf("cannot open a device node here: %v", err)
	}
	f.Close()
	return path
}
