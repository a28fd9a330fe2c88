package simkernel_test

import (
	"testing"

	"github.com/rules-bpf/rules_bpf/internal/simkernel"
)

func BenchmarkRun(b *testing.B) {
	l := sample(b, "map-hash")
	for b.Loop() {
		simkernel.Run(l, simkernel.Options{})
	}
}
