//go:build linux

// Package loads loads gen-loaders, good ones and ones that something was done to, into the running kernel and into the
// simulated one, to see whether they agree.
package loads

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

//go:embed testdata/key.der
var keyDER []byte

//go:embed testdata/cert.der
var certDER []byte

// Files are the names of what Cases reads: the loaders and the object of simkernel's tests.
var Files = []string{
	"sample-bpfel.o", "cve.insns", "cve.data", "map-hash.insns", "map-hash.data", "payload.insns", "payload.data",
	"unsigned.insns", "unsigned.data",
}

// Case is a load.
type Case struct {
	Name     string
	Loader   simkernel.Loader
	Scenario simkernel.Scenario
	// Signature is nil to load without one.
	Signature []byte
}

// Cases returns the loads: every loader in every scenario, signed and not, and programs that are no loaders.
func Cases(files fs.FS) ([]Case, error) {
	key, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, err
	}
	var list []Case
	add := func(name string, l simkernel.Loader) error {
		var signature []byte
		if l.Scheme != 0 {
			b := &bundle.Bundle{Blob: l.Blob, Loaders: []bundle.Loader{{Scheme: l.Scheme, Insns: l.Insns}}}
			tbs, err := b.SignedBytes(&b.Loaders[0])
			if err != nil {
				return err
			}
			digest := sha256.Sum256(tbs) // bpftool's loaders have no contract that signing.Identity would check
			signature, err = cms.Sign(key.(*rsa.PrivateKey), cert, crypto.SHA256, digest[:])
			if err != nil {
				return err
			}
		}
		for _, s := range simkernel.Scenarios {
			suffix := ""
			if s != simkernel.Honest {
				suffix = ", " + string(s)
			}
			list = append(list, Case{name + suffix + ", unsigned", l, s, nil})
			if signature != nil {
				list = append(list, Case{name + suffix, l, s, signature})
			}
		}
		return nil
	}

	raw, err := fs.ReadFile(files, "sample-bpfel.o")
	if err != nil {
		return nil, err
	}
	obj, err := object.Parse("sample-bpfel.o", raw, object.Options{})
	if err != nil {
		return nil, err
	}
	b, err := loader.Compile(obj, loader.Options{})
	if err != nil {
		return nil, err
	}
	for _, s := range bundle.Schemes {
		l, err := simkernel.FromBundle(b, s)
		if err != nil {
			return nil, err
		}
		if err := add("ours "+s.String(), l); err != nil {
			return nil, err
		}
	}
	for name, scheme := range map[string]bundle.Scheme{"cve": bundle.MapHash, "map-hash": bundle.MapHash, "payload": bundle.Payload, "unsigned": 0} {
		insns, err := fs.ReadFile(files, name+".insns")
		if err != nil {
			return nil, err
		}
		blob, err := fs.ReadFile(files, name+".data")
		if err != nil {
			return nil, err
		}
		l := simkernel.Loader{Scheme: scheme, Insns: insns, Blob: blob, CtxSize: 24 + 7*16 + 2*4}
		if err := add("bpftool "+name, l); err != nil {
			return nil, err
		}
	}
	for _, p := range broken {
		list = append(list, Case{"broken: " + p.name, simkernel.Loader{Insns: insn.Append(nil, byteOrder, p.insns...), Blob: make([]byte, 256), CtxSize: 64}, "", nil})
	}
	return list, nil
}

// Refused is the outcome of a program that the verifier refuses, whatever the error number: the simulated kernel finds the
// fault when it gets there.
const Refused = "refused"

// Simulate returns the outcome of a case in the simulated kernel: "run ok", "run EINVAL", "load EPERM", or Refused.
func Simulate(c Case, attest simkernel.Attestation) string {
	res := simkernel.Run(c.Loader, simkernel.Options{
		Scenario: c.Scenario, NoSignature: c.Signature == nil, ForeignKernel: true, Config: simkernel.Config{Attest: attest},
	})
	switch {
	case res.Err() != nil:
		return Refused
	case res.Errno == 0:
		return "run ok"
	}
	return fmt.Sprint(res.Stage, " ", res.Errno)
}

// Agree says whether outcomes agree: for what the verifier refuses the error number is its own affair.
func Agree(c Case, simulated, real string) bool {
	refused := simulated == Refused || c.Scenario == simkernel.TamperedInsns && c.Signature == nil && simulated != "run ok"
	if refused || c.Scenario == "" && c.Loader.Scheme == 0 && len(c.Loader.Insns) < 200 {
		return real == simulated || real == "load EINVAL" || real == "load EACCES" || real == "load EPROTO"
	}
	return simulated == real
}

// ErrNoBPF says that the process may not load BPF programs.
var ErrNoBPF = errors.New("no right to load BPF programs here")

// broken are programs that no kernel loads, and some that every kernel does.
var broken = []struct {
	name  string
	insns []insn.Insn
}{
	{"nothing wrong", []insn.Insn{mov(0), exit}},
	{"long jump", []insn.Insn{mov(0), {Op: insn.JaLong, Imm: 1}, mov(1), exit}},
	{"no result", []insn.Insn{exit}},
	{"register without a value", []insn.Insn{{Op: insn.MovX, Src: insn.R7}, exit}},
	{"argument after a call", []insn.Insn{{Op: insn.MovK, Dst: insn.R1, Imm: -1}, {Op: insn.Call, Imm: int32(uapi.HelperSysClose)}, {Op: insn.MovX, Src: insn.R1}, exit}},
	{"above the stack", []insn.Insn{{Op: insn.StoreIW, Dst: insn.R10}, mov(0), exit}},
	{"below the stack", []insn.Insn{{Op: insn.StoreIW, Dst: insn.R10, Off: -516}, mov(0), exit}},
	{"beyond the map", []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdxValue}, {Imm: 250}, {Op: insn.LoadDW, Src: insn.R1}, exit}},
	{"offset beyond the map", []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdxValue}, {Imm: 256}, mov(0), exit}},
	{"writes struct bpf_map", []insn.Insn{{Op: insn.LoadImm64, Dst: insn.R1, Src: insn.PseudoMapIdx}, {}, {Op: insn.StoreIW, Dst: insn.R1, Off: 32}, mov(0), exit}},
	{"wild address", []insn.Insn{{Op: insn.MovK, Dst: insn.R1, Imm: 8}, {Op: insn.LoadB, Src: insn.R1}, exit}},
	{"frame pointer", []insn.Insn{{Op: insn.MovK, Dst: insn.R10}, mov(0), exit}},
	{"jump into a load", []insn.Insn{mov(0), {Op: insn.JeqK, Off: 1}, {Op: insn.LoadImm64, Imm: 1}, {}, exit}},
	{"jump out", []insn.Insn{mov(0), {Op: insn.JeqK, Off: 9}, exit}},
	{"unknown helper", []insn.Insn{mov(0), {Op: insn.Call, Imm: 9999}, exit}},
	{"half a load", []insn.Insn{mov(0), {Op: insn.LoadImm64}}},
	{"falls off", []insn.Insn{mov(0), mov(0)}},
	{"no end", []insn.Insn{mov(0), {Op: insn.Ja, Off: -1}, exit}},
	{"unknown instruction", []insn.Insn{mov(0), {Op: 0xff}, exit}},
	{"another map", []insn.Insn{{Op: insn.LoadImm64, Src: insn.PseudoMapIdx, Imm: 1}, {}, exit}},
}

var exit = insn.Insn{Op: insn.Exit}

func mov(v int32) insn.Insn { return insn.Insn{Op: insn.MovK, Imm: v} }
