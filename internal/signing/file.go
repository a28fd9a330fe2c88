package signing

import (
	"fmt"
	"io"
	"os"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/file"
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
	return file.Write(path, data)
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
