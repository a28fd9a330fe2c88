//go:build linux

// Package guest loads, in a virtual machine, the bundles that the host has signed.
package guest

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/runtime"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

func TestMain(m *testing.M) { guest.Main(m) }

// refusals are the errors that a case may want.
var refusals = map[string]error{
	"ErrKeyNotInKeyring":   runtime.ErrKeyNotInKeyring,
	"ErrSignatureRejected": runtime.ErrSignatureRejected,
	"ErrUnsigned":          runtime.ErrUnsigned,
}

// The kernel takes each bundle, or refuses it, as the host says. The keys of the cases are not the same: once enrolled,
// they stay in the session's keyring.
func TestLoad(t *testing.T) {
	var cases []struct {
		Name        string
		Certificate []byte
		Bundle      []byte
		KeyID       string
		Want        string
	}
	qt.Assert(t, qt.IsNil(json.Unmarshal(guest.ReadData(t, "cases.json"), &cases)))
	qt.Assert(t, qt.Not(qt.HasLen(cases, 0)))
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			b, err := bundle.Decode(c.Bundle)
			qt.Assert(t, qt.IsNil(err))
			coll, err := runtime.Load(t.Context(), b, runtime.Keyring(runtime.KeyringSession), runtime.Enroll(c.Certificate))
			if want := refusals[c.Want]; want != nil {
				qt.Assert(t, qt.ErrorIs(err, want))
				return
			}
			qt.Assert(t, qt.Equals(c.Want, ""))
			qt.Assert(t, qt.IsNil(err))
			defer coll.Close()
			qt.Assert(t, qt.IsNotNil(coll.SignedBy))
			qt.Assert(t, qt.Equals(hex.EncodeToString(coll.SignedBy.KeyID), c.KeyID))
			t.Logf("scheme %v, key %s", coll.Scheme, c.KeyID)
		})
	}
}
