package file

import (
	"errors"
	"fmt"
	"io"
)

// Std is the name that stands for standard input, or standard output, on a command line.
const Std = "-"

// ErrStdTwice is in the chain of errors about a command line that names standard input, or output, twice.
var ErrStdTwice = errors.New(Std + " is given twice")

// Stdio reads and writes files, or what Std stands for. One command has one of it.
type Stdio struct {
	In  io.Reader
	Out io.Writer

	read, written bool
}

// Read is the package's Read, or reads all of standard input.
func (s *Stdio) Read(path string, limit int64) ([]byte, error) {
	if path != Std {
		return Read(path, limit)
	}
	if err := s.takeStdin(); err != nil {
		return nil, err
	}
	return readAll(s.In, "standard input", 0, limit)
}

// Open is the package's Open, or reads all of standard input.
func (s *Stdio) Open(path string, limit int64) (*Contents, error) {
	if path != Std {
		return Open(path, limit)
	}
	data, err := s.Read(path, limit)
	if err != nil {
		return nil, err
	}
	return inMemory(data), nil
}

func (s *Stdio) takeStdin() error {
	if s.read {
		return fmt.Errorf("%w: standard input can be read only once, so name a file for one of the inputs", ErrStdTwice)
	}
	s.read = true
	return nil
}

// Write is the package's Write, or writes to standard output.
func (s *Stdio) Write(path string, data []byte) error {
	return s.WriteAll(Output{Path: path, Data: data})
}

// WriteAll is the package's WriteAll, or writes to standard output.
func (s *Stdio) WriteAll(outputs ...Output) error {
	for _, o := range outputs {
		if o.Path != Std {
			continue
		}
		if s.written {
			return fmt.Errorf("%w: standard output can be written only once, so name a file for one of the outputs", ErrStdTwice)
		}
		s.written = true
	}
	return writeAll(s.Out, outputs)
}
