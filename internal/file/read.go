package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// The largest files that tools read into memory, in bytes.
const (
	// MaxText is for keys, certificates, policies, manifests, and other files that are mostly text.
	MaxText = 1 << 20
	// MaxBinary is for objects, BTF and other binary files. That of bundles is bundle.MaxFile.
	MaxBinary = 256 << 20
)

// ErrTooLarge is in the chain of errors about files that are larger than a tool reads.
var ErrTooLarge = errors.New("too large")

// Read reads a file of at most limit bytes. It may be a FIFO or a device, too.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s is %w: %d bytes, limit %d", path, ErrTooLarge, size, limit)
	}
	return readAll(f, path, size, limit)
}

// sizeOf returns the size of a regular file, and 0 for others, whose size nobody knows.
func sizeOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, err
	}
	return info.Size(), nil
}

// readAll reads to the end, whatever size the file had when it was opened: files in /proc have none.
func readAll(r io.Reader, name string, size, limit int64) ([]byte, error) {
	const least = 512
	buf := make([]byte, 0, size+least)
	for int64(len(buf)) <= limit {
		if len(buf) == cap(buf) { // twice as much, but not beyond the limit
			buf = slices.Grow(buf, int(min(int64(len(buf)), limit+1-int64(len(buf)))))
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if int64(len(buf)) > limit {
		return nil, fmt.Errorf("%s is %w: more than %d bytes", name, ErrTooLarge, limit)
	}
	return buf, nil
}

// Contents is an open file for a reader that looks at parts of it.
type Contents struct {
	*io.SectionReader
	file *os.File
}

// Open opens a file of any size. What is not a regular file is read into memory, and has at most limit bytes.
func Open(path string, limit int64) (*Contents, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		return &Contents{io.NewSectionReader(f, 0, info.Size()), f}, nil
	}
	defer f.Close()
	if err != nil {
		return nil, err
	}
	data, err := readAll(f, path, 0, limit)
	if err != nil {
		return nil, err
	}
	return inMemory(data), nil
}

func inMemory(data []byte) *Contents {
	return &Contents{io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), nil}
}

// Close closes the file.
func (c *Contents) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
