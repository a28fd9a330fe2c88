//go:build linux

// Package matrix measures what a kernel does with signed loaders, and keeps the table of it in docs/kernels.md.
package matrix

import (
	"fmt"
	"io"

	"github.com/cilium/ebpf"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/attack/host"
	"github.com/rules-bpf/rules_bpf/tests/attack/story"
	"github.com/rules-bpf/rules_bpf/tests/attack/victim"
)

// Columns are the heads of the table, without that of the kernel.
var Columns = []string{
	"Attests by",
	"map-hash loader", "payload loader", "unsigned",
	"map-hash, map not exclusive", "payload, map not exclusive",
	"map-hash, map tampered with", "payload, map tampered with",
	"CVE-2026-80675, loader from before the fix", "CVE-2026-74364",
}

// Measure makes the running kernel's row. The signer's certificate is enrolled in the thread's session keyring; without a
// signer, for kernels that cannot verify signatures, nothing is signed.
func Measure(signer *signing.Identity) (row []string, err error) {
	order := victim.NativeOrder()
	b, err := victim.Variable(order)
	if err != nil {
		return nil, err
	}
	unsigned, err := victim.Variable(order)
	if err != nil {
		return nil, err
	}
	if signer != nil {
		if err := signer.Sign(b, bundle.KindDevelopment); err != nil {
			return nil, err
		}
	}
	play := func(b *bundle.Bundle, s bundle.Scheme, plan host.Plan) {
		o := host.Play(b, s, plan)
		o.Close(b)
		row = append(row, o.String())
	}
	attests := runtime.Probe().Scheme
	if attests == 0 {
		row = append(row, "none")
	} else {
		row = append(row, attests.String())
	}
	play(b, bundle.MapHash, host.Plan{})
	play(b, bundle.Payload, host.Plan{})
	play(unsigned, bundle.Payload, host.Plan{})
	play(b, bundle.MapHash, host.Plan{Shared: true})
	play(b, bundle.Payload, host.Plan{Shared: true})
	b.Blob[len(b.Blob)-1] ^= 1
	play(b, bundle.MapHash, host.Plan{})
	play(b, bundle.Payload, host.Plan{})

	verdict, err := (&story.Teller{Out: io.Discard, Signer: signer}).Tell(story.Chapter{Attack: story.SharedMap, Scheme: bundle.MapHash, Before: true})
	if err != nil {
		return nil, err
	}
	row = append(row, string(verdict))
	o := host.Play(b, bundle.Payload, host.Plan{Meanwhile: func(m *ebpf.Map) error { return host.RewriteInner(m, 0, 0) }})
	o.Close(b)
	if o.Prepare == nil {
		row = append(row, "the map is changed")
	} else {
		row = append(row, o.String())
	}
	if len(row) != len(Columns) {
		return nil, fmt.Errorf("%d columns, want %d", len(row), len(Columns))
	}
	return row, nil
}
