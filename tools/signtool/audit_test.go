package main

import (
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"os"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/proof"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// asLoader is a payload loader that makes a map of the attributes in the blob, after what it gets.
func asLoader(before ...insn.Insn) []byte {
	before = append(before, insn.Insn{Op: insn.MovX, Dst: insn.R6, Src: insn.R1})
	return insn.Append(nil, binary.LittleEndian, append(before,
		insn.Insn{Op: insn.MovK, Dst: insn.R1},
		insn.Insn{Op: insn.LoadImm64, Dst: insn.R2, Src: insn.PseudoMapIdxValue}, insn.Insn{},
		insn.Insn{Op: insn.MovK, Dst: insn.R3, Imm: 72},
		insn.Insn{Op: insn.Call, Imm: int32(uapi.HelperSysBPF)},
		insn.Insn{Op: insn.JsltK, Dst: insn.R0, Off: 2},
		insn.Insn{Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 24},
		insn.Insn{Op: insn.MovK, Dst: insn.R0},
		insn.Insn{Op: insn.Exit})...)
}

func TestAudit(t *testing.T) {
	s := newTool(t)
	data := s.write("data", make([]byte, 72))
	good := s.write("good", asLoader())
	read := insn.Insn{Op: insn.LoadW, Dst: insn.R0, Src: insn.R1, Off: 28} // max_entries of the first map
	bad := s.write("bad", asLoader(read, read))

	qt.Check(t, qt.Equals(s.run("audit", "-insns", good, "-data", data, "-scheme", "payload"), cli.ExitOK))
	qt.Check(t, qt.Matches(s.stdout.String(), `(?s).*/good: OK: the loader verifies its metadata before acting and takes no input from the host\. This is what it makes:\n.*`))

	qt.Check(t, qt.Equals(s.run("audit", "-insns", bad, "-data", data, "-scheme", "payload"), cli.ExitFailed))
	qt.Check(t, qt.Matches(s.stdout.String(), `.*/bad: error: host-context: payload loader at instruction 0: .*\n`))
	qt.Check(t, qt.Matches(s.stderr.String(), `signtool audit: .*/bad: the audit fails: do not sign this\n`))

	qt.Check(t, qt.Equals(s.run("audit", "-insns", good, "-data", data), cli.ExitFailed)) // of a map-hash loader more is asked
	qt.Check(t, qt.StringContains(s.stdout.String(), "CVE-2026-80675"))

	qt.Check(t, qt.Equals(s.run("audit", "-json", "-insns", bad, "-data", data, "-scheme", "payload"), cli.ExitFailed))
	var findings []struct {
		ID     audit.ID
		Scheme string
	}
	qt.Assert(t, qt.IsNil(json.Unmarshal(s.stdout.Bytes(), &findings)))
	qt.Assert(t, qt.HasLen(findings, 1))
	qt.Check(t, qt.Equals(findings[0].ID, proof.HostContext))
	qt.Check(t, qt.Equals(findings[0].Scheme, "payload"))

	// A file is for a build: quiet, and there only if nothing is wrong.
	out := s.path("findings.json")
	qt.Check(t, qt.Equals(s.run("audit", "-out", out, "-insns", bad, "-data", data, "-scheme", "payload"), cli.ExitFailed))
	qt.Check(t, qt.StringContains(s.stdout.String(), "host-context"))
	_, err := os.Stat(out)
	qt.Check(t, qt.ErrorIs(err, fs.ErrNotExist))
	qt.Check(t, qt.Equals(s.run("audit", "-out", out, "-insns", good, "-data", data, "-scheme", "payload"), cli.ExitOK))
	qt.Check(t, qt.Equals(s.stdout.String(), ""))
	written, err := os.ReadFile(out)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(string(written), `"id": "runs-twice"`)) // a note

	for _, args := range [][]string{
		{"audit"}, {"audit", "-insns", good}, {"audit", "-insns", good, "-data", data, "-scheme", "x"}, {"audit", "a", "b"},
	} {
		qt.Check(t, qt.Equals(s.run(args...), cli.ExitUsage), qt.Commentf("%q", args))
	}
	qt.Check(t, qt.Equals(s.run("audit", good), cli.ExitFailed)) // no bundle
	qt.Check(t, qt.Equals(s.run("audit", "-insns", s.path("none"), "-data", data), cli.ExitFailed))
	qt.Check(t, qt.Equals(s.run("audit", "-insns", good, "-data", s.path("none")), cli.ExitFailed))
}
