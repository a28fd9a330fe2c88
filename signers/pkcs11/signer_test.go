package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestParseURI(t *testing.T) {
	slot := uint(3)
	for _, c := range []struct {
		uri  string
		want *uri
		err  string
	}{
		{uri: "pkcs11:object=bpf", want: &uri{object: "bpf"}},
		{uri: "pkcs11:token=a%20b%3B;serial=12;slot-id=3;id=%01%ff;type=private?module-path=/usr/lib/m.so&pin-source=file:/pin",
			want: &uri{token: "a b;", serial: "12", slot: &slot, id: []byte{1, 0xff}, modulePath: "/usr/lib/m.so", pinSource: "file:/pin"}},
		{uri: "bpf", err: "is not a PKCS#11 URI"},
		{uri: "pkcs11:", err: "names no key"},
		{uri: "pkcs11:token=a", err: "names no key"},
		{uri: "pkcs11:object", err: "has no value"},
		{uri: "pkcs11:object=%zz", err: "object"},
		{uri: "pkcs11:object=a;slot-id=x", err: "slot-id"},
		{uri: "pkcs11:object=a;type=public", err: "type"},
		{uri: "pkcs11:object=a;colour=red", err: "colour"},
		{uri: "pkcs11:object=a?colour=red", err: "colour"},
		{uri: "pkcs11:object=a?pin-value=1234", err: variablePIN},
	} {
		t.Run(c.uri, func(t *testing.T) {
			got, err := parseURI(c.uri)
			if c.err != "" {
				qt.Assert(t, qt.ErrorMatches(err, ".*"+c.err+".*"))
				return
			}
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.IsTrue((got.slot == nil) == (c.want.slot == nil)))
			if got.slot != nil {
				qt.Assert(t, qt.Equals(*got.slot, *c.want.slot))
				got.slot, c.want.slot = nil, nil
			}
			qt.Assert(t, qt.Equals(got.token, c.want.token))
			qt.Assert(t, qt.Equals(got.serial, c.want.serial))
			qt.Assert(t, qt.Equals(got.object, c.want.object))
			qt.Assert(t, qt.IsTrue(bytes.Equal(got.id, c.want.id)))
			qt.Assert(t, qt.Equals(got.modulePath, c.want.modulePath))
			qt.Assert(t, qt.Equals(got.pinSource, c.want.pinSource))
		})
	}
}

// What it cannot do it says in the protocol, with a status of 1.
func TestRequestErrors(t *testing.T) {
	for _, c := range []struct{ name, request, want string }{
		{"not JSON", "hello", "malformed"},
		{"later version", `{"version": 2, "operation": "sign"}`, "version 2"},
		{"another operation", `{"version": 1, "operation": "decrypt"}`, "decrypt"},
		{"no key", `{"version": 1, "operation": "sign"}`, variableURI},
		{"not a URI", `{"version": 1, "operation": "sign", "key": "bpf"}`, "PKCS#11 URI"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			status := run(nil, strings.NewReader(c.request), &out, io.Discard, func(string) string { return "" })
			qt.Assert(t, qt.Equals(status, 1))
			var resp response
			qt.Assert(t, qt.IsNil(json.Unmarshal(out.Bytes(), &resp)))
			qt.Assert(t, qt.Equals(resp.Version, 1))
			qt.Assert(t, qt.StringContains(resp.Error, c.want))
		})
	}
	qt.Assert(t, qt.Equals(run([]string{"frobnicate"}, strings.NewReader(""), io.Discard, io.Discard, nil), 2))
	qt.Assert(t, qt.Equals(run([]string{"public", "bpf"}, strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" }), 1))
}
