//go:build linux

package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// pin is a map that is to be pinned, by its name in the source, and where.
type pin struct{ name, path string }

// pinByName is LIBBPF_PIN_BY_NAME, tools/lib/bpf/libbpf.h.
const pinByName = 1

// planPins returns what is to be pinned. It fails where something is pinned already, before the kernel is asked for
// anything else.
func planPins(b *bundle.Bundle, root string) (pins []pin, err error) {
	for i := range b.Maps {
		m := &b.Maps[i]
		if m.Pinning == 0 {
			continue
		}
		if err := checkPin(m); err != nil {
			return nil, err
		}
		path := filepath.Join(root, m.Name)
		if _, err := os.Lstat(path); err == nil {
			return nil, &os.PathError{Op: "pin", Path: path, Err: unix.EEXIST}
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		pins = append(pins, pin{m.Name, path})
	}
	return pins, nil
}

// checkPin holds a map's name to what can be a file's. The name is the bundle's: it may not lead out of the folder.
func checkPin(m *bundle.Map) error {
	switch {
	case m.Pinning != pinByName:
		return fmt.Errorf("map %s has the unknown pinning type %d", m.Name, m.Pinning)
	case m.Name == "" || strings.ContainsAny(m.Name, "/.\x00"):
		return fmt.Errorf("map %q cannot be pinned by this name: a bpf filesystem takes no name with a dot or a slash", m.Name)
	}
	return nil
}

// pinMaps pins all of the maps, or none.
func pinMaps(c *Collection, pins []pin) error {
	var pinned []*ebpf.Map
	for _, p := range pins {
		m := c.Maps[p.name]
		if err := m.Pin(p.path); err != nil {
			for _, m := range pinned {
				_ = m.Unpin()
			}
			return &os.PathError{Op: "pin", Path: p.path, Err: err}
		}
		pinned = append(pinned, m)
	}
	return nil
}
