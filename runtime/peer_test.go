//go:build linux

package runtime

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/go-quicktest/qt"
)

// BenchmarkDirect is what the handmade bundle's map and program cost without a loader: made by cilium/ebpf itself.
func BenchmarkDirect(b *testing.B) {
	needBPF(b)
	spec := &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{handName(): {Name: handName(), Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3}},
		Programs: map[string]*ebpf.ProgramSpec{handName(): {Name: handName(), Type: ebpf.SocketFilter, License: "GPL",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}}},
	}
	b.ReportAllocs()
	for b.Loop() {
		c, err := ebpf.NewCollection(spec)
		qt.Assert(b, qt.IsNil(err))
		b.StopTimer()
		c.Close()
		b.StartTimer()
	}
}
