package contract

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// Program is a program that the loader loads. JSON has the type and the flags as the kernel's numbers, and their names.
type Program struct {
	Name     string        `json:"name"`
	Section  string        `json:"section"`
	Type     uapi.ProgType `json:"type"`
	TypeName string        `json:"typeName"`
	// Kind is the type together with the expected attach type, as sections spell it.
	Kind      string         `json:"kind"`
	Flags     uapi.ProgFlags `json:"flags"`
	FlagNames string         `json:"flagNames"`
	AttachTo  string         `json:"attachTo,omitempty"`
	// Instructions is how many the program has; CORE is how many of them the kernel adapts to its own types.
	Instructions int `json:"instructions"`
	CORE         int `json:"coreRelocations"`
	// Helpers and Functions are what the program calls in the kernel: helpers by number, functions (kfuncs) by name.
	Helpers   []Call `json:"helpers"`
	Functions []Call `json:"kernelFunctions"`
	// Variables are the kernel's that the program refers to.
	Variables []Call   `json:"kernelVariables"`
	Maps      []string `json:"maps"`
}

// Call is something of the kernel's that a program refers to.
type Call struct {
	Name string `json:"name"`
	// Count is the number of instructions that do.
	Count int `json:"count"`
	// Weak says that the program is loaded without it if the kernel does not have it.
	Weak bool `json:"weak,omitempty"`
	// Sensitivity and Effect say how far a call reaches and what it can do. They are empty for ordinary calls.
	Sensitivity Sensitivity `json:"sensitivity,omitempty"`
	Effect      string      `json:"effect,omitempty"`
}

// calls are all calls, the sensitive ones first.
func (p *Program) calls() []Call {
	all := slices.Concat(p.Helpers, p.Functions)
	slices.SortStableFunc(all, bySensitivity)
	return all
}

func bySensitivity(a, b Call) int { return cmp.Compare(a.Sensitivity.rank(), b.Sensitivity.rank()) }

func summarizeProgram(b *bundle.Bundle, p *bundle.Program, order binary.ByteOrder) (Program, error) {
	typ, flags := uapi.ProgType(p.Type), uapi.ProgFlags(p.Flags)
	res := Program{
		Name: p.Name, Section: p.Section, Type: typ, TypeName: typ.String(), Kind: uapi.ProgKind(typ, uapi.AttachType(p.ExpectedAttachType)),
		Flags: flags, FlagNames: flags.String(), AttachTo: p.AttachTo,
		Instructions: int(p.Insns.Size) / insn.Size, CORE: int(p.Relocations.Size) / uapi.COREReloSize,
	}
	insns, err := insn.Decode(b.Blob[p.Insns.Offset:][:p.Insns.Size], order)
	if err != nil {
		return res, err
	}
	r := readReferences(insns, p.Externs, b.Maps)
	res.Helpers, res.Functions, res.Variables = sorted(r.helpers), sorted(r.functions), sorted(r.variables)
	res.Maps = []string{} // in the contract's order
	for i := range b.Maps {
		if r.maps[b.Maps[i].Name] {
			res.Maps = append(res.Maps, b.Maps[i].Name)
		}
	}
	return res, nil
}

// references are what a program's instructions refer to, by name.
type references struct {
	helpers, functions, variables map[string]*Call
	maps                          map[string]bool
}

// readReferences reads the instructions as they are in the blob. What the loader fills in is in the list of externs.
func readReferences(insns []insn.Insn, externs []bundle.Extern, maps []bundle.Map) *references {
	r := &references{map[string]*Call{}, map[string]*Call{}, map[string]*Call{}, map[string]bool{}}
	named := map[int]bool{}
	for _, e := range externs {
		named[int(e.Insn)] = true
		if e.Kind == bundle.ExternFunction {
			count(r.functions, Call{Name: e.Name, Weak: e.Weak}, functionEffects[e.Name])
		} else {
			count(r.variables, Call{Name: e.Name, Weak: e.Weak}, effect{})
		}
	}
	for pc := 0; pc < len(insns); pc++ {
		in := insns[pc]
		switch {
		case in.IsCall() && in.Src == insn.CallHelper:
			h := uapi.Helper(in.Imm)
			count(r.helpers, Call{Name: h.String()}, helperEffects[h])
		case in.IsCall() && in.Src == insn.PseudoKfunc && !named[pc]:
			count(r.functions, Call{Name: fmt.Sprintf("BTF id %d", in.Imm)}, unknownFunction)
		case in.IsLoadImm64():
			// A loader's fd_array begins with its maps.
			if byIndex := in.Src == insn.PseudoMapIdx || in.Src == insn.PseudoMapIdxValue; byIndex && uint64(uint32(in.Imm)) < uint64(len(maps)) {
				r.maps[maps[in.Imm].Name] = true
			}
			pc++
		}
	}
	return r
}

func count(in map[string]*Call, c Call, e effect) {
	if in[c.Name] == nil {
		c.Sensitivity, c.Effect = e.sensitivity, e.text
		in[c.Name] = &c
	}
	in[c.Name].Count++
}

// sorted returns the sensitive calls first, and each group by name.
func sorted(calls map[string]*Call) []Call {
	list := make([]Call, 0, len(calls))
	for _, c := range calls {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Call) int {
		return cmp.Or(bySensitivity(a, b), strings.Compare(a.Name, b.Name))
	})
	return list
}

// Hook says where the program runs: what the kernel enforces, and what the host can choose.
func (p *Program) Hook() string {
	_, target, _ := strings.Cut(p.Section, "/")
	switch {
	case p.Type == uapi.ProgTypeStructOps:
		return "runs as a member of " + printable.Name(p.AttachTo)
	case p.AttachTo != "":
		return fmt.Sprintf("attaches to %s and nothing else", printable.Name(p.AttachTo))
	case p.Type == uapi.ProgTypeSyscall:
		return "runs when a process asks for it"
	case target != "" && namesTarget[p.Type]:
		return fmt.Sprintf("attaches to %s, unless the host chooses something else", printable.Name(target))
	}
	return "attaches where the host chooses"
}

// namesTarget are the types of programs whose section names what the runtime attaches them to.
var namesTarget = map[uapi.ProgType]bool{
	uapi.ProgTypeKprobe: true, uapi.ProgTypeTracepoint: true, uapi.ProgTypeRawTracepoint: true, uapi.ProgTypeRawTracepointWritable: true,
	uapi.ProgTypeTracing: true,
}
