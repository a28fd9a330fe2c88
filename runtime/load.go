//go:build linux

package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// LoadBytes decodes a bundle file's contents and loads it. Contents that are not a bundle are bundle.ErrMalformed, and a bundle
// whose contract is not the one that is signed is ErrTampered and bundle.ErrContract.
func LoadBytes(ctx context.Context, file []byte, opts ...Option) (*Collection, error) {
	b, err := bundle.Decode(file)
	if errors.Is(err, bundle.ErrContract) {
		err = fmt.Errorf("%w: %w", ErrTampered, err)
	}
	if err != nil {
		return nil, err
	}
	return loadChecked(ctx, sys.Native{}, kernelTypes(), b, newConfig(opts)) // Decode has checked the contract
}

// Load loads a bundle into the running kernel. If it fails, it returns a *LoadError and leaves nothing in the kernel.
//
// Load checks ctx between its steps. It does not interrupt a system call.
func Load(ctx context.Context, b *bundle.Bundle, opts ...Option) (*Collection, error) {
	return loadInto(ctx, sys.Native{}, kernelTypes(), b, newConfig(opts))
}

// loadInto is Load with a kernel and what is known of its types.
func loadInto(ctx context.Context, kernel sys.Kernel, types types, b *bundle.Bundle, c *config) (*Collection, error) {
	if refused := checkContract(b); refused != nil {
		return nil, refused
	}
	return loadChecked(ctx, kernel, types, b, c)
}

// loadChecked is loadInto for a bundle whose contract is checked. A load has four stages, each in a file of its own; what one
// makes is what the next one takes:
//
//	choose:  bundle, options, types of the kernel -> job
//	execute: job -> outcome
//	collect: job, outcome -> Collection
//	explain: job, outcome, fault -> LoadError
func loadChecked(ctx context.Context, kernel sys.Kernel, types types, b *bundle.Bundle, c *config) (*Collection, error) {
	j, refused := choose(b, types, c)
	if refused != nil {
		return nil, refused
	}
	if j.unsigned {
		c.logf("warning: loading %s (BPF) without a signature", b.Object.Name)
	}
	execute := inKernel(kernel)
	o := execute(ctx, j)
	if o.fault != nil {
		return nil, explain(j, o.fault, o)
	}
	coll, fault := collect(ctx, kernel, j, o)
	if fault != nil {
		return nil, explain(j, fault, o)
	}
	return coll, nil
}
