//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func TestProbe(t *testing.T) {
	f := runtime.Probe()
	want := 0
	if f.CanLoadSigned() != nil && f.CanLoadUnsigned() != nil {
		want = 1
	}
	code, stdout, stderr := bpfload("-probe")
	qt.Assert(t, qt.Equals(code, want))
	qt.Assert(t, qt.Equals(stderr, ""))
	qt.Assert(t, qt.Equals(withoutKeyrings(stdout), withoutKeyrings(f.String())))
	qt.Assert(t, qt.StringContains(stdout, "attestation scheme:"))

	code, stdout, stderr = bpfload("-probe", "-json")
	qt.Assert(t, qt.Equals(code, want))
	qt.Assert(t, qt.Equals(stderr, ""))
	var got features
	qt.Assert(t, qt.IsNil(json.Unmarshal([]byte(stdout), &got)))
	qt.Assert(t, qt.Equals(got.Unsigned.Loads, f.CanLoadUnsigned() == nil))
	qt.Assert(t, qt.Equals(got.Loaders, f.Loaders.String()))
}

// withoutKeyrings leaves out how many keys there are: another process may enroll one at any time.
func withoutKeyrings(features string) string {
	lines := strings.SplitAfter(features, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "keyring ") }), "")
}

// The exit code says whether any bundle can load, and the JSON why not.
func TestProbeExit(t *testing.T) {
	signs := runtime.Features{Loaders: runtime.Yes, CORE: runtime.Yes, ExclusiveMaps: runtime.Yes, Signatures: runtime.Yes,
		Scheme: bundle.Payload, InitialUserNamespace: true,
		Keyrings: []runtime.KeyringState{{ID: runtime.KeyringSession, Exists: runtime.Yes, Keys: 0}, {ID: runtime.KeyringUser, Exists: runtime.Unknown, Keys: -1}}}
	unsigned := runtime.Features{Loaders: runtime.Yes, ExclusiveMaps: runtime.No, Signatures: runtime.No, InitialUserNamespace: true, Lockdown: "none"}
	nothing := runtime.Features{Loaders: runtime.No, ExclusiveMaps: runtime.No, Signatures: runtime.No, InitialUserNamespace: true,
		BTFError: errors.New("no BTF")}
	for _, test := range []struct {
		name     string
		f        runtime.Features
		want     int
		wantJSON string
	}{
		{"signed", signs, 0, `{
  "signed": {
    "loads": true
  },
  "unsigned": {
    "loads": true
  },
  "loaders": "yes",
  "core": "yes",
  "btf": true,
  "exclusive_maps": "yes",
  "scheme": "payload",
  "signatures": "yes",
  "keyrings": [
    {
      "name": "session",
      "exists": "yes",
      "keys": 0
    },
    {
      "name": "user",
      "exists": "unknown"
    }
  ],
  "missing_capabilities": [],
  "initial_user_namespace": true
}
`},
		{"unsigned", unsigned, 0, `{
  "signed": {
    "loads": false,
    "reason": "the kernel cannot enforce exclusivity of the metadata map"
  },
  "unsigned": {
    "loads": true
  },
  "loaders": "yes",
  "core": "unknown",
  "btf": true,
  "exclusive_maps": "no",
  "signatures": "no",
  "keyrings": [],
  "lockdown": "none",
  "missing_capabilities": [],
  "initial_user_namespace": true
}
`},
		{"nothing", nothing, 1, `{
  "signed": {
    "loads": false,
    "reason": "the kernel has no usable type information (BTF): no BTF"
  },
  "unsigned": {
    "loads": false,
    "reason": "the kernel cannot run loaders: it has no programs of type syscall"
  },
  "loaders": "no",
  "core": "unknown",
  "btf": false,
  "btf_error": "no BTF",
  "exclusive_maps": "no",
  "signatures": "no",
  "keyrings": [],
  "missing_capabilities": [],
  "initial_user_namespace": true
}
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var text, asJSON, stderr strings.Builder
			qt.Check(t, qt.Equals(printProbe(&test.f, false, &text, &stderr), test.want))
			qt.Check(t, qt.Equals(text.String(), test.f.String()))
			qt.Check(t, qt.Equals(printProbe(&test.f, true, &asJSON, &stderr), test.want))
			qt.Check(t, qt.Equals(asJSON.String(), test.wantJSON))
			qt.Check(t, qt.Equals(stderr.String(), ""))
		})
	}
}
