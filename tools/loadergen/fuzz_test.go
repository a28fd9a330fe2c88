package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/tests/elfedit"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/golden"
	"github.com/rules-bpf/rules_bpf/tools/loadergen/report"
)

// FuzzInspections shows bundles that were changed, or that say anything, in all ways that there are: trace, golden and report.
func FuzzInspections(f *testing.F) {
	var bundles []*bundle.Bundle
	for _, o := range elfedit.Load(f, "../../internal/object/testdata/data.bpf.o", "../../internal/object/testdata/structops.bpf.o",
		"../../internal/object/testdata/maps*.bpf.o", "../../internal/object/testdata/eb/ksyms.bpf.o", "../../internal/object/testdata/tailcalls.bpf.o") {
		obj, err := object.Parse(o.Name, o.Apply(nil), object.Options{})
		qt.Assert(f, qt.IsNil(err))
		b, err := loader.Compile(obj, loader.Options{})
		qt.Assert(f, qt.IsNil(err))
		bundles = append(bundles, b)
	}
	for i := range bundles {
		f.Add(uint8(i), "name", "section", uint16(0), []byte(nil), uint16(0), []byte(nil), uint8(i))
		f.Add(uint8(i), "a\nsigned by ff (production)", "\x1b[2J", uint16(40), []byte("\x95\x00\x00\x00\x00\x00\x00\x00"), uint16(60), []byte("\xff\xff\xff\xff"), uint8(i))
		f.Add(uint8(i), "<script>", "\u202e", uint16(9), []byte("\x85\x00\x00\x00\xb5\x00\x00\x00"), uint16(300), make([]byte, 64), uint8(i))
	}
	f.Fuzz(func(t *testing.T, which uint8, name, section string, at uint16, insns []byte, blobAt uint16, blob []byte, fail uint8) {
		if len(insns)+len(blob)+len(name)+len(section) > 1<<12 {
			return
		}
		b := *bundles[int(which)%len(bundles)]
		b.Maps, b.Programs, b.Loaders = append([]bundle.Map{}, b.Maps...), append([]bundle.Program{}, b.Programs...), append([]bundle.Loader{}, b.Loaders...)
		b.Object.Name, b.Object.License = name, section
		if name != "" && len(b.Maps) > 0 {
			b.Maps[0].Name, b.Maps[0].Section = name, section
		}
		if name != "" && len(b.Programs) > 0 {
			b.Programs[0].Name, b.Programs[0].Section, b.Programs[0].AttachTo = name, section, section
		}
		b.Blob = append([]byte{}, b.Blob...)
		copy(b.Blob[int(blobAt)%len(b.Blob):], blob)
		l := &b.Loaders[int(fail)%len(b.Loaders)]
		l.Insns = append([]byte{}, l.Insns...)
		copy(l.Insns[int(at)*bundle.InsnSize%len(l.Insns):], insns)

		qt.Assert(t, qt.IsNil(b.Seal()))
		data, err := bundle.Encode(&b)
		if err != nil {
			return
		}
		decoded, err := bundle.Decode(data)
		if err != nil {
			return // names that are not UTF-8
		}
		show(t, decoded, int(fail))
	})
}

// checkLines holds a text to lines that nothing in a bundle can forge, nor drive a terminal with.
func checkLines(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\n"), "\t")
		qt.Assert(t, qt.IsTrue(printable.Is(line)), qt.Commentf("%q", line))
	}
}

// maxShown is more than any text or page about a small bundle has, in bytes.
const maxShown = 16 << 20

// show shows a bundle in all ways.
func show(t *testing.T, b *bundle.Bundle, fail int) {
	for _, l := range b.Loaders {
		sim, err := simkernel.FromBundle(b, l.Scheme)
		qt.Assert(t, qt.IsNil(err))
		scenario := simkernel.Scenarios[fail%len(simkernel.Scenarios)]
		res := simkernel.Run(sim, simkernel.Options{Scenario: scenario, Config: simkernel.Config{FailCall: fail}})
		text := trace.Text(res)
		qt.Assert(t, qt.IsTrue(text != "" && len(text) < maxShown))
		checkLines(t, text)
		qt.Assert(t, qt.Equals(strings.Count(text, "\n"), len(res.Events)+1+len(res.Leaks)))
	}
	if text, err := golden.Text(b); err == nil {
		checkLines(t, text)
		qt.Assert(t, qt.IsTrue(len(text) < maxShown))
		again, err := golden.Text(b)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.Equals(again, text))
	}
	var page bytes.Buffer
	if err := report.HTML(&page, b, report.Options{}); err == nil {
		qt.Assert(t, qt.IsTrue(page.Len() < maxShown))
		qt.Assert(t, qt.IsFalse(bytes.Contains(page.Bytes(), []byte("<script>"+b.Object.Name))))
	}
}
