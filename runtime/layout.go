//go:build linux

package runtime

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"sync"
)

// layout is how a Go type lies in memory shared with C code: as encoding/binary writes it, field after field.
type layout struct {
	size int
	// shown are the bytes of named fields, in ascending order. The bytes between them belong to blank fields, which stand
	// for what the Go type does not know of the C type.
	shown []span
	// unexported is a named field that is not exported, or empty: encoding/binary reads such fields and cannot set them.
	unexported string
}

// span is a run of bytes.
type span struct{ offset, size int }

// layouts remembers the *layout of each reflect.Type.
var layouts sync.Map

// layoutOf returns the layout of a type, or an error if its values have no fixed size.
func layoutOf(t reflect.Type) (*layout, error) {
	if l, ok := layouts.Load(t); ok {
		return l.(*layout), nil
	}
	l, err := newLayout(t)
	if err != nil {
		return nil, err
	}
	layouts.Store(t, l)
	return l, nil
}

func newLayout(t reflect.Type) (*layout, error) {
	switch t.Kind() {
	case reflect.Bool,
		reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		size := int(t.Size())
		return &layout{size: size, shown: []span{{0, size}}}, nil
	case reflect.Array:
		element, err := layoutOf(t.Elem())
		if err != nil {
			return nil, err
		}
		return element.times(t.Len()), nil
	case reflect.Struct:
		return structLayout(t)
	}
	return nil, fmt.Errorf("type %v has no fixed size", t)
}

func structLayout(t reflect.Type) (*layout, error) {
	all := &layout{}
	for i := range t.NumField() {
		f := t.Field(i)
		l, err := layoutOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		if f.Name == "_" {
			all.size += l.size
			continue
		}
		all.append(l)
		if !f.IsExported() {
			all.unexported = f.Name
		}
	}
	return all, nil
}

// times returns the layout of an array of n elements.
func (l *layout) times(n int) *layout {
	switch {
	case n == 0 || l.size == 0:
		return &layout{}
	case len(l.shown) == 1 && l.shown[0].size == l.size: // no gaps, as in most arrays, which may be long
		return &layout{size: n * l.size, shown: []span{{0, n * l.size}}, unexported: l.unexported}
	}
	all := &layout{}
	for range n {
		all.append(l)
	}
	return all
}

// append places another layout behind this one.
func (l *layout) append(next *layout) {
	for _, s := range next.shown {
		offset := l.size + s.offset
		if last := len(l.shown) - 1; last >= 0 && l.shown[last].offset+l.shown[last].size == offset {
			l.shown[last].size += s.size
			continue
		}
		l.shown = append(l.shown, span{offset, s.size})
	}
	l.size += next.size
	if next.unexported != "" {
		l.unexported = next.unexported
	}
}

// write writes those bytes of a value that its type shows. The others are not read and written back, but left alone: a BPF
// program may change them at the same time.
func (l *layout) write(w io.WriterAt, offset int64, value any) error {
	data, err := binary.Append(nil, binary.NativeEndian, value)
	if err != nil {
		return err
	}
	for _, s := range l.shown {
		if _, err := w.WriteAt(data[s.offset:s.offset+s.size], offset+int64(s.offset)); err != nil {
			return err
		}
	}
	return nil
}
