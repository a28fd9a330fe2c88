package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// made is the time of all files in the archive: when a checkout was made says nothing.
var made = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// sources lists the files that git knows of or would add.
func sources(root string) ([]string, error) {
	out, err := git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		return nil, err
	}
	files := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	slices.Sort(files)
	return slices.DeleteFunc(files, func(f string) bool {
		_, err := os.Lstat(filepath.Join(root, f))
		return errors.Is(err, fs.ErrNotExist)
	}), nil
}

// pack makes the archive twice, the second time from a copy of the files that was made later and under another umask.
func (r *release) pack() error {
	files, err := sources(r.root)
	if err != nil {
		return err
	}
	first, err := archive(r.root, files, r.prefix())
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyFiles(r.root, dir, files); err != nil {
		return err
	}
	second, err := archive(dir, files, r.prefix())
	if err != nil {
		return err
	}
	if !bytes.Equal(first, second) {
		return errors.New("the two differ")
	}
	r.archive = first
	return nil
}

// archive packs files so that the result depends on nothing but their names, contents and execute bits.
func archive(root string, files []string, prefix string) ([]byte, error) {
	var buf bytes.Buffer
	zip, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	pack := tar.NewWriter(zip)
	for _, name := range files {
		path := filepath.Join(root, name)
		info, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: prefix + "/" + name, Mode: 0o644, ModTime: made, Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		var data []byte
		switch {
		case info.Mode().IsRegular():
			if info.Mode()&0o100 != 0 {
				header.Mode = 0o755
			}
			if data, err = os.ReadFile(path); err != nil {
				return nil, err
			}
			header.Size = int64(len(data))
		case info.Mode()&fs.ModeSymlink != 0:
			if header.Linkname, err = os.Readlink(path); err != nil {
				return nil, err
			}
			if !filepath.IsLocal(filepath.Join(filepath.Dir(name), header.Linkname)) {
				return nil, fmt.Errorf("%s: a link to %s leads out of the archive", name, header.Linkname)
			}
			header.Typeflag, header.Mode = tar.TypeSymlink, 0o777
		default:
			return nil, fmt.Errorf("%s: neither a file nor a link", name)
		}
		if err := pack.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := pack.Write(data); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(pack.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// copyFiles copies as another checkout would have the files: other times, other rights for others.
func copyFiles(from, to string, files []string) error {
	for _, name := range files {
		source, target := filepath.Join(from, name), filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		info, err := os.Lstat(source)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			link, err := os.Readlink(source)
			if err == nil {
				err = os.Symlink(link, target)
			}
			if err != nil {
				return err
			}
			continue
		}
		data, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, data, info.Mode()&0o700); err != nil {
			return err
		}
	}
	return nil
}

// build compiles what is in the archive, and nothing else.
func (r *release) build() error {
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := unpack(r.archive, dir); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "./...")
	cmd.Dir, cmd.Env = filepath.Join(dir, r.prefix()), append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// unpack is the inverse of archive.
func unpack(data []byte, dir string) error {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	for pack := tar.NewReader(zip); ; {
		header, err := pack.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		path := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if header.Typeflag == tar.TypeSymlink {
			err = os.Symlink(header.Linkname, path)
		} else if data, err = io.ReadAll(pack); err == nil {
			err = os.WriteFile(path, data, fs.FileMode(header.Mode))
		}
		if err != nil {
			return err
		}
	}
}
