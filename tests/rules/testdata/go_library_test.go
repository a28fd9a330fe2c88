// Only Bazel has the package that is tested. Go leaves folders of the name testdata alone.

package rules

import (
	"context"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/rules/objects"
)

// What the package must have, whatever else there is.
var (
	_ func(context.Context, ...runtime.Option) (*objects.Objects, error) = objects.Load
	_ func() (*bundle.Bundle, error)                                     = objects.Bundle
	_ func(*objects.Objects) error                                       = (*objects.Objects).Close

	_ = objects.Objects{BusyTime: (*ebpf.Map)(nil), CountPackets: (*ebpf.Program)(nil)}
	_ = objects.Key{Cpu: 1, State: objects.StateSTATE_BUSY}
)

func TestBundle(t *testing.T) {
	b, err := objects.Bundle()
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(b.Object.Name, "objects.bpf.o"))
	qt.Check(t, qt.HasLen(b.Loaders, 2))
	qt.Check(t, qt.Equals(unsafe.Sizeof(objects.Key{}), 8))
}
