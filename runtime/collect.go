//go:build linux

package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// collect is the third stage of a load: it takes the descriptors out of the context that the loader has filled, compares
// what they are with what the bundle says, and pins the maps that ask for it. If it fails, no descriptor stays open.
func collect(ctx context.Context, kernel sys.Kernel, j *job, o *outcome) (*Collection, *fault) {
	b := j.bundle
	c := &collector{kernel: kernel, bundle: b, context: o.context, coll: &Collection{
		Maps: make(map[string]*ebpf.Map, len(b.Maps)), Programs: make(map[string]*ebpf.Program, len(b.Programs)),
		Scheme: j.loader.Scheme, SignedBy: o.signer, programs: slices.Clone(b.Programs),
	}}
	for _, m := range b.Maps {
		if m.Type == uint32(ebpf.StructOpsMap) {
			c.coll.structOps = append(c.coll.structOps, m)
		}
	}
	f := step(ctx, StepCollect, c.takeAll)
	if f == nil {
		f = step(ctx, StepPin, func() error { return pinMaps(c.coll, j.pins) })
	}
	if f != nil {
		c.discard()
		_ = c.coll.Close()
		return nil, f
	}
	return c.coll, nil
}

// collector moves descriptors from a context into a collection.
type collector struct {
	kernel  sys.Kernel
	bundle  *bundle.Bundle
	context []byte
	coll    *Collection
}

func (c *collector) takeAll() error {
	for i := range c.bundle.Maps {
		if err := c.takeMap(&c.bundle.Maps[i]); err != nil {
			return err
		}
	}
	for i := range c.bundle.Programs {
		if err := c.takeProgram(&c.bundle.Programs[i]); err != nil {
			return err
		}
	}
	if n := c.discard(); n > 0 {
		return &mismatch{fmt.Sprintf("the loader made %d maps or programs that the bundle does not mention", n)}
	}
	return nil
}

// mismatch says that a loader made something else than what its bundle describes.
type mismatch struct{ what string }

func (e *mismatch) Error() string { return e.what }

func (c *collector) takeMap(want *bundle.Map) error {
	fd := getFD(c.context, want.Ctx)
	if fd < 0 {
		return &mismatch{fmt.Sprintf("the loader made no map %s", want.Name)}
	}
	info, err := sys.GetMapInfo(c.kernel, fd)
	if err != nil {
		return fmt.Errorf("map %s: %w", want.Name, err)
	}
	// The kernel itself decides the size of a struct_ops map's value, and rounds the entries of some other types.
	sized := want.Type != uint32(ebpf.StructOpsMap)
	if info.Type != want.Type || info.Name.String() != want.Kernel ||
		info.KeySize != want.KeySize || sized && info.ValueSize != want.ValueSize {
		return &mismatch{fmt.Sprintf("where the bundle has map %s (type %d, key %d, value %d), the loader made map %q (type %d, key %d, value %d)",
			want.Name, want.Type, want.KeySize, want.ValueSize, info.Name.String(), info.Type, info.KeySize, info.ValueSize)}
	}
	if err := fillArena(fd, want, c.bundle.Blob); err != nil {
		return err
	}
	c.coll.Maps[want.Name], err = ebpf.NewMapFromFD(c.takeFD(want.Ctx))
	if err != nil {
		return fmt.Errorf("map %s: %w", want.Name, err)
	}
	return nil
}

func (c *collector) takeProgram(want *bundle.Program) error {
	fd := getFD(c.context, want.Ctx)
	if fd < 0 {
		return &mismatch{fmt.Sprintf("the loader made no program %s", want.Name)}
	}
	info, err := sys.GetProgInfo(c.kernel, fd)
	if err != nil {
		return fmt.Errorf("program %s: %w", want.Name, err)
	}
	if info.Type != want.Type || info.Name != sys.NewName(want.Name) {
		return &mismatch{fmt.Sprintf("where the bundle has program %s (type %d), the loader made program %q (type %d)",
			want.Name, want.Type, info.Name.String(), info.Type)}
	}
	c.coll.Programs[want.Name], err = ebpf.NewProgramFromFD(c.takeFD(want.Ctx))
	if err != nil {
		return fmt.Errorf("program %s: %w", want.Name, err)
	}
	return nil
}

// takeFD returns the descriptor at off, which now belongs to the caller, and absent from then on.
func (c *collector) takeFD(off uint32) int {
	fd := getFD(c.context, off)
	putFD(c.context, off, absent)
	return fd
}

// discard closes the descriptors that nobody has taken, and returns how many there were. What is not a descriptor's place
// was zero before the loader ran: a bundle that does not name all places has more in it than it says.
func (c *collector) discard() (n int) {
	for off := uint32(bundle.CtxHeaderSize); off+4 <= uint32(len(c.context)); off += 4 {
		if fd := c.takeFD(off); fd > 0 {
			closeFD(c.kernel, fd)
			n++
		}
	}
	return n
}

// descriptors returns where in the context the loader leaves descriptors.
func descriptors(b *bundle.Bundle) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := range b.Maps {
			if !yield(b.Maps[i].Ctx) {
				return
			}
		}
		for i := range b.Programs {
			if !yield(b.Programs[i].Ctx) {
				return
			}
		}
	}
}

// absent marks a place in the context where the loader has put no descriptor.
const absent = -1

func putFD(ctx []byte, off uint32, fd int32) { binary.NativeEndian.PutUint32(ctx[off:], uint32(fd)) }

func getFD(ctx []byte, off uint32) int { return int(int32(binary.NativeEndian.Uint32(ctx[off:]))) }
