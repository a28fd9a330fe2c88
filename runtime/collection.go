//go:build linux

package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// Collection is what a loader made: maps and programs in the kernel, by their names in the source. They are
// cilium/ebpf's, and go wherever that library takes them.
//
// To keep one beyond Close, take it out of its map.
type Collection struct {
	Maps     map[string]*ebpf.Map
	Programs map[string]*ebpf.Program
	// Scheme is how the kernel attested the loader, or would have.
	Scheme bundle.Scheme
	// SignedBy says whose signature the kernel verified. It is nil after an unsigned load.
	SignedBy *Signer

	// What the bundle says of how to attach.
	programs  []bundle.Program
	structOps []bundle.Map

	memory struct { // the maps' memories, which variables share
		sync.Mutex
		of map[string]*ebpf.Memory
	}
}

// Signer is the key that signed a loader, and where the kernel found it.
type Signer struct {
	// KeyID is the SubjectKeyIdentifier of its certificate.
	KeyID []byte
	// Kind is what the bundle says that the key is for: nothing protects it.
	Kind bundle.Kind
	// Keyring is the one that held the key.
	Keyring KeyringID
}

// Map returns the map with a name in the source, or nil.
func (c *Collection) Map(name string) *ebpf.Map { return c.Maps[name] }

// Program returns the program with a name in the source, or nil.
func (c *Collection) Program(name string) *ebpf.Program { return c.Programs[name] }

