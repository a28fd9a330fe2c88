//go:build linux

package runtime

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"

	"github.com/cilium/ebpf"
)

// ErrConstant: a variable in a read-only data section (.rodata) cannot be set. errors.Is finds ebpf.ErrReadOnly in it, too.
var ErrConstant = fmt.Errorf("its value is signed, and the verifier relied on it: change it in the C source and sign anew: %w", ebpf.ErrReadOnly)

// Variable is a global variable of the C source, in memory shared with the BPF programs.
//
// Go has no type for some of C: bit-fields, the further members of a union, padding. A type that gogen generates has a
// blank field (_) in their place. Get skips blank fields, and Set leaves the bytes in their place as they are.
//
// The fields of a T written by hand follow each other without gaps, as in encoding/binary: declare the padding of the C
// type as blank fields.
//
// You may use a Variable from several goroutines. Accesses are not atomic beyond what the machine guarantees for a word:
// Get may see a larger value half changed, and a BPF program may see a Set in progress. Between your Get and your Set a
// program may change the variable, and Set then overwrites that change in all fields T has. If programs and Go code must
// update the same value, use an atomic operation of the program, or a variable for each writer.
type Variable[T any] struct {
	collection    *Collection
	section, name string
	offset        uint32
}

// NewVariable returns the variable at an offset, in bytes, into a data section. It is for generated code, which knows offset
// and type from the object's BTF. The name is for errors.
func NewVariable[T any](c *Collection, section, name string, offset uint32) *Variable[T] {
	return &Variable[T]{c, section, name, offset}
}

// Get returns the variable's value.
func (v *Variable[T]) Get() (T, error) {
	value, err := v.get()
	if err != nil {
		return value, fmt.Errorf("get variable %s: %w", v.name, err)
	}
	return value, nil
}

func (v *Variable[T]) get() (value T, err error) {
	memory, l, err := v.place()
	if err != nil {
		return value, err
	}
	if l.unexported != "" {
		return value, fmt.Errorf("field %s of %v is not exported, so its value cannot be stored in it", l.unexported, reflect.TypeFor[T]())
	}
	data := make([]byte, l.size)
	if _, err := memory.ReadAt(data, int64(v.offset)); err != nil {
		return value, err
	}
	_, err = binary.Decode(data, binary.NativeEndian, &value)
	return value, err
}

// Set changes the variable's value, which BPF programs see at once. Bytes that T does not show keep their values. Setting a
// constant is an error: ErrConstant.
func (v *Variable[T]) Set(value T) error {
	if err := v.set(value); err != nil {
		return fmt.Errorf("set variable %s: %w", v.name, err)
	}
	return nil
}

func (v *Variable[T]) set(value T) error {
	memory, l, err := v.place()
	if err != nil {
		return err
	}
	if memory.ReadOnly() {
		return ErrConstant
	}
	return l.write(memory, int64(v.offset), value)
}

// place returns the memory that the variable is in, and how a T lies there: within its bounds.
func (v *Variable[T]) place() (*ebpf.Memory, *layout, error) {
	l, err := layoutOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, nil, err
	}
	memory, err := v.collection.memoryOf(v.section)
	if err != nil {
		return nil, nil, err
	}
	if end := uint64(v.offset) + uint64(l.size); end > uint64(memory.Size()) {
		return nil, nil, fmt.Errorf("it ends %d bytes into section %s, which has %d: %w", end, v.section, memory.Size(), io.ErrUnexpectedEOF)
	}
	return memory, l, nil
}

// memoryOf maps a data section's map into memory, the first time that it is asked for.
func (c *Collection) memoryOf(section string) (*ebpf.Memory, error) {
	c.memory.Lock()
	defer c.memory.Unlock()
	if m := c.memory.of[section]; m != nil {
		return m, nil
	}
	m := c.Maps[section]
	if m == nil {
		return nil, fmt.Errorf("the collection has no map %s", section)
	}
	memory, err := m.Memory()
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", section, err)
	}
	if c.memory.of == nil {
		c.memory.of = map[string]*ebpf.Memory{}
	}
	c.memory.of[section] = memory
	return memory, nil
}
