package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// target is where output for a path goes.
type target struct {
	// path is the regular file to replace or to create, after all symbolic links; or what to open and write through.
	path string
	// info is the regular file that is there; nil if there is none.
	info fs.FileInfo
	// through is set for what is not a regular file: it is opened and written, never replaced.
	through bool
	// descriptor is the number of the open file that the path stands for, as /dev/stdout does; -1 otherwise.
	descriptor int
}

// maxLinks is how many symbolic links are followed, as the kernel does (MAXSYMLINKS).
const maxLinks = 40

// resolve follows symbolic links, dangling ones too, to the file to write. It returns an error for a folder.
func resolve(path string) (*target, error) {
	named := path
	fail := func(err error) (*target, error) {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, &fs.PathError{Op: "write", Path: named, Err: err}
	}
	for range maxLinks {
		info, err := os.Lstat(path)
		dir, base := filepath.Split(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && base != "":
			return &target{path: path, descriptor: -1}, nil
		case err != nil:
			return fail(err)
		case info.IsDir():
			return fail(syscall.EISDIR)
		case info.Mode().IsRegular():
			return &target{path: path, info: info, descriptor: -1}, nil
		case info.Mode()&fs.ModeSymlink == 0:
			return &target{path: path, through: true, descriptor: -1}, nil
		}
		if n, ok := openFile(dir, base); ok {
			return &target{path: path, through: true, descriptor: n}, nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return fail(err)
		}
		if !filepath.IsAbs(link) {
			link = dir + link // not cleaned: ".." after a symbolic link is the parent of where it leads
		}
		path = link
	}
	return fail(syscall.ELOOP)
}

// openFile reports whether a symbolic link is one of /proc/PID/fd, which stands for an open file rather than for the path
// that it shows. The number is that of the file among this process's own, or -1 if it is another's.
func openFile(dir, base string) (descriptor int, ok bool) {
	const proc = "/proc/"
	dir, err := filepath.EvalSymlinks(orHere(dir))
	if err != nil || !strings.HasPrefix(dir, proc) || filepath.Base(dir) != "fd" {
		return 0, false
	}
	self, err := os.Readlink(proc + "self")
	n, notNumber := strconv.Atoi(base)
	if err != nil || notNumber != nil || !strings.HasPrefix(dir, proc+self+"/") {
		return -1, true
	}
	return n, true
}

// sameFile reports whether two outputs would replace each other.
func sameFile(a, b *target) bool {
	dirA, baseA := filepath.Split(a.path)
	dirB, baseB := filepath.Split(b.path)
	if a.through || b.through || baseA != baseB {
		return false
	}
	infoA, errA := os.Stat(orHere(dirA))
	infoB, errB := os.Stat(orHere(dirB))
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// orHere returns a folder that filepath.Split gave, whose name is empty for the working directory.
func orHere(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}