// Close closes all maps and programs. The kernel keeps what is pinned or attached: Links.Close detaches.
func (c *Collection) Close() error {
	var errs []error
	for _, m := range c.Maps {
		errs = append(errs, m.Close())
	}
	for _, p := range c.Programs {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
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

func putFD(ctx []byte, off uint32, fd int32) { binary.NativeEndian.PutUint32(ctx[off:], uint32(fd)) }

func getFD(ctx []byte, off uint32) int { return int(int32(binary.NativeEndian.Uint32(ctx[off:]))) }

// takeFD returns the descriptor at off, which now belongs to the caller, and absent from then on.
func (m *made) takeFD(off uint32) int {
	fd := getFD(m.context, off)
	putFD(m.context, off, absent)
	return fd
}

// discard closes the descriptors that nobody has taken, and returns how many there were. What is not a descriptor's place
// was zero before the loader ran: a bundle that does not name all places has more in it than it says.
func (l *load) discard(m *made) (n int) {
	for off := uint32(bundle.CtxHeaderSize); off+4 <= uint32(len(m.context)); off += 4 {
		if fd := m.takeFD(off); fd > 0 {
			l.close(fd)
			n++
		}
	}
	return n
}

// collect takes over what the loader made, after a look at whether it is what the bundle says, and pins it. Whatever
// goes wrong, no descriptor stays open.
func (l *load) collect(ctx context.Context, m *made) (*Collection, *LoadError) {
	c := &Collection{
		Maps: make(map[string]*ebpf.Map, len(l.bundle.Maps)), Programs: make(map[string]*ebpf.Program, len(l.bundle.Programs)),
		Scheme: l.loader.Scheme, SignedBy: m.signer, programs: slices.Clone(l.bundle.Programs),
	}
	for _, m := range l.bundle.Maps {
		if m.Type == uint32(ebpf.StructOpsMap) {
			c.structOps = append(c.structOps, m)
		}
	}
	failed := l.step(ctx, StepCollect, func() error { return l.takeOver(c, m) })
	if failed == nil {
		failed = l.step(ctx, StepPin, func() error { return l.pin(c) })
	}
	if failed != nil {
		l.discard(m)
		_ = c.Close()
		return nil, failed
	}
	return c, nil
}

// takeOver moves the descriptors into the collection.
func (l *load) takeOver(c *Collection, m *made) error {
	for i := range l.bundle.Maps {
		if err := l.takeMap(c, m, &l.bundle.Maps[i]); err != nil {
			return err
		}
	}
	for i := range l.bundle.Programs {
		if err := l.takeProgram(c, m, &l.bundle.Programs[i]); err != nil {
			return err
		}
	}
	if n := l.discard(m); n > 0 {
		return &mismatch{fmt.Sprintf("the loader made %d maps or programs of which the bundle does not tell", n)}
	}
	return nil
}

// mismatch says that a loader made something else than what its bundle describes.
type mismatch struct{ what string }

func (e *mismatch) Error() string { return e.what }

func (l *load) takeMap(c *Collection, m *made, want *bundle.Map) error {
	fd := getFD(m.context, want.Ctx)
	if fd < 0 {
		return &mismatch{fmt.Sprintf("the loader made no map %s", want.Name)}
	}
	info, err := sys.GetMapInfo(l.kernel, fd)
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
	if err := l.fillArena(fd, want); err != nil {
		return err
	}
	c.Maps[want.Name], err = ebpf.NewMapFromFD(m.takeFD(want.Ctx))
	if err != nil {
		return fmt.Errorf("map %s: %w", want.Name, err)
	}
	return nil
}

func (l *load) takeProgram(c *Collection, m *made, want *bundle.Program) error {
	fd := getFD(m.context, want.Ctx)
	if fd < 0 {
		return &mismatch{fmt.Sprintf("the loader made no program %s", want.Name)}
	}
	info, err := sys.GetProgInfo(l.kernel, fd)
	if err != nil {
		return fmt.Errorf("program %s: %w", want.Name, err)
	}
	if info.Type != want.Type || info.Name != sys.NewName(want.Name) {
		return &mismatch{fmt.Sprintf("where the bundle has program %s (type %d), the loader made program %q (type %d)",
			want.Name, want.Type, info.Name.String(), info.Type)}
	}
	c.Programs[want.Name], err = ebpf.NewProgramFromFD(m.takeFD(want.Ctx))
	if err != nil {
		return fmt.Errorf("program %s: %w", want.Name, err)
	}
	return nil
}

// pinByName is LIBBPF_PIN_BY_NAME, tools/lib/bpf/libbpf.h.
const pinByName = 1

// pinPath returns where a map is to be pinned, or nothing. The name is the bundle's: it may not lead elsewhere.
func (l *load) pinPath(m *bundle.Map) (string, error) {
	switch {
	case m.Pinning == 0:
		return "", nil
	case m.Pinning != pinByName:
		return "", fmt.Errorf("map %s wants the unknown way of pinning %d", m.Name, m.Pinning)
	case m.Name == "" || strings.ContainsAny(m.Name, "/.\x00"):
		return "", fmt.Errorf("map %q has a name that cannot be a file's on a bpf filesystem", m.Name)
	}
	return filepath.Join(l.config.pinRoot, m.Name), nil
}

// checkPins fails before the kernel is asked for anything, where it can.
func (l *load) checkPins() *LoadError {
	for i := range l.bundle.Maps {
		path, err := l.pinPath(&l.bundle.Maps[i])
		if err == nil && path != "" {
			if _, err = os.Lstat(path); err == nil {
				err = &os.PathError{Op: "pin", Path: path, Err: unix.EEXIST}
			} else if errors.Is(err, os.ErrNotExist) {
				err = nil
			}
		}
		if err != nil {
			return l.explain(&LoadError{Object: l.bundle.Object.Name, Step: StepPin, Err: err})
		}
	}
	return nil
}

// pin pins the maps whose object asks for it: all of them, or none.
func (l *load) pin(c *Collection) (err error) {
	var pinned []*ebpf.Map
	defer func() {
		if err != nil {
			for _, m := range pinned {
				_ = m.Unpin()
			}
		}
	}()
	for i := range l.bundle.Maps {
		path, err := l.pinPath(&l.bundle.Maps[i])
		if err != nil {
			return err
		}
		if path == "" {
			continue
		}
		m := c.Maps[l.bundle.Maps[i].Name]
		if err := m.Pin(path); err != nil {
			return &os.PathError{Op: "pin", Path: path, Err: err}
		}
		pinned = append(pinned, m)
	}
	return nil
}
