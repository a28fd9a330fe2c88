package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-quicktest/qt"
)

// contents returns what is in a file.
func contents(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	qt.Assert(t, qt.IsNil(err))
	return string(data)
}

// put makes a file.
func put(t *testing.T, path, data string, perm fs.FileMode) {
	t.Helper()
	qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte(data), perm)))
	qt.Assert(t, qt.IsNil(os.Chmod(path, perm)))
}

// names lists a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	qt.Assert(t, qt.IsNil(err))
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// isLink asserts that a symbolic link is still one.
func isLink(t *testing.T, path string) {
	t.Helper()
	info, err := os.Lstat(path)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(info.Mode().Type(), fs.ModeSymlink))
}

func TestWriteRegular(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, data := range []string{"first", "2", ""} {
		qt.Assert(t, qt.IsNil(Write(path, []byte(data))))
		qt.Assert(t, qt.Equals(contents(t, path), data))
	}
	qt.Assert(t, qt.DeepEquals(names(t, dir), []string{"file"}))
}

// A new file gets what the umask leaves, an existing one keeps what it has, and readers of the old file keep that.
func TestWriteAttributes(t *testing.T) {
	dir := t.TempDir()
	fresh := filepath.Join(dir, "fresh")
	old := syscall.Umask(0o027)
	err := Write(fresh, []byte("x"))
	syscall.Umask(old)
	qt.Assert(t, qt.IsNil(err))
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		qt.Assert(t, qt.IsNil(err))
		return info.Mode()
	}
	qt.Assert(t, qt.Equals(mode(fresh), 0o640))

	for _, perm := range []fs.FileMode{0o600, 0o666, 0o755, 0o444} {
		path := filepath.Join(dir, fmt.Sprintf("%o", perm))
		put(t, path, "old", perm)
		if os.Geteuid() == 0 {
			if err := os.Chown(path, 12345, 54321); err != nil {
				t.Skipf("cannot give a file to another user: %v", err)
			}
		}
		reader, err := os.Open(path)
		qt.Assert(t, qt.IsNil(err))
		defer reader.Close()
		qt.Assert(t, qt.IsNil(Write(path, []byte("new"))))
		qt.Assert(t, qt.Equals(mode(path), perm))
		if os.Geteuid() == 0 {
			info, err := os.Stat(path)
			qt.Assert(t, qt.IsNil(err))
			owner := info.Sys().(*syscall.Stat_t)
			qt.Assert(t, qt.DeepEquals([]uint32{owner.Uid, owner.Gid}, []uint32{12345, 54321}))
		}
		before := make([]byte, 10)
		n, err := reader.Read(before)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(string(before[:n]), "old"))
	}
}

func TestWriteThroughLinks(t *testing.T) {
	for _, c := range []struct {
		name string
		// make makes links from "out" in dir to "real" in dir/sub.
		make func(dir string) error
	}{
		{"absolute", func(dir string) error { return os.Symlink(filepath.Join(dir, "sub/real"), filepath.Join(dir, "out")) }},
		{"relative", func(dir string) error { return os.Symlink("sub/real", filepath.Join(dir, "out")) }},
		{"chain", func(dir string) error {
			return errors.Join(os.Symlink("one", filepath.Join(dir, "out")), os.Symlink("sub/two", filepath.Join(dir, "one")),
				os.Symlink("real", filepath.Join(dir, "sub/two")))
		}},
		{"parent of a linked folder", func(dir string) error {
			// elsewhere/up is sub/deep, so elsewhere/up/../real is sub/real and not elsewhere/real.
			return errors.Join(os.MkdirAll(filepath.Join(dir, "sub/deep"), 0o755), os.Mkdir(filepath.Join(dir, "elsewhere"), 0o755),
				os.Symlink("../sub/deep", filepath.Join(dir, "elsewhere/up")), os.Symlink("elsewhere/up/../real", filepath.Join(dir, "out")))
		}},
		{"linked folder", func(dir string) error {
			return errors.Join(os.Symlink("sub", filepath.Join(dir, "other")), os.Symlink("other/real", filepath.Join(dir, "out")))
		}},
	} {
		for _, there := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", c.name, there), func(t *testing.T) {
				dir := t.TempDir()
				real, out := filepath.Join(dir, "sub/real"), filepath.Join(dir, "out")
				qt.Assert(t, qt.IsNil(os.Mkdir(filepath.Join(dir, "sub"), 0o755)))
				if there {
					put(t, real, "old", 0o600)
				}
				qt.Assert(t, qt.IsNil(c.make(dir)))
				qt.Assert(t, qt.IsNil(Write(out, []byte("new"))))
				isLink(t, out)
				qt.Assert(t, qt.Equals(contents(t, real), "new"))
				info, err := os.Lstat(real)
				qt.Assert(t, qt.IsNil(err))
				qt.Assert(t, qt.IsTrue(info.Mode().IsRegular()))
				qt.Assert(t, qt.IsFalse(strings.Contains(fmt.Sprint(names(t, dir), names(t, filepath.Join(dir, "sub"))), ".rules_bpf")))
			})
		}
	}
}

