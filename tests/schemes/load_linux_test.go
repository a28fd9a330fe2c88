package schemes_test

import (
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
)

// The runtime loads nothing of a bundle with a loader of an unknown scheme, signed or not, on no kernel.
func TestLoad(t *testing.T) {
	w := newWorkshop(t)
	for how, b := range w.posing() {
		for _, opts := range [][]runtime.Option{nil, {runtime.AllowUnsigned()}, {runtime.RequireSchemes(third)}} {
			_, err := runtime.Load(t.Context(), b, opts...)
			qt.Check(t, qt.ErrorIs(err, bundle.ErrMalformed), qt.Commentf("%s", how))
			qt.Check(t, qt.StringContains(err.Error(), unknown))
		}
	}
}
