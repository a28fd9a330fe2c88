//go:build linux

package host

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Plan is how a host goes about a load. The zero Plan is an honest one.
type Plan struct {
	// Shared leaves out excl_prog_hash, so that the map is not the loader's alone.
	Shared bool
	// Thawed leaves out the freezing, Unhashed that the kernel hashes the map.
	Thawed, Unhashed bool
	// Meanwhile is what the host does once the map is ready, before the loader is loaded.
	Meanwhile func(m *ebpf.Map) error
	// Context changes the loader's context.
	Context func(context []byte)
}

// Outcome is what has come of a plan.
type Outcome struct {
	// Prepare is why the host did not get as far as the load, Load is why the kernel refused the loader.
	Prepare, Load error
	// Retval is what the loader returned: 0, or -errno.
	Retval int32
	// Context is what the loader has left: descriptors, at the places that the bundle names.
	Context []byte
}

// Err is the outcome as an error: the kernel's, or the loader's own refusal.
func (o Outcome) Err() error {
	switch {
	case o.Prepare != nil:
		return o.Prepare
	case o.Load != nil:
		return o.Load
	case o.Retval != 0:
		return unix.Errno(-o.Retval)
	}
	return nil
}

// String tells what has happened, in the words of docs/kernels.md.
func (o Outcome) String() string {
	switch {
	case o.Prepare != nil:
		return "host is kept out: " + Errno(o.Prepare)
	case o.Load != nil:
		return "kernel refuses: " + Errno(o.Load)
	case o.Retval != 0:
		return "loader refuses: " + Errno(unix.Errno(-o.Retval))
	}
	return "loads"
}

// Errno names the errno in an error.
func Errno(err error) string {
	const enotsupp = 524 // the kernel's own, never meant for user space
	var errno unix.Errno
	switch {
	case !errors.As(err, &errno):
		return err.Error()
	case errno == enotsupp:
		return "ENOTSUPP"
	case unix.ErrnoName(errno) == "":
		return fmt.Sprintf("errno %d", int(errno))
	}
	return unix.ErrnoName(errno)
}

// FD is the descriptor that the loader has left at an offset of its context, 0 if there is none.
func (o Outcome) FD(at uint32) int {
	if o.Err() != nil {
		return 0
	}
	return int(int32(binary.NativeEndian.Uint32(o.Context[at:])))
}

// Close closes what the loader has made for a bundle.
func (o Outcome) Close(b *bundle.Bundle) {
	for _, m := range b.Maps {
		if fd := o.FD(m.Ctx); fd > 0 {
			unix.Close(fd)
		}
	}
	for _, p := range b.Programs {
		if fd := o.FD(p.Ctx); fd > 0 {
			unix.Close(fd)
		}
	}
}

// Play goes about the load of a bundle. It leaves open what a loader that succeeded has made.
func Play(b *bundle.Bundle, s bundle.Scheme, plan Plan) (o Outcome) {
	var hash []byte
	if !plan.Shared {
		sum := sha256.Sum256(b.Loader(s).Insns)
		hash = sum[:]
	}
	m, err := Metadata(b.Blob, hash)
	if err != nil {
		o.Prepare = err
		return o
	}
	defer m.Close()
	if !plan.Thawed {
		if o.Prepare = m.Freeze(); o.Prepare != nil {
			return o
		}
	}
	if !plan.Unhashed && !plan.Thawed {
		if _, o.Prepare = Hash(m, sha256.Size); o.Prepare != nil {
			return o
		}
	}
	if plan.Meanwhile != nil {
		if o.Prepare = plan.Meanwhile(m); o.Prepare != nil {
			return o
		}
	}
	p, err := Loader(b, s, m).Do()
	if err != nil {
		o.Load = err
		return o
	}
	defer p.Close()
	o.Context = make([]byte, b.CtxSize)
	binary.NativeEndian.PutUint32(o.Context, b.CtxSize)
	if plan.Context != nil {
		plan.Context(o.Context)
	}
	o.Retval, o.Load = Run(p, o.Context)
	return o
}

// Rewrite has a program of the host's own overwrite 8 bytes of a map's value. Freezing keeps user space out, not programs.
func Rewrite(m *ebpf.Map, at int, word uint64) error {
	p, err := Writer(m, at, word)
	if err != nil {
		return err
	}
	defer p.Close()
	return wrote(p)
}

// RewriteInner does the same with a program that does not name the map: it finds it in an array of maps, where the host
// has put it.
func RewriteInner(m *ebpf.Map, at int, word uint64) error {
	shape := MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: m.ValueSize(), MaxEntries: 1}
	template, err := CreateMap(shape)
	if err != nil {
		return err
	}
	defer template.Close()
	outer, err := CreateMap(MapSpec{Type: unix.BPF_MAP_TYPE_ARRAY_OF_MAPS, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerFD: template.FD()})
	if err != nil {
		return err
	}
	defer outer.Close()
	if err := putFD(outer, m); err != nil {
		return err
	}
	p, err := InnerWriter(outer, at, word)
	if err != nil {
		return err
	}
	defer p.Close()
	return wrote(p)
}

// putFD puts a map into an array of maps. The system call itself, for its errno.
func putFD(outer, inner *ebpf.Map) error {
	key, value := []uint32{0}, []uint32{uint32(inner.FD())}
	return updateElem(outer, key, value)
}

func wrote(p *ebpf.Program) error {
	switch ret, err := Run(p, nil); {
	case err != nil:
		return err
	case ret != 1:
		return fmt.Errorf("the writer returned %d", ret)
	}
	return nil
}
