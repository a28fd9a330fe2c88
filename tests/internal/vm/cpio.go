//go:build linux

package vm

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
)

// File types and the only device of an initramfs, as in the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst.
const (
	cpioDir  = 0o040755
	cpioFile = 0o100755
	cpioChar = 0o020600
)

// initramfs returns an uncompressed newc cpio archive with the given files,
// the folders they need and /dev/console, without which init would have no
// standard output. Keys are slash-separated paths; everything can be executed.
func initramfs(files map[string][]byte) ([]byte, error) {
	var w cpioWriter
	w.dirs = map[string]bool{".": true, "": true}
	w.mkdir("dev")
	w.entry("dev/console", cpioChar, 5, 1, nil)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		clean := path.Clean("/" + name)[1:]
		if w.dirs[clean] {
			return nil, fmt.Errorf("initramfs: %q is a folder", name)
		}
		if int64(len(files[name])) > 1<<32-1 {
			return nil, fmt.Errorf("initramfs: %s is too large", name)
		}
		w.mkdir(path.Dir(clean))
		w.entry(clean, cpioFile, 0, 0, files[name])
	}
	w.entry("TRAILER!!!", 0, 0, 0, nil)
	return w.Bytes(), nil
}

type cpioWriter struct {
	bytes.Buffer
	inode uint32
	dirs  map[string]bool
}

// mkdir adds a folder and its parents, once.
func (w *cpioWriter) mkdir(dir string) {
	if w.dirs[dir] {
		return
	}
	w.dirs[dir] = true
	w.mkdir(path.Dir(dir))
	w.entry(dir, cpioDir, 0, 0, nil)
}

func (w *cpioWriter) entry(name string, mode, major, minor uint32, data []byte) {
	w.inode++
	// ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
	// rdevmajor, rdevminor, namesize, check.
	fmt.Fprintf(w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		w.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	w.pad()
	w.Write(data)
	w.pad()
}

// pad aligns what follows to 4 bytes.
func (w *cpioWriter) pad() {
	for w.Len()%4 != 0 {
		w.WriteByte(0)
	}
}
