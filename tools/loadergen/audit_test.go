package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// -audit writes what signtool audit writes of the same bundle.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	out, report := filepath.Join(dir, "x.bpfl"), filepath.Join(dir, "x.audit.json")
	qt.Assert(t, qt.IsNil(run([]string{"-object", fixtures + "data.bpf.o", "-out", out, "-audit", report}, cli.NewEnv(nil, io.Discard, io.Discard))))
	raw, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	b, err := bundle.Decode(raw)
	qt.Assert(t, qt.IsNil(err))
	want, err := file.FormatJSON(append([]audit.Finding{}, audit.Bundle(b)...))
	qt.Assert(t, qt.IsNil(err))
	got, err := os.ReadFile(report)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(got), string(want)))
	var list []audit.Finding
	qt.Check(t, qt.IsNil(json.Unmarshal(got, &list)))
}

// Each loader whose checks are missing is found in the bytes to be written.
func TestAuditFails(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.bpfl")
	qt.Assert(t, qt.IsNil(run([]string{"-object", fixtures + "data.bpf.o", "-out", out}, cli.NewEnv(nil, io.Discard, io.Discard))))
	raw, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	b, err := bundle.Decode(raw)
	qt.Assert(t, qt.IsNil(err))
	_, err = auditEncoded(raw)
	qt.Assert(t, qt.IsNil(err))

	// The payload's loader does not check its map: for map-hash that is a hole.
	for i := range b.Loaders {
		if b.Loaders[i].Scheme == bundle.MapHash {
			b.Loaders[i].Insns = b.Loader(bundle.Payload).Insns
		}
	}
	raw, err = bundle.Encode(b)
	qt.Assert(t, qt.IsNil(err))
	_, err = auditEncoded(raw)
	qt.Check(t, qt.ErrorIs(err, errAudit))
	qt.Check(t, qt.ErrorMatches(err, `the audit fails: this must not be signed: error: .*map-hash loader.*`))
}
