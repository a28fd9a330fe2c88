package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rules-bpf/rules_bpf/tests/files"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// message makes a message of its fields: strings, numbers, and messages.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		number := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), v)
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
		case int:
			b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), uint64(v))
		}
	}
	return b
}

func TestRender(t *testing.T) {
	m, err := parseModule(message(
		5, "The rules.\n\n    load(\"@x//:y.bzl\", \"z\")\n\n    z()\n\nMore.", 6, "//:defs.bzl",
		99, "what a later Bazel says",
		1, message(1, "bpf_x", 2, "Makes x.\n\n    bpf_x(\n        name = \"x\",\n    )", 6, 1,
			3, message(1, "name", 2, "A name.", 3, 1, 4, 1),
			3, message(1, "deps", 2, "These\nor | those.", 3, 7, 6, "[]", 5, message(1, "AInfo", 1, "BInfo"), 5, message(1, "CInfo")),
			5, message(1, "XInfo")),
		3, message(1, "bpf_f", 3, "A macro.", 2, message(1, "name", 4, 1, 5, 1), 2, message(1, "kwargs", 2, "Others.", 5, 5)),
		7, message(1, "ext", 2, "An extension."),
		2, message(1, "XInfo", 2, "About x.", 3, message(1, "file", 2, "File: it.")),
	))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.DeepEquals(m.undocumented(), []string{"bpf_f.name"}))
	got := render([]*module{m})
	golden := filepath.Join("testdata", "rules.golden")
	if os.Getenv("UPDATE") != "" {
		qt.Assert(t, qt.IsNil(os.WriteFile(golden, got, 0o644)))
	}
	want, err := os.ReadFile(golden)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(got), string(want)))
}

// Bazel 7 tells no roles of parameters, later ones do: the page is the same.
func TestKwargs(t *testing.T) {
	for _, role := range []int{0, 5} {
		m, err := parseModule(message(6, "//:defs.bzl", 3, message(1, "f", 2, message(1, "kwargs", 2, "Others.", 5, role))))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.StringContains(string(render([]*module{m})), "| `**kwargs` |  | Others. |"))
	}
}

func TestMalformed(t *testing.T) {
	for name, data := range map[string][]byte{
		"not a message":      {0xff},
		"truncated":          message(5, "long enough")[:4],
		"truncated rule":     message(1, message(1, "bpf_x")[:3], 6, "//:defs.bzl"),
		"no documentation":   {},
		"an empty attribute": message(1, message(3, []byte{0x0a})),
	} {
		_, err := parseModule(data)
		qt.Check(t, qt.IsNotNil(err), qt.Commentf("%s", name))
	}
}

func TestFiles(t *testing.T) {
	t.Setenv("BUILD_WORKSPACE_DIRECTORY", t.TempDir())
	module := filepath.Join(t.TempDir(), "defs.binaryproto")
	qt.Assert(t, qt.IsNil(os.WriteFile(module, message(5, "The rules.", 6, "//:defs.bzl"), 0o644)))
	files.Outputs(t, func(out string, stdout io.Writer) error {
		return run([]string{"-out", out, module}, cli.NewEnv(nil, stdout, io.Discard))
	})
	qt.Check(t, qt.ErrorIs(run([]string{"-out", "-"}, cli.NewEnv(nil, io.Discard, io.Discard)), cli.ErrUsage))
}
