//go:build linux

package vm

import (
	"maps"
	"slices"
)

// A machine is what QEMU needs to know to boot a Debian kernel of an
// architecture. All of them run under software emulation.
type machine struct {
	qemu    string
	machine string
	cpu     string
	console string // the guest's name of the first serial line
}

// machines is keyed by GOARCH.
var machines = map[string]machine{
	"amd64": {
		qemu:    "qemu-system-x86_64",
		machine: "q35",
		cpu:     "max",
		console: "ttyS0",
	},
	"arm64": {
		qemu:    "qemu-system-aarch64",
		machine: "virt",
		cpu:     "max",
		console: "ttyAMA0",
	},
	"arm": {
		qemu:    "qemu-system-arm",
		machine: "virt",
		cpu:     "cortex-a15",
		console: "ttyAMA0",
	},
	"s390x": {
		qemu:    "qemu-system-s390x",
		machine: "s390-ccw-virtio",
		cpu:     "max",
		console: "ttysclp0",
	},
}

// Architectures returns the GOARCH values for which [Run] knows a machine.
func Architectures() []string {
	return slices.Sorted(maps.Keys(machines))
}
