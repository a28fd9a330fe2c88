package signing

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Sizes above which a file is not read, in bytes: it cannot be what it should.
const (
	maxKeyFile    = 1 << 20
	maxBundleFile = 1 << 30
)

// ReadBundle reads a bundle file.
func ReadBundle(path string) (*bundle.Bundle, error) {
	data, err := readFile(path, maxBundleFile)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// WriteBundle writes a bundle file: all of it or nothing.
func WriteBundle(path string, b *bundle.Bundle) error {
	data, err := bundle.Encode(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return WriteFile(path, data, 0o644)
}

// WriteFile writes a file through a temporary one beside it, so that no one ever sees a part of it.
func WriteFile(path string, data []byte, perm os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err = f.Chmod(perm); err != nil {
		return err
	}
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// WriteNewFile is WriteFile for a file that must not be there yet.
func WriteNewFile(path string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return WriteFile(path, data, perm)
}

// readFile reads a file that has limit bytes at the most.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, limit)
	}
	return data, nil
}
