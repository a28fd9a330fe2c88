package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
	"github.com/rules-bpf/rules_bpf/tests/files"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// smallBundle writes a bundle whose payload loader makes a map and leaves its descriptor, or forgets it.
func smallBundle(t *testing.T, leak bool) string {
	t.Helper()
	le := binary.LittleEndian
	blob := make([]byte, bundle.ContractSize+72)
	attr := blob[bundle.ContractSize:]
	le.PutUint32(attr[0:], 2) // an array
	le.PutUint32(attr[4:], 4)
	le.PutUint32(attr[8:], 8)
	le.PutUint32(attr[12:], 1)
	copy(attr[28:], "numbers")
	insns := []insn.Insn{
		{Op: insn.MovX, Dst: insn.R6, Src: insn.R1},
		{Op: insn.MovK, Dst: insn.R1}, {Op: insn.LoadImm64, Dst: insn.R2, Src: insn.PseudoMapIdxValue}, {Imm: bundle.ContractSize}, {Op: insn.MovK, Dst: insn.R3, Imm: 72},
		{Op: insn.Call, Imm: int32(uapi.HelperSysBPF)}, {Op: insn.JsltK, Dst: insn.R0, Off: 2},
		{Op: insn.StoreW, Dst: insn.R6, Src: insn.R0, Off: 24}, {Op: insn.MovK, Dst: insn.R0}, {Op: insn.Exit},
	}
	if leak {
		insns[7] = insn.Insn{Op: insn.Ja}
	}
	b := &bundle.Bundle{
		Contract: bundle.Contract{
			Object: bundle.Object{Name: "small.bpf.o", SHA256: make([]byte, 32), License: "GPL"}, CtxSize: 28,
			Maps: []bundle.Map{{Name: "numbers", Ctx: bundle.CtxHeaderSize, MapAttributes: bundle.MapAttributes{Kernel: "numbers", Type: uint32(uapi.MapTypeArray), KeySize: 4, ValueSize: 8, MaxEntries: 1}}},
		},
		Blob:    blob,
		Loaders: []bundle.Loader{{Scheme: bundle.Payload, Insns: insn.Append(nil, le, insns...)}},
	}
	qt.Assert(t, qt.IsNil(b.Seal()))
	data, err := bundle.Encode(b)
	qt.Assert(t, qt.IsNil(err))
	path := filepath.Join(t.TempDir(), "small.bpfl")
	qt.Assert(t, qt.IsNil(os.WriteFile(path, data, 0o644)))
	return path
}

// inspect runs a subcommand and returns what it prints.
func inspect(args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	err := inspections[args[0]](args[1:], cli.NewEnv(nil, &stdout, &stderr))
	return stdout.String(), err
}

func TestTrace(t *testing.T) {
	path := smallBundle(t, false)
	out, err := inspect("trace", path)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(out, `payload loader
host  metadata map of 104 bytes, exclusive to the loader
host  freeze the metadata map
host  load the loader, 10 instructions, signed with the map's contents
kern  the metadata map is exclusive to the loader and frozen: ok
kern  the signature is one of the instructions and the map's contents: ok
   1  MAP_CREATE array "numbers" key=4 value=8 max_entries=1 untyped
end   the loader returns map "numbers"
`))
	out, err = inspect("trace", "-fail", "1", "-scheme", "payload", path)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsTrue(strings.HasSuffix(out, "made to fail: -ENOMEM\nend   the loader returns -ENOMEM\n")), qt.Commentf("%s", out))
	out, err = inspect("trace", "-tampered-blob", path)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(out, ": -EKEYREJECTED\nend   refused: "))

	out, err = inspect("trace", smallBundle(t, true))
	qt.Check(t, qt.ErrorMatches(err, `payload loader: .*the descriptor of map "numbers" is left open`))
	qt.Check(t, qt.StringContains(out, "fault instruction 5"))

	for _, args := range [][]string{
		{"trace"}, {"trace", "-stale-hash", "-not-hashed", path}, {"trace", "-scheme", "x", path}, {"trace", "-x", path},
		{"golden"}, {"report", path},
	} {
		_, err := inspect(args...)
		qt.Check(t, qt.ErrorIs(err, cli.ErrUsage), qt.Commentf("%q", args))
	}
	_, err = inspect("trace", "-scheme", "map-hash", path)
	qt.Check(t, qt.ErrorMatches(err, "the bundle has no map-hash loader"))
	_, err = inspect("trace", "-h")
	qt.Check(t, qt.IsTrue(errors.Is(err, flag.ErrHelp)))
}

func TestGolden(t *testing.T) {
	path := smallBundle(t, false)
	text, err := inspect("golden", path)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(text, "\tu32 ctx, map \"numbers\" = r0"))
	file := filepath.Join(t.TempDir(), "small.golden")
	_, err = inspect("golden", "-update", file, path)
	qt.Assert(t, qt.IsNil(err))
	out, err := inspect("golden", "-check", file, path)
	qt.Check(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(out, ""))
	qt.Assert(t, qt.IsNil(os.WriteFile(file, []byte(strings.Replace(text, "value=8", "value=9", 1)), 0o644)))
	out, err = inspect("golden", "-check", file, path)
	qt.Check(t, qt.ErrorIs(err, errStale))
	qt.Check(t, qt.Equals(out, `-call  MAP_CREATE array "numbers" key=4 value=9 max_entries=1 untyped
+call  MAP_CREATE array "numbers" key=4 value=8 max_entries=1 untyped
`))
}

func TestReport(t *testing.T) {
	path := smallBundle(t, false)
	page, err := inspect("report", "-html", "-", path)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(page, "<h1>small.bpf.o</h1>"))
	file := filepath.Join(t.TempDir(), "report.html")
	_, err = inspect("report", "-html", file, path)
	qt.Assert(t, qt.IsNil(err))
	onDisk, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(onDisk), page))
	_, err = inspect("report", "-html", file, "-cert", file, path)
	qt.Check(t, qt.ErrorIs(err, cli.ErrUsage))
}

// What looks at a bundle reads it from anywhere, and writes to anything.
func TestInspectFiles(t *testing.T) {
	path := smallBundle(t, false)
	for _, args := range [][]string{{"golden", "-update"}, {"report", "-html"}} {
		files.Outputs(t, func(out string, stdout io.Writer) error {
			return run(append(args[:2:2], out, path), cli.NewEnv(nil, stdout, io.Discard))
		})
	}
	for _, args := range [][]string{{"trace"}, {"golden"}, {"report", "-html", "-"}} {
		files.Inputs(t, path, func(in string, stdin io.Reader) error {
			return run(append(args[:len(args):len(args)], in), cli.NewEnv(stdin, io.Discard, io.Discard))
		})
	}
}
