// Package contract puts a bundle's contract into words: what the loaders make, what it is attached to, and which functions of
// the kernel each program calls. It is for the person who approves a signature.
package contract

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// Summary is a contract, for people and as JSON.
type Summary struct {
	// SHA256 is the contract's digest, which is in the blob and so under each signature.
	SHA256 string `json:"contractSha256"`
	// Warnings are what an approver looks for first: calls that reach beyond what most programs do.
	Warnings []Warning `json:"warnings"`
	Maps     []Map     `json:"maps"`
	Programs []Program `json:"programs"`
}

// Warning is a sensitive call of a program.
type Warning struct {
	Program  string `json:"program"`
	Function string `json:"function"`
	// Sensitivity and Effect say how far a call reaches, and what it can do.
	Sensitivity Sensitivity `json:"sensitivity"`
	Effect      string      `json:"effect"`
}

// Summarize returns what a bundle's contract says. It checks the contract, and no signature.
func Summarize(b *bundle.Bundle) (*Summary, error) {
	if err := b.CheckContract(); err != nil {
		return nil, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b.Object.BigEndian {
		order = binary.BigEndian
	}
	s := &Summary{SHA256: hex.EncodeToString(b.ContractDigest()), Warnings: []Warning{}, Maps: []Map{}, Programs: []Program{}}
	for i := range b.Maps {
		s.Maps = append(s.Maps, summarizeMap(&b.Maps[i]))
	}
	for i := range b.Programs {
		p, err := summarizeProgram(b, &b.Programs[i], order)
		if err != nil {
			return nil, fmt.Errorf("program %s: %w", b.Programs[i].Name, err)
		}
		s.Programs = append(s.Programs, p)
		for _, c := range p.calls() {
			if c.Sensitivity != Ordinary {
				s.Warnings = append(s.Warnings, Warning{p.Name, c.Name, c.Sensitivity, c.Effect})
			}
		}
	}
	slices.SortStableFunc(s.Warnings, func(a, b Warning) int { return cmp.Compare(a.Sensitivity.rank(), b.Sensitivity.rank()) })
	return s, nil
}
