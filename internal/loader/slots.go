package loader

import (
	"fmt"
	"math"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// noFD is what an empty slot holds: closing it does nothing.
const noFD = -1

// slots is the table of descriptors near the blob's beginning. First come the maps, numbered as fd_array wants it; then
// what lookups found in modules' BTF, since a kernel function's is found through fd_array, too; then other temporary ones;
// then the programs. A loader that succeeds closes the temporary ones, one that fails closes them all.
type slots struct {
	maps, lookups, temps, programs int
}

func (s *slots) firstTemp() int { return s.maps }
func (s *slots) numTemps() int  { return s.lookups + s.temps }
func (s *slots) total() int     { return s.maps + s.lookups + s.temps + s.programs }

func (s *slots) addLookup() int { s.lookups++; return s.lookups - 1 }
func (s *slots) addTemp() int   { s.temps++; return s.temps - 1 }

// The index of a slot is known once all are counted.
func (s *slots) ofLookup(i int) int  { return s.maps + i }
func (s *slots) ofTemp(i int) int    { return s.maps + s.lookups + i }
func (s *slots) ofProgram(i int) int { return s.maps + s.lookups + s.temps + i }

// slotOffset is where in the blob a slot is. The slots come right behind the contract's digest.
func slotOffset(index int) uint32 {
	return bundle.ContractOffset + bundle.ContractSize + uint32(index)*4
}

// ctxOffset is where in its context a loader leaves a descriptor, the maps' first.
func ctxOffset(index int) uint32 { return bundle.CtxHeaderSize + uint32(index)*4 }

// maxDescriptors is how many descriptors an instruction can put into a context: its offset has 16 bits, and the kernel
// refuses any other address of a context ("dereference of modified ctx ptr").
const maxDescriptors = (math.MaxInt16 - bundle.CtxHeaderSize) / 4

// checkSlots says when there are more descriptors than that, or a kernel function cannot be told the slot of its module: a call
// has 16 bits for it.
func (c *compiler) checkSlots() error {
	if n := len(c.maps) + len(c.programs); n > maxDescriptors {
		return fmt.Errorf("%d maps and programs, and a loader can hand over %d: split the object", n, maxDescriptors)
	}
	if n := c.slots.maps + c.slots.lookups; n > math.MaxInt16 {
		return fmt.Errorf("%d maps and kernel symbols, and a program's call can tell %d apart: split the object", n, math.MaxInt16)
	}
	return nil
}
