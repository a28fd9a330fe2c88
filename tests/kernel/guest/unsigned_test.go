//go:build linux

package guest

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/runtime"
)

// What the probe says of a kernel is what that series can do.
func TestProbe(t *testing.T) {
	_, series := release(t)
	f := runtime.Probe()
	text := f.String()
	t.Log("\n" + text)
	since := func(s string) runtime.Answer {
		if older(series, s) {
			return runtime.No
		}
		return runtime.Yes
	}
	qt.Check(t, qt.Equals(f.Loaders, since("5.14")))
	qt.Check(t, qt.Equals(f.CORE, since("5.17")))
	qt.Check(t, qt.Equals(f.ExclusiveMaps, since("6.18")))
	qt.Check(t, qt.Equals(f.Signatures, since("6.18")))
	qt.Check(t, qt.Equals(f.CanLoadSigned() == nil, scheme(t) != 0))
	qt.Check(t, qt.Equals(f.CanLoadUnsigned() == nil, f.Loaders == runtime.Yes))
	qt.Check(t, qt.Equals(strings.Contains(text, "bpfload -unsigned"), f.CanLoadUnsigned() == nil))
	if f.CanLoadSigned() != nil {
		qt.Check(t, qt.IsFalse(strings.Contains(text, "-enroll")))
	}
}

// With AllowUnsigned a bundle loads on every kernel that runs loaders and has what the object uses, and does the same there.
// Where it does not load, the error says why, and nothing is left.
func TestUnsignedBundles(t *testing.T) {
	f := runtime.Probe()
	if f.BTFError != nil {
		t.Skip("this kernel has no BTF, which most objects want")
	}
	_, series := release(t)
	for _, file := range bundleFiles(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".bpfl")
		t.Run(name, func(t *testing.T) {
			before := objects(t)
			c, err := runtime.Load(t.Context(), readBundle(t, file), runtime.AllowUnsigned(), runtime.PinRoot(pinFolder(t)))
			n, ok := needs[name]
			if err == nil || f.Loaders == runtime.Yes && !(ok && older(series, n.since)) { // an older kernel may do, too
				qt.Assert(t, qt.IsNil(err))
				qt.Check(t, qt.IsNil(c.SignedBy))
				if check := checks[name]; check != nil {
					check(t, c)
				}
				qt.Check(t, qt.IsNil(c.Close()))
				return
			}
			t.Log(err)
			switch {
			case f.Loaders == runtime.No:
				qt.Check(t, qt.ErrorIs(err, runtime.ErrLoadersUnsupported))
			case name == "maps": // a storage without max_entries is as it should be: the kernel lacks the type
				qt.Check(t, qt.ErrorMatches(err, ".*: at map cgrp_storage: the kernel may lack a map type, .*"))
			default:
				qt.Check(t, qt.IsTrue(errors.Is(err, runtime.ErrLoaderFailed) || errors.Is(err, runtime.ErrVerifierRefused)))
			}
			nothingLeft(t, before)
		})
	}
}
