package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/signing"
)

// column is where in a line of inspect's text begins what it says.
const column = 10

// FuzzInspect inspects bundles that say anything, and whose signatures are anything.
func FuzzInspect(f *testing.F) {
	signature := []byte("0\x1a\x06\x09*\x86H\x86\xf7\x0d\x01\x07\x02\xa0\x0d0\x0b\x02\x01\x011\x000\x000\x001\x00") // SignedData with nothing in it
	f.Add("m", "p", "xdp", "GPL", uint32(1), uint32(2), []byte{1, 2}, signature)
	f.Add("a\nsigned by ff (production): good", "\x1b[2J", "\u202e", "\r", ^uint32(0), uint32(0), []byte("\n"), []byte(nil))
	f.Fuzz(func(t *testing.T, name, program, section, license string, number, flags uint32, key, cms []byte) {
		b := &bundle.Bundle{
			Contract: bundle.Contract{
				Object: bundle.Object{Name: name, License: license, SHA256: make([]byte, 32), BigEndian: number%2 == 1}, CtxSize: bundle.CtxHeaderSize + 8,
				Maps: []bundle.Map{{Name: name, Section: section, Pinning: flags % 2, Ctx: bundle.CtxHeaderSize, MapAttributes: bundle.MapAttributes{
					Type: number, KeySize: number, ValueSize: flags, MaxEntries: number, Flags: flags,
				}}},
				Programs: []bundle.Program{{Name: program, Section: section, AttachTo: license, Type: number, ExpectedAttachType: flags, Flags: flags,
					Insns: bundle.Range{Offset: bundle.ContractSize, Size: 8}, Ctx: bundle.CtxHeaderSize + 4}},
			},
			Loaders: []bundle.Loader{{Scheme: bundle.MapHash, Insns: make([]byte, 16), Signatures: []bundle.Signature{{KeyID: key, Kind: "test", CMS: cms}}},
				{Scheme: bundle.Payload, Insns: make([]byte, 16)}},
			Blob: make([]byte, bundle.ContractSize+8),
		}
		qt.Assert(t, qt.IsNil(b.Seal()))
		data, err := bundle.Encode(b)
		if err != nil {
			return
		}
		if b, err = bundle.Decode(data); err != nil {
			return // names that are not UTF-8
		}
		summary, err := signing.Summarize(b)
		qt.Assert(t, qt.IsNil(err))
		i := inspection{Summary: summary}
		var text bytes.Buffer
		qt.Assert(t, qt.IsNil(i.print(&text)))
		// One map, one program, two loaders, one signature: nothing forges another line.
		heads := map[string]int{}
		for line := range strings.Lines(text.String()) {
			line = strings.TrimSuffix(line, "\n")
			qt.Assert(t, qt.IsTrue(len(line) > column && printable.Is(line)), qt.Commentf("%q", line))
			if head := strings.TrimRight(line[:column], " "); head != "" {
				heads[head]++
			} else if strings.HasPrefix(line[column:], "signed by ") {
				heads["signed by"]++
			}
		}
		qt.Assert(t, qt.DeepEquals(heads, map[string]int{"object": 1, "contract": 1, "map": 1, "program": 1, "blob": 1, "loader": 2, "signed by": 1}))
		out, err := json.Marshal(i)
		qt.Assert(t, qt.IsNil(err))
		var again signing.Summary
		qt.Assert(t, qt.IsNil(json.Unmarshal(out, &again)))
		qt.Assert(t, qt.Equals(again.Maps[0].Name, name))
	})
}
