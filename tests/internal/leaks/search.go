package leaks

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Found is a secret that is where it should not be.
type Found struct {
	Path, What string // the path is relative to the folder that was searched
}

// Find searches all files under a folder but some, also in what gzip has packed, and returns what is where, and how many files
// it looked at. Secrets have eight bytes at the least.
func Find(dir string, secrets map[string][]byte, but ...string) (found []Found, files int, err error) {
	s := newSearcher(secrets)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if slices.Contains(but, name) {
			return nil
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // a server's, which has gone since
			return nil
		} else if err != nil {
			return err
		}
		files++
		if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			unpacked, _ := io.ReadAll(r) // as far as it goes
			data = append(data, unpacked...)
		}
		for _, what := range s.in(data) {
			found = append(found, Found{name, what})
		}
		return nil
	})
	return found, files, err
}

// searcher finds any of many byte strings in one pass, by their first eight bytes.
type searcher struct {
	pairs  [1 << 16]bool // the first two, for speed
	starts map[uint64][]secret
}

type secret struct {
	what  string
	bytes []byte
}

func newSearcher(secrets map[string][]byte) *searcher {
	s := &searcher{starts: make(map[uint64][]secret)}
	for what, b := range secrets {
		s.pairs[binary.LittleEndian.Uint16(b)] = true
		start := binary.LittleEndian.Uint64(b)
		s.starts[start] = append(s.starts[start], secret{what, b})
	}
	return s
}

// in returns what is in data.
func (s *searcher) in(data []byte) (found []string) {
	for i := 0; i+8 <= len(data); i++ {
		if !s.pairs[binary.LittleEndian.Uint16(data[i:])] {
			continue
		}
		for _, c := range s.starts[binary.LittleEndian.Uint64(data[i:])] {
			if bytes.HasPrefix(data[i:], c.bytes) {
				found = append(found, c.what)
			}
		}
	}
	return found
}
