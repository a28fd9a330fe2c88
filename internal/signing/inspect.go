package signing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/contract"
)

// Summary is what a bundle says of itself, for people and as JSON. Nothing in it is verified.
type Summary struct {
	Version int             `json:"version"`
	Object  ObjectSummary   `json:"object"`
	CtxSize uint32          `json:"ctxSize"`
	Blob    BytesSummary    `json:"blob"`
	BTFSize uint32          `json:"btfSize"`
	Loaders []LoaderSummary `json:"loaders"`
	*contract.Summary
}

// ObjectSummary is of the object that the loader was made of.
type ObjectSummary struct {
	Name      string `json:"name"`
	SHA256    string `json:"sha256"`
	ByteOrder string `json:"byteOrder"`
	License   string `json:"license"`
}

// BytesSummary is of a string of bytes.
type BytesSummary struct {
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// LoaderSummary is of one loader.
type LoaderSummary struct {
	Scheme       string `json:"scheme"`
	Instructions int    `json:"instructions"`
	// ProgHash is the digest of the instructions, SignedBytes that of what a signature covers.
	ProgHash    string             `json:"progHash"`
	SignedBytes BytesSummary       `json:"signedBytes"`
	Signatures  []SignatureSummary `json:"signatures"`
}

// SignatureSummary is of one signature.
type SignatureSummary struct {
	KeyID     string `json:"keyId"`
	Kind      string `json:"kind"`
	Size      int    `json:"size"`
	Algorithm string `json:"algorithm,omitempty"`
	Hash      string `json:"hash,omitempty"`
	// Error says what is wrong with its form.
	Error string `json:"error,omitempty"`
}

// Summarize returns what a bundle says of itself.
func Summarize(b *bundle.Bundle) (*Summary, error) {
	words, err := contract.Summarize(b)
	if err != nil {
		return nil, err
	}
	s := &Summary{
		Summary: words,
		Version: bundle.Version,
		Object: ObjectSummary{Name: b.Object.Name, SHA256: hex.EncodeToString(b.Object.SHA256), ByteOrder: "little",
			License: b.Object.License},
		CtxSize: b.CtxSize,
		Blob:    digestOf(b.Blob),
		BTFSize: b.BTF.Size,
		Loaders: []LoaderSummary{},
	}
	if b.Object.BigEndian {
		s.Object.ByteOrder = "big"
	}
	for i := range b.Loaders {
		l := &b.Loaders[i]
		tbs, err := b.SignedBytes(l)
		if err != nil {
			return nil, err
		}
		hash := l.ProgHash()
		ls := LoaderSummary{
			Scheme:       l.Scheme.String(),
			Instructions: len(l.Insns) / bundle.InsnSize,
			ProgHash:     hex.EncodeToString(hash[:]),
			SignedBytes:  digestOf(tbs),
			Signatures:   []SignatureSummary{},
		}
		for _, sig := range l.Signatures {
			ls.Signatures = append(ls.Signatures, summarizeSignature(sig))
		}
		s.Loaders = append(s.Loaders, ls)
	}
	return s, nil
}

func summarizeSignature(sig bundle.Signature) SignatureSummary {
	s := SignatureSummary{KeyID: hex.EncodeToString(sig.KeyID), Kind: string(sig.Kind), Size: len(sig.CMS)}
	sd, err := cms.Parse(sig.CMS)
	if err != nil {
		s.Error = err.Error()
		return s
	}
	s.Algorithm, s.Hash = sd.Algorithm.String(), cms.HashName(sd.Hash)
	if id := hex.EncodeToString(sd.KeyID); id != s.KeyID {
		s.Error = "the signature is by key " + id
	}
	return s
}

func digestOf(data []byte) BytesSummary {
	sum := sha256.Sum256(data)
	return BytesSummary{len(data), hex.EncodeToString(sum[:])}
}

// Print writes the summary for people.
func (s *Summary) Print(w io.Writer) error {
	p := &printer{w: w}
	p.f("object    %s (%s-endian, license %q)\n", printable.Name(s.Object.Name), s.Object.ByteOrder, s.Object.License)
	p.f("          sha256 %s\n", s.Object.SHA256)
	p.f("contract  sha256 %s\n", s.SHA256)
	for _, line := range s.Lines() {
		p.f("%s\n", line)
	}
	p.f("blob      %d bytes, BTF %d of them\n", s.Blob.Size, s.BTFSize)
	p.f("          sha256 %s\n", s.Blob.SHA256)
	for _, l := range s.Loaders {
		p.f("loader    %s: %d instructions, %d bytes to sign\n", l.Scheme, l.Instructions, l.SignedBytes.Size)
		p.f("          sha256 %s\n", l.SignedBytes.SHA256)
		if len(l.Signatures) == 0 {
			p.f("          not signed\n")
		}
		for _, sig := range l.Signatures {
			if sig.Error != "" {
				p.f("          signed by %s (%s): %s\n", sig.KeyID, kindWords(bundle.Kind(sig.Kind)), printable.Text(sig.Error))
				continue
			}
			p.f("          signed by %s (%s): %s with %s, %d bytes\n", sig.KeyID, kindWords(bundle.Kind(sig.Kind)), sig.Algorithm, sig.Hash, sig.Size)
		}
	}
	return p.err
}

// kindWords says what a key is for. What is not for production must not look like it.
func kindWords(k bundle.Kind) string {
	if k == bundle.KindDevelopment {
		return "DEVELOPMENT KEY, not for production"
	}
	return printable.Name(string(k))
}

// printer keeps the first error of many writes.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