func TestWriteNowhere(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	qt.Assert(t, qt.IsNil(os.Mkdir(at("folder"), 0o755)))
	put(t, at("file"), "kept", 0o644)
	for name, to := range map[string]string{"self": "self", "a": "b", "b": "a", "to-folder": "folder", "dangling": "missing/file", "beyond": "file/below"} {
		qt.Assert(t, qt.IsNil(os.Symlink(to, at(name))))
	}
	before := names(t, dir)
	for _, c := range []struct {
		path string
		want error
	}{
		{at("self"), syscall.ELOOP}, {at("a"), syscall.ELOOP},
		{at("folder"), syscall.EISDIR}, {at("to-folder"), syscall.EISDIR}, {at("folder") + "/", syscall.EISDIR}, {dir, syscall.EISDIR},
		{at("dangling"), fs.ErrNotExist}, {at("missing/file"), fs.ErrNotExist}, {at("missing") + "/", fs.ErrNotExist}, {"", fs.ErrNotExist},
		{at("beyond"), syscall.ENOTDIR}, {at("file/below"), syscall.ENOTDIR},
	} {
		err := Write(c.path, []byte("x"))
		qt.Check(t, qt.ErrorIs(err, c.want), qt.Commentf("%s", c.path))
		qt.Check(t, qt.StringContains(err.Error(), c.path))
	}
	qt.Assert(t, qt.DeepEquals(names(t, dir), before))
	qt.Assert(t, qt.Equals(contents(t, at("file")), "kept"))
}

// A FIFO is written, by its name or by a link to it, and is one afterwards.
func TestWriteFIFO(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	qt.Assert(t, qt.IsNil(syscall.Mkfifo(fifo, 0o600)))
	qt.Assert(t, qt.IsNil(os.Symlink("fifo", link)))
	long := bytes.Repeat([]byte("more than a pipe holds "), 10_000)
	for _, path := range []string{fifo, link} {
		read := make(chan string, 1)
		go func() {
			data, err := os.ReadFile(fifo)
			read <- fmt.Sprint(string(data), err)
		}()
		qt.Assert(t, qt.IsNil(Write(path, long)))
		qt.Assert(t, qt.IsTrue(<-read == string(long)+"<nil>"))
		info, err := os.Lstat(fifo)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(info.Mode().Type(), fs.ModeNamedPipe))
	}
	isLink(t, link)
	qt.Assert(t, qt.DeepEquals(names(t, dir), []string{"fifo", "link"}))
}

// device makes a device node of the machine's memory devices in a folder of the test's own.
func device(t *testing.T, minor uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "device")
	if err := syscall.Mknod(path, syscall.S_IFCHR|0o600, int(1<<8|minor)); err != nil {
		t.Skipf("cannot make a device node: %v", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Skipf("cannot open a device node here: %v", err)
	}
	f.Close()
	return path
}

// The minor numbers of memory devices (Documentation/admin-guide/devices.txt).
const (
	nullDevice = 3
	zeroDevice = 5
	fullDevice = 7
)

func TestWriteDevice(t *testing.T) {
	null := device(t, nullDevice)
	qt.Assert(t, qt.IsNil(Write(null, []byte("x"))))
	full := device(t, fullDevice)
	qt.Assert(t, qt.ErrorIs(Write(full, []byte("x")), syscall.ENOSPC))
	for _, path := range []string{null, full} {
		info, err := os.Lstat(path)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(info.Mode().Type(), fs.ModeDevice|fs.ModeCharDevice))
	}
}

// What /dev/stdout is: a link to a descriptor of the process. What others have written there stays.
func TestWriteDescriptor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	f, err := os.Create(path)
	qt.Assert(t, qt.IsNil(err))
	defer f.Close()
	_, err = f.WriteString("head ")
	qt.Assert(t, qt.IsNil(err))
	link := filepath.Join(dir, "stdout")
	qt.Assert(t, qt.IsNil(os.Symlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), link)))
	if _, err := os.Stat(link); err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	qt.Assert(t, qt.IsNil(Write(link, []byte("body "))))
	qt.Assert(t, qt.IsNil(Write(fmt.Sprintf("/proc/thread-self/fd/%d", f.Fd()), []byte("more "))))
	_, err = f.WriteString("tail")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(contents(t, path), "head body more tail"))
	isLink(t, link)

	qt.Assert(t, qt.IsNil(os.Remove(path))) // the link now shows "file (deleted)"
	qt.Assert(t, qt.IsNil(Write(link, []byte("!"))))
	qt.Assert(t, qt.DeepEquals(names(t, dir), []string{"stdout"}))

	r, w, err := os.Pipe()
	qt.Assert(t, qt.IsNil(err))
	defer r.Close()
	qt.Assert(t, qt.IsNil(Write(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), []byte("piped"))))
	w.Close()
	data := make([]byte, 10)
	n, err := r.Read(data)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(data[:n]), "piped"))
}

