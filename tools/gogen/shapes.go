package main

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// Limits on what is written for a type: real ones come nowhere near.
const (
	maxFields = 1 << 16 // of all declarations together, in fields and elements
	maxBytes  = 1 << 30 // of a type's values
)

var (
	errContainsItself = errors.New("it contains itself")
	errTooLarge       = errors.New("it is too large")
)

// shapes tells types that Go can declare from those that it cannot, whatever the type information says: anonymous types are
// written wherever they are used, so a few that nest would fill a disk.
type shapes struct {
	names  map[btf.Type]string // those that are declared, and mentioned by name
	fields map[btf.Type]int    // how many a type is written with, by type
	errs   map[btf.Type]error
	open   map[btf.Type]bool // being measured
	spent  int               // fields of what was checked
}

func newShapes(names map[btf.Type]string) *shapes {
	return &shapes{names: names, fields: map[btf.Type]int{}, errs: map[btf.Type]error{}, open: map[btf.Type]bool{}}
}

// check returns an error for a type that cannot be declared. It counts what the declaration adds to the package.
func (s *shapes) check(typ btf.Type) error {
	fields, err := s.measure(typ)
	if err != nil {
		return err
	}
	if s.spent += fields; s.spent > maxFields {
		return errTooLarge
	}
	return nil
}

// measure returns how many fields a type has with all anonymous types in it.
func (s *shapes) measure(typ btf.Type) (int, error) {
	typ = btf.QualifiedType(typ)
	if s.open[typ] {
		return 0, errContainsItself
	}
	if err := s.errs[typ]; err != nil {
		return 0, err
	}
	if n := s.fields[typ]; n > 0 {
		return n, nil
	}
	s.open[typ] = true
	n, err := s.parts(typ)
	delete(s.open, typ)
	s.fields[typ], s.errs[typ] = n, err
	return n, err
}

// parts measures what a type is made of.
func (s *shapes) parts(typ btf.Type) (int, error) {
	switch t := typ.(type) {
	case *btf.Typedef:
		return s.mentioned(t.Type)
	case *btf.Array:
		return s.mentioned(t.Type)
	case *btf.Struct:
		return s.members(t.Members)
	case *btf.Union:
		if len(t.Members) == 0 {
			return 0, errors.New("it has no members")
		}
		return s.members(t.Members)
	}
	return 1, nil
}

func (s *shapes) members(members []btf.Member) (int, error) {
	sum := 1
	for _, m := range members {
		n, err := s.mentioned(m.Type)
		if err != nil {
			return 0, err
		}
		if sum += n; sum > maxFields {
			return 0, errTooLarge
		}
	}
	return sum, nil
}

// mentioned measures a type where another is made of it.
func (s *shapes) mentioned(typ btf.Type) (int, error) {
	n, err := s.measure(typ)
	if errors.Is(err, errContainsItself) {
		return 0, err
	}
	if size, sizeErr := btf.Sizeof(typ); sizeErr == nil && size > maxBytes {
		return 0, errTooLarge
	}
	if s.names[btf.QualifiedType(typ)] != "" {
		return 1, nil // one that cannot be declared is bytes
	}
	return n, err
}

// checkValues returns an error for an enum with a value that its type cannot have.
func checkValues(typ btf.Type) error {
	e, ok := btf.As[*btf.Enum](typ)
	if !ok {
		return nil
	}
	for _, v := range e.Values {
		fits := true
		if bits := e.Size * 8; bits < 64 {
			fits = v.Value>>bits == 0
			if e.Signed {
				limit := int64(1) << (bits - 1)
				fits = int64(v.Value) >= -limit && int64(v.Value) < limit
			}
		}
		if !fits {
			return fmt.Errorf("constant %s does not fit %d bytes", identifier(v.Name), e.Size)
		}
	}
	return nil
}
