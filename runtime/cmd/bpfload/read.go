//go:build linux

package main

import (
	"fmt"
	"io"
	"os"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// maxCertificate is the size of the largest certificate file that is read, in bytes.
const maxCertificate = 1 << 20

// reader reads the files that the command line names. "-" is standard input.
type reader struct {
	stdin io.Reader
	taken bool
}

// read reads a file of at most limit bytes.
func (r *reader) read(path string, limit int64) ([]byte, error) {
	if path == "-" {
		if r.taken {
			return nil, fmt.Errorf("%s can be read only once: name a file for the bundle or the certificate", inputName(path))
		}
		r.taken = true
		return readAll(r.stdin, path, limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > limit {
		return nil, fmt.Errorf("%s is too large: %d bytes, limit %d", path, info.Size(), limit)
	}
	return readAll(f, path, limit)
}

func readAll(f io.Reader, path string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is too large: more than %d bytes", inputName(path), limit)
	}
	return data, err
}

// inputName names an input in errors.
func inputName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// bundle reads a bundle file.
func (r *reader) bundle(path string) (*bundle.Bundle, error) {
	data, err := r.read(path, bundle.MaxFile)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inputName(path), err)
	}
	return b, nil
}
