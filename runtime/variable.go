//go:build linux

package runtime

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
)

// ErrConstant: a variable of a read-only data section (.rodata) cannot be set. It is ebpf.ErrReadOnly, too.
var ErrConstant = fmt.Errorf("its value is signed, and the verifier relied on it: change it in the C source and sign anew: %w", ebpf.ErrReadOnly)

// Variable is a global variable of the C source, in memory that is shared with the BPF programs. It is safe for concurrent
// use as far as that memory is: a value that is larger than a word may be seen half changed.
type Variable[T any] struct {
	collection    *Collection
	section, name string
	offset        uint32
}

// NewVariable returns the variable that is offset bytes into the data section named section. It is for generated code,
// which has the offset and the type from the object's type information; the name is for errors.
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
	memory, err := v.collection.memoryOf(v.section)
	if err != nil {
		return value, err
	}
	data := make([]byte, max(0, binary.Size(value)))
	if _, err := memory.ReadAt(data, int64(v.offset)); err != nil {
		return value, err
	}
	_, err = binary.Decode(data, binary.NativeEndian, &value)
	return value, err
}

// Set changes the variable's value, for the BPF programs to see at once. A constant cannot be set: ErrConstant.
func (v *Variable[T]) Set(value T) error {
	if err := v.set(value); err != nil {
		return fmt.Errorf("set variable %s: %w", v.name, err)
	}
	return nil
}

func (v *Variable[T]) set(value T) error {
	memory, err := v.collection.memoryOf(v.section)
	if err != nil {
		return err
	}
	if memory.ReadOnly() {
		return ErrConstant
	}
	data, err := binary.Append(nil, binary.NativeEndian, value)
	if err != nil {
		return err
	}
	_, err = memory.WriteAt(data, int64(v.offset))
	return err
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
