// Package loader compiles an object into gen-loaders: programs that create the object's maps and load its programs from
// within the kernel, out of a blob that holds everything they need. It is the build side's core.
//
// A loader is one straight line of instructions; each call that fails goes to one clean-up at the end, which
// closes every descriptor made so far. What does not depend on the running kernel is in the blob, ready-made; the
// instructions only fill in addresses and descriptors. The blob begins with the digest of the bundle's contract. Then come slots
// for the descriptors, which double as the fd_array of the programs' BPF_PROG_LOAD.
//
// The instructions differ between the schemes by their first few only: see attest.
package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
)

// ErrCompile is in the chain of every error of Compile.
var ErrCompile = errors.New("cannot make a loader")

// Options change how an object is compiled.
type Options struct {
	// Schemes to make loaders for; all if empty.
	Schemes []bundle.Scheme
	// KernelBTF is the type information of a kernel whose struct_ops types have the layout of those that the loader will
	// meet; without it, the object's own declarations are believed.
	KernelBTF *btf.Spec
}

// Compile makes an unsigned bundle of loaders for an object. The result is a function of its input alone.
func Compile(obj *object.Object, opts Options) (*bundle.Bundle, error) {
	b, err := newCompiler(obj, opts).compile()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", obj.File, ErrCompile, err)
	}
	return b, nil
}

func newCompiler(obj *object.Object, opts Options) *compiler {
	return &compiler{
		obj: obj, opts: opts, order: obj.Order,
		blob:    blob{order: obj.Order, limit: maxBlob, strings: map[string]uint32{}, records: map[string]uint32{}},
		lookups: map[lookupKey]*lookup{},
		members: map[*object.Program]structOpsMember{},
		code:    code{reach: maxReach},
	}
}

func (c *compiler) compile() (*bundle.Bundle, error) {
	for _, step := range []func() error{c.planBTF, c.planMaps, c.planPrograms, c.checkContents, c.layOut, c.generate} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b := &bundle.Bundle{Contract: c.contract(), Blob: c.blob.data}
	if err := b.Seal(); err != nil { // before attest hashes the blob
		return nil, err
	}
	for _, s := range schemesInOrder(c.opts.Schemes) {
		insns, err := c.loader(s)
		if err != nil {
			return nil, err
		}
		b.Loaders = append(b.Loaders, bundle.Loader{Scheme: s, Insns: insns})
	}
	if err := b.CheckContract(); err != nil { // the object may have names that a bundle cannot have
		return nil, err
	}
	return b, nil
}

// schemesInOrder returns the schemes to make loaders for, each once, in the order in which a bundle holds them.
func schemesInOrder(wanted []bundle.Scheme) []bundle.Scheme {
	if len(wanted) == 0 {
		return bundle.Schemes
	}
	sorted := slices.Clone(wanted)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// loader returns the instructions for a scheme.
func (c *compiler) loader(s bundle.Scheme) ([]byte, error) {
	attestation, err := s.Attestation()
	if err != nil {
		return nil, err
	}
	insns := []insn.Insn{{Op: insn.MovX, Dst: regCtx, Src: insn.R1}}
	if attestation.LoaderChecks {
		insns = append(insns, attest(c.blob.data, c.order)...)
	}
	return insn.Append(nil, c.order, append(insns, c.code.insns...)...), nil
}

// compiler holds the state of one compilation.
type compiler struct {
	obj   *object.Object
	opts  Options
	order binary.ByteOrder

	btf      *btf.Writer // nil if nothing needs type information
	btfRange bundle.Range
	btfAttr  uint32
	btfTemp  int // the number of its slot
	license  uint32
	guard    uint32 // where in the blob the run-once guard is
	maps     []*mapPlan
	mapPlans map[*object.Map]*mapPlan
	programs []*programPlan
	plans    map[*object.Program]*programPlan
	members  map[*object.Program]structOpsMember // what programs of struct_ops maps are
	lookups  map[lookupKey]*lookup
	asked    []*lookup // in the order of their first use
	scratch  uint32    // where kallsyms puts an address
	trials   trialPlan

	slots slots
	blob  blob
	code  code
}
