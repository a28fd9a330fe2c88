// Package report writes a page about a bundle for the person who has to approve its signature: what it creates in the
// kernel, what it attaches to, who signed it, which kernels take it, what the audit says, and every call that it makes.
package report

import (
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/contract"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/verify"
)

//go:embed page.html
var pageText string

// page is parsed when the first page is written: the command that has pages rarely writes one.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"thousands": simkernel.Thousands[int],
		"step":      func(i int) int { return i + 2 }, // the grid's row, behind the heading
	}).Parse(pageText))
})

// data is what the page shows.
type data struct {
	Bundle   *bundle.Bundle
	Endian   string
	Digest   string // of the object
	Blob     int
	BlobHash string
	Failed   bool // the audit
	Findings []audit.Finding
	Loaders  []loaderData
	Contract *contract.Summary
	// Development says that a development key signed.
	Development bool
	Symbols     []string
	Steps       []step
	Scheme      bundle.Scheme // whose steps they are
}

type loaderData struct {
	Scheme     bundle.Scheme
	Insns      int
	Signed     int // bytes that the signature covers
	Hash       string
	Kernels    string
	Covers     string
	Signatures []signatureData
}

type signatureData struct {
	KeyID, Kind, Algorithm string
	// Development says that the key is not for production.
	Development bool
	// Verdict says whether it was checked, State is how to show it: "good", "bad" or "unknown".
	Verdict, State string
}

// step is a line of the diagram: from one of host, loader and kernel to another.
type step struct {
	From, To int // columns
	Text     string
	Class    string
}

// The diagram's columns.
const (
	colHost = iota
	colLoader
	colKernel
)

// Options say what the page should know besides the bundle.
type Options struct {
	// Signers are certificates of signers that are known; signatures by their keys are checked.
	Signers []*x509.Certificate
}

// HTML writes the page. It refers to nothing outside of itself.
func HTML(w io.Writer, b *bundle.Bundle, o Options) error {
	d := &data{Bundle: b, Endian: "little-endian", Digest: hex.EncodeToString(b.Object.SHA256), Blob: len(b.Blob)}
	if b.Object.BigEndian {
		d.Endian = "big-endian"
	}
	var err error
	if d.Contract, err = contract.Summarize(b); err != nil {
		return err
	}
	d.BlobHash = fmt.Sprintf("%x", sha256.Sum256(b.Blob))
	d.Findings = audit.Bundle(b)
	d.Failed = audit.Failed(d.Findings)
	for i := range b.Loaders {
		l, err := describeLoader(b, &b.Loaders[i], o.Signers)
		if err != nil {
			return err
		}
		d.Loaders = append(d.Loaders, l)
		for _, s := range b.Loaders[i].Signatures {
			d.Development = d.Development || s.Kind == bundle.KindDevelopment
		}
	}
	if len(b.Loaders) > 0 {
		d.Scheme = b.Loaders[0].Scheme
		sim, err := simkernel.FromBundle(b, d.Scheme)
		if err != nil {
			return err
		}
		d.addRun(simkernel.Run(sim, simkernel.Options{}))
	}
	return page().Execute(printable.Writer(w), d) // the template escapes what is HTML
}

func describeLoader(b *bundle.Bundle, l *bundle.Loader, signers []*x509.Certificate) (loaderData, error) {
	attestation, err := l.Scheme.Attestation()
	if err != nil {
		return loaderData{}, err
	}
	signed, err := b.SignedBytes(l)
	if err != nil {
		return loaderData{}, err
	}
	d := loaderData{
		Scheme: l.Scheme, Insns: len(l.Insns) / bundle.InsnSize, Signed: len(signed), Hash: fmt.Sprintf("%x", l.ProgHash()),
		Kernels: attestation.Kernels, Covers: attestation.Covers,
	}
	for _, s := range l.Signatures {
		sig := signatureData{KeyID: hex.EncodeToString(s.KeyID), Kind: string(s.Kind), Development: s.Kind == bundle.KindDevelopment, Verdict: "not checked: no certificate given", State: "unknown"}
		parsed, err := cms.Parse(s.CMS)
		if err != nil {
			sig.Verdict, sig.State = err.Error(), "bad"
			d.Signatures = append(d.Signatures, sig)
			continue
		}
		sig.Algorithm = fmt.Sprint(parsed.Hash)
		for _, cert := range signers {
			if hex.EncodeToString(cert.SubjectKeyId) != sig.KeyID {
				continue
			}
			if err := errors.Join(verify.CheckSignature(b, l, s.CMS, cert), cms.CheckUsage(cert)); err != nil {
				sig.Verdict, sig.State = err.Error(), "bad"
			} else {
				sig.Verdict, sig.State = "holds, by "+cert.Subject.CommonName, "good"
			}
		}
		d.Signatures = append(d.Signatures, sig)
	}
	return d, nil
}

// addRun adds what a run shows.
func (d *data) addRun(res *simkernel.Result) {
	for _, ev := range res.Events {
		if ev.Symbol != nil {
			d.Symbols = append(d.Symbols, strings.TrimPrefix(strings.TrimPrefix(trace.Line(ev), "FIND_TYPE "), "FIND_SYMBOL "))
		}
		s := step{From: colLoader, To: colKernel, Text: trace.Line(ev), Class: "call"}
		switch {
		case ev.Kernel:
			s.From, s.To, s.Class = colKernel, colKernel, "check"
		case ev.Kind == simkernel.EventHost:
			s.From, s.Class = colHost, "host"
		case ev.Kind == simkernel.EventCheck:
			s.From, s.To, s.Class = colLoader, colLoader, "check"
		}
		if ev.Errno() != 0 {
			s.Class += " failed"
		}
		d.Steps = append(d.Steps, s)
	}
	end := step{From: colLoader, To: colHost, Text: "the descriptors of what it made", Class: "host"}
	if res.Errno != 0 || res.Err() != nil {
		end.Text, end.Class = "nothing: it fails", "host failed"
	}
	d.Steps = append(d.Steps, end)
}