func TestWriteSecret(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	secret := func(name string) error {
		return WriteAll(Output{Path: at(name), Data: []byte("key"), Secret: true})
	}
	old := syscall.Umask(0)
	err := secret("key")
	syscall.Umask(old)
	qt.Assert(t, qt.IsNil(err))
	info, err := os.Stat(at("key"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(info.Mode(), 0o600))

	// Whoever made one of these could read the key.
	qt.Assert(t, qt.IsNil(syscall.Mkfifo(at("fifo"), 0o666)))
	qt.Assert(t, qt.IsNil(os.Symlink("readable", at("dangling"))))
	put(t, at("empty"), "", 0o666)
	for _, name := range []string{"key", "fifo", "dangling", "empty"} {
		qt.Check(t, qt.ErrorIs(secret(name), fs.ErrExist))
	}
	qt.Assert(t, qt.DeepEquals(names(t, dir), []string{"dangling", "empty", "fifo", "key"}))
	qt.Assert(t, qt.Equals(contents(t, at("key")), "key"))
}

// Several files appear, or none: whatever is wrong with one of them.
func TestWriteAll(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	outputs := func(names ...string) (list []Output) {
		for _, n := range names {
			list = append(list, Output{Path: at(n), Data: []byte("new " + n)})
		}
		return list
	}
	qt.Assert(t, qt.IsNil(os.Mkdir(at("folder"), 0o755)))
	put(t, at("old"), "old", 0o644)
	before := names(t, dir)
	bad := map[string][]Output{
		"folder":     outputs("a", "old", "folder"),
		"missing":    outputs("a", "old", "missing/b"),
		"same":       outputs("a", "old", "folder/../a"),
		"twice":      outputs("old", "old"),
		"secret":     append(outputs("a", "old"), Output{Path: at("old"), Secret: true}),
		"same links": {{Path: at("a")}, {Path: at("link")}},
	}
	if os.Geteuid() == 0 {
		bad["full"] = append(outputs("a", "old"), Output{Path: device(t, fullDevice), Data: []byte("x")})
	}
	qt.Assert(t, qt.IsNil(os.Symlink("a", at("link"))))
	before = append(before[:1:1], append([]string{"link"}, before[1:]...)...)
	for name, list := range bad {
		qt.Check(t, qt.IsNotNil(WriteAll(list...)), qt.Commentf("%s", name))
		qt.Check(t, qt.DeepEquals(names(t, dir), before), qt.Commentf("%s", name))
		qt.Check(t, qt.Equals(contents(t, at("old")), "old"), qt.Commentf("%s", name))
	}
	qt.Assert(t, qt.ErrorIs(WriteAll(outputs("a", "folder/../a")...), ErrSameOutput))

	qt.Assert(t, qt.IsNil(WriteAll(outputs("a", "old", "folder/c")...)))
	for _, n := range []string{"a", "old", "folder/c"} {
		qt.Assert(t, qt.Equals(contents(t, at(n)), "new "+n))
	}
	qt.Assert(t, qt.DeepEquals(names(t, dir), []string{"a", "folder", "link", "old"}))
}

// A file that cannot get its name takes those back that have theirs.
func TestWriteAllUndo(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("old"), "old", 0o640)
	put(t, at("last"), "last", 0o644)
	before := names(t, dir)
	var files []*staged
	for _, name := range []string{"new", "old", "last"} {
		o := Output{Path: at(name), Data: []byte("data")}
		target, err := targetOf(o)
		qt.Assert(t, qt.IsNil(err))
		f, err := stage(target, o)
		qt.Assert(t, qt.IsNil(err))
		files = append(files, f)
	}
	// Meanwhile the last becomes a folder.
	qt.Assert(t, qt.IsNil(os.Remove(at("last"))))
	qt.Assert(t, qt.IsNil(os.Mkdir(at("last"), 0o755)))
	err := commit(files)
	qt.Assert(t, qt.IsNotNil(err))
	qt.Assert(t, qt.StringContains(err.Error(), at("last")))
	qt.Assert(t, qt.IsFalse(strings.Contains(err.Error(), ".rules_bpf")))
	for _, f := range files {
		f.discard()
	}
	qt.Assert(t, qt.DeepEquals(names(t, dir), before))
	qt.Assert(t, qt.Equals(contents(t, at("old")), "old"))
	info, err := os.Stat(at("old"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(info.Mode(), 0o640))
}
