package contract_test

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
	"github.com/rules-bpf/rules_bpf/runtime"
)

// lists has two maps of one shape, and a program that returns the first value of "deny".
func lists(t *testing.T) *bundle.Bundle {
	t.Helper()
	list := func(name string) *object.Map {
		return &object.Map{Name: name, KernelName: "list", Type: uapi.MapTypeArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	}
	allow, deny := list("allow"), list("deny")
	var order binary.ByteOrder = binary.LittleEndian
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		order = binary.BigEndian
	}
	b, err := loader.Compile(&object.Object{
		Name: "lists", File: "lists.bpf.o", Order: order, License: "GPL", Maps: []*object.Map{allow, deny},
		Programs: []*object.Program{{
			Name: "verdict", Section: "syscall", Autoload: true,
			Kind: object.SectionKind{Type: uapi.ProgTypeSyscall, Flags: uapi.ProgFlagSleepable},
			Insns: []insn.Insn{
				{Op: insn.LoadImm64, Dst: insn.R1}, {}, {Op: insn.LoadW, Dst: insn.R0, Src: insn.R1}, {Op: insn.Exit},
			},
			Refs: []object.Ref{{Insn: 0, Map: deny, Value: true}},
		}},
	}, loader.Options{})
	qt.Assert(t, qt.IsNil(err))
	return b
}

// deny puts 1 into the map "deny" and returns what the program says then.
func deny(t *testing.T, c *runtime.Collection) uint32 {
	t.Helper()
	qt.Assert(t, qt.IsNil(c.Map("deny").Put(uint32(0), uint32(1))))
	ret, err := c.Program("verdict").Run(&ebpf.RunOptions{})
	qt.Assert(t, qt.IsNil(err))
	return ret
}

// TestExchangedNames is the attack H4: the host exchanges the names of two maps of one shape, and what a program puts into "deny" is
// allowed. Before the contract was signed, runtime.Load accepted the bundle, and the verdict was 0.
func TestExchangedNames(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	quiet := runtime.Logf(func(string, ...any) {})
	b := lists(t)
	c, err := runtime.Load(t.Context(), b, runtime.AllowUnsigned(), quiet)
	if errors.Is(err, runtime.ErrMissingCapability) { // in Bazel's sandbox
		t.Skip(err)
	}
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(deny(t, c), 1))
	qt.Assert(t, qt.IsNil(c.Close()))

	exchanged := copyOf(b)
	exchanged.Maps[0].Name, exchanged.Maps[1].Name = "deny", "allow"
	_, err = runtime.Load(t.Context(), exchanged, runtime.AllowUnsigned(), quiet)
	qt.Check(t, qt.ErrorIs(err, runtime.ErrTampered))
	qt.Check(t, qt.ErrorIs(err, bundle.ErrContract))
	_, err = runtime.LoadBytes(t.Context(), write(t, exchanged), runtime.AllowUnsigned(), quiet)
	qt.Check(t, qt.ErrorIs(err, runtime.ErrTampered))
	qt.Check(t, qt.ErrorIs(err, bundle.ErrContract))

	// What the check prevents: whoever may load without a signature can make such a bundle. Nobody signed it, and so no signature
	// holds for it (TestMatchingDigest).
	qt.Assert(t, qt.IsNil(exchanged.Seal()))
	exchanged.Loaders = exchanged.Loaders[1:] // the map-hash loader does not hold the digest of this blob
	c, err = runtime.Load(t.Context(), exchanged, runtime.AllowUnsigned(), quiet)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(deny(t, c), 0))
	qt.Assert(t, qt.IsNil(c.Close()))
}

// The runtime acts on no contract with a change in it, of a bundle in memory or in a file, signed or not. It makes no system call
// to find out, so this needs neither root nor a kernel that attests.
func TestLoadRejectsEveryField(t *testing.T) {
	for _, name := range small {
		t.Run(name, func(t *testing.T) {
			b := signed(t, name, nil)
			for _, ch := range changesOf(&b.Contract) {
				changed := copyOf(b)
				ch.apply(&changed.Contract)
				file := write(t, changed)
				for _, opts := range [][]runtime.Option{nil, {runtime.AllowUnsigned()}} {
					for how, load := range map[string]func() (*runtime.Collection, error){
						"Load":      func() (*runtime.Collection, error) { return runtime.Load(t.Context(), changed, opts...) },
						"LoadBytes": func() (*runtime.Collection, error) { return runtime.LoadBytes(t.Context(), file, opts...) },
					} {
						_, err := load()
						if !rejects(err) || errors.Is(err, bundle.ErrContract) && !errors.Is(err, runtime.ErrTampered) {
							t.Errorf("%s: %s: %v", ch.name, how, err)
						}
					}
				}
			}
		})
	}
}
