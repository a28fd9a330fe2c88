// Package victim makes the bundles that the attacks are made on: as small as can be, so that every byte of one can be
// tried, and one that is as loaders were before CVE-2026-80675 was fixed. For tests only.
package victim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Magic is what the variable of Variable holds.
const Magic = 0x5eed_1234_abad_1dea

// NativeOrder is this machine's byte order: one of the two, neither of which is equal to binary.NativeEndian.
func NativeOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Minimal has one program, "probe", and no map.
func Minimal(order binary.ByteOrder) (*bundle.Bundle, error) {
	return compile(order, "minimal", probe())
}

// Array has a program, and an array "amap" of 4 elements that it does not fill.
func Array(order binary.ByteOrder) (*bundle.Bundle, error) {
	return compile(order, "array", probe(), &object.Map{
		Name: "amap", KernelName: "amap", Type: uapi.MapTypeArray, KeySize: 4, ValueSize: 8, MaxEntries: 4,
	})
}

// Variable has a program, and a map ".data" of which Magic is the contents.
func Variable(order binary.ByteOrder) (*bundle.Bundle, error) {
	data := make([]byte, 8)
	order.PutUint64(data, Magic)
	return compile(order, "variable", probe(), &object.Map{
		Name: ".data", KernelName: "variable.data", Type: uapi.MapTypeArray, KeySize: 4, ValueSize: 8, MaxEntries: 1,
		Section: ".data", Data: data,
	})
}

// Deny and Allow are what the program of Verdict returns, and what an attacker would like it to return.
const (
	Deny  = 0
	Allow = 1
)

// Verdict has one program, "verdict", that can be run by a system call and returns Deny.
func Verdict(order binary.ByteOrder) (*bundle.Bundle, error) {
	return compile(order, "verdict", &object.Program{
		Name: "verdict", Section: "syscall", Autoload: true,
		Kind:  object.SectionKind{Type: uapi.ProgTypeSyscall, Flags: uapi.ProgFlagSleepable},
		Insns: []insn.Insn{Return(Deny), {Op: insn.Exit}},
	})
}

// Return is the first instruction of Verdict's program, if that is to return v.
func Return(v int32) insn.Insn { return insn.Insn{Op: insn.MovK, Dst: insn.R0, Imm: v} }

func probe() *object.Program {
	return &object.Program{
		Name: "probe", Section: "socket", Autoload: true, Kind: object.SectionKind{Type: uapi.ProgTypeSocketFilter},
		Insns: []insn.Insn{Return(0), {Op: insn.Exit}},
	}
}

func compile(order binary.ByteOrder, name string, p *object.Program, maps ...*object.Map) (*bundle.Bundle, error) {
	return loader.Compile(&object.Object{
		Name: name, File: name + ".bpf.o", Order: order, License: "GPL", Maps: maps, Programs: []*object.Program{p},
	}, loader.Options{})
}

// ErrNoCheck says that a bundle has no check of exclusivity to take away.
var ErrNoCheck = errors.New("the map-hash loader does not begin with a check of map->excl")

// BeforeTheFix takes from a bundle's map-hash loader the check that its metadata map is exclusive, as loaders were made
// before CVE-2026-80675 was known. The check of the map's digest stays. No tool and no rule can do this: it is here so that
// the attack can be seen to succeed.
func BeforeTheFix(b *bundle.Bundle) error {
	l := b.Loader(bundle.MapHash)
	if l == nil {
		return fmt.Errorf("%w: there is none", ErrNoCheck)
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if b.Object.BigEndian {
		order = binary.BigEndian
	}
	const maxShape = 8 // instructions
	insns, err := insn.Decode(l.Insns[:min(len(l.Insns), maxShape*insn.Size)], order)
	if err != nil {
		return err
	}
	// r2 = map->excl; r2 ^= 1. What follows adds to r2 how the digest differs, and jumps forwards only, so r2 = 0 does instead.
	at := slices.IndexFunc(insns, func(i insn.Insn) bool { return i.Op == insn.LoadW && i.Off == uapi.BPFMapExcl })
	if at < 0 || at+1 >= len(insns) || insns[at+1].Op != insn.XorK || insns[at+1].Imm != 1 || insns[at+1].Dst != insns[at].Dst {
		return ErrNoCheck
	}
	equal := insn.Append(nil, order, insn.Insn{Op: insn.MovK, Dst: insns[at].Dst})
	l.Insns = bytes.Join([][]byte{l.Insns[:at*insn.Size], equal, l.Insns[(at+2)*insn.Size:]}, nil)
	l.Signatures = nil
	return nil
}
