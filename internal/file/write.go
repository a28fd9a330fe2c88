package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Output is a file to write.
type Output struct {
	Path string
	Data []byte
	// Secret is set for a private key: only its owner may read the file, and nothing may be there yet.
	Secret bool
}

// Write replaces or creates a file. Readers see the old contents or the new, never a part.
//
// Symbolic links are followed. An existing file keeps its permissions and, where that is allowed, its owner; a new one
// gets those that the umask leaves. A FIFO, a device or an open descriptor (/dev/stdout) is written through.
func Write(path string, data []byte) error {
	return WriteAll(Output{Path: path, Data: data})
}

// WriteAll writes several files, or none of them: all of them are complete on disk before the first appears under its
// name, and they appear in the order given. If that fails halfway, the earlier ones are put back as they were (where the
// file system has hard links).
func WriteAll(outputs ...Output) error { return writeAll(nil, outputs) }

// writeAll is WriteAll with a writer that Std stands for; nil: Std is a file's name.
func writeAll(std io.Writer, outputs []Output) (err error) {
	var files []*staged
	defer func() {
		for _, f := range files {
			f.discard()
		}
	}()
	var streams []func() error
	for _, o := range outputs {
		if o.Path == Std && std != nil {
			streams = append(streams, func() error { return writeTo(std, o) })
			continue
		}
		t, err := targetOf(o)
		if err != nil {
			return err
		}
		if t.through {
			streams = append(streams, func() error { return t.writeThrough(o) })
			continue
		}
		for _, f := range files {
			if sameFile(f.target, t) {
				return fmt.Errorf("%s and %s are %w", f.output.Path, o.Path, ErrSameOutput)
			}
		}
		f, err := stage(t, o)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	for _, write := range streams {
		if err := write(); err != nil {
			return err
		}
	}
	return commit(files)
}

// ErrSameOutput is in the chain of the error about two outputs of one command that are the same file.
var ErrSameOutput = errors.New("the same file: name two")

func writeTo(w io.Writer, o Output) error {
	_, err := w.Write(o.Data)
	return err
}

// targetOf is resolve for an output. A private key goes nowhere where something is already, be it a symbolic link:
// whoever put it there could read the key.
func targetOf(o Output) (*target, error) {
	t, err := resolve(o.Path)
	if err != nil {
		return nil, err
	}
	if o.Secret {
		if _, err := os.Lstat(o.Path); err == nil {
			return nil, fmt.Errorf("%s: %w: remove it, or choose another name (a private key replaces nothing)", o.Path, fs.ErrExist)
		}
	}
	return t, nil
}

// writeThrough writes to something that is there and stays.
func (t *target) writeThrough(o Output) error {
	f, err := t.open()
	if err != nil {
		return err
	}
	if err := writeTo(f, o); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// open opens what is not a regular file. A descriptor of this process is duplicated and not opened anew: that would
// begin at the start of the file that it may be, over what others have written there.
func (t *target) open() (*os.File, error) {
	if t.descriptor >= 0 {
		return duplicate(t.descriptor, t.path)
	}
	return os.OpenFile(t.path, os.O_WRONLY|os.O_TRUNC, 0)
}
