package file

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// staged is a file that is complete on disk under a temporary name beside its own.
type staged struct {
	output Output
	target *target
	// temporary is the name that it has before it gets its own; empty afterwards.
	temporary string
	// backup is another name of the file that was there; empty if there was none, or the file system has no links.
	backup    string
	committed bool
}

// stage writes the temporary file.
func stage(t *target, o Output) (s *staged, err error) {
	f, err := temporary(t, o)
	if err != nil {
		return nil, inError(o, err)
	}
	s = &staged{output: o, target: t, temporary: f.Name()}
	defer func() {
		if err != nil {
			f.Close()
			s.discard()
			s, err = nil, inError(o, err)
		}
	}()
	if t.info != nil {
		if err := keepAttributes(f, t.info); err != nil {
			return nil, err
		}
	}
	if _, err := f.Write(o.Data); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return s, f.Close()
}

// temporary creates a file beside the target that nobody may read who may not read the target.
func temporary(t *target, o Output) (*os.File, error) {
	perm := fs.FileMode(0o666)
	switch {
	case o.Secret:
		perm = 0o600
	case t.info != nil:
		perm &= t.info.Mode().Perm()
	}
	dir, _ := filepath.Split(t.path)
	for tries := 0; ; tries++ {
		f, err := os.OpenFile(dir+unusedName(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) || tries == 100 {
			return f, err
		}
	}
}

// unusedName returns a name for a temporary file.
func unusedName() string { return ".rules_bpf-" + strconv.FormatUint(rand.Uint64(), 36) }

// keepAttributes gives a file the permissions of the one that it replaces, and its owner if this process may.
func keepAttributes(f *os.File, old fs.FileInfo) error {
	keepOwner(f, old)
	return f.Chmod(old.Mode().Perm())
}

// commit gives the files their names, in order: all of them, or none.
func commit(files []*staged) error {
	for _, f := range files {
		if err := f.commit(len(files) > 1); err != nil {
			for _, done := range files {
				done.undo()
			}
			return inError(f.output, err)
		}
	}
	return nil
}

// commit gives the file its name.
func (s *staged) commit(reversible bool) error {
	if reversible && s.target.info != nil {
		dir, _ := filepath.Split(s.target.path)
		if backup := dir + unusedName(); os.Link(s.target.path, backup) == nil {
			s.backup = backup
		}
	}
	err := s.rename()
	s.committed = err == nil
	return err
}

func (s *staged) rename() error {
	if s.output.Secret {
		switch err := os.Link(s.temporary, s.target.path); { // unlike a rename it replaces nothing
		case err == nil, errors.Is(err, fs.ErrExist):
			return err // discard removes the temporary name
		}
		// The file system has no links: reserve the name first.
		f, err := os.OpenFile(s.target.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		f.Close()
	}
	err := os.Rename(s.temporary, s.target.path)
	switch {
	case err == nil:
		s.temporary = ""
	case s.output.Secret:
		os.Remove(s.target.path)
	}
	return err
}

// undo puts back what was there before.
func (s *staged) undo() {
	switch {
	case !s.committed:
	case s.target.info == nil:
		os.Remove(s.target.path)
	case s.backup != "":
		if os.Rename(s.backup, s.target.path) == nil {
			s.backup = ""
		}
	}
}

// discard removes the names that nobody needs any more.
func (s *staged) discard() {
	for _, name := range []string{s.temporary, s.backup} {
		if name != "" {
			os.Remove(name)
		}
	}
}

// inError names the output, and not the temporary file, in an error.
func inError(o Output, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return &fs.PathError{Op: "write", Path: o.Path, Err: err}
}
