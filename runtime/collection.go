//go:build linux

package runtime

import (
	"errors"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Collection holds the maps and programs that a loader made, by their names in the source. They are cilium/ebpf's types,
// so you can use them with all of that library.
//
// To keep one beyond Close, delete it from Maps or Programs.
type Collection struct {
	Maps     map[string]*ebpf.Map
	Programs map[string]*ebpf.Program
	// Scheme is how the kernel attested the loader. After an unsigned load it is the scheme the loader was made for.
	Scheme bundle.Scheme
	// SignedBy is the signer whose signature the kernel verified, or nil after an unsigned load.
	SignedBy *Signer

	// What the bundle says about attaching.
	programs  []bundle.Program
	structOps []bundle.Map

	memory struct { // the maps' memories, which variables share
		sync.Mutex
		of map[string]*ebpf.Memory
	}
}

// Signer is the key that signed a loader.
type Signer struct {
	// KeyID is the SubjectKeyIdentifier of its certificate.
	KeyID []byte
	// Kind is what the key is for, according to the bundle. It is not signed.
	Kind bundle.Kind
	// Keyring is where the kernel found the key.
	Keyring KeyringID
}

// Map returns a map by its name in the source, or nil if there is none.
func (c *Collection) Map(name string) *ebpf.Map { return c.Maps[name] }

// Program returns a program by its name in the source, or nil if there is none.
func (c *Collection) Program(name string) *ebpf.Program { return c.Programs[name] }

// Close closes all maps and programs. Pinned maps and attached programs stay in the kernel: use Links.Close to detach.
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
