package contract

import (
	"fmt"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
)

// Lines returns the summary for people, one page for most bundles: what to look at first, the maps, the programs. The lines hold
// no digest and no offset in the blob, so that they change when the contract means something else.
func (s *Summary) Lines() []string {
	var lines []string
	add := func(label, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-10s", label)+printable.Text(fmt.Sprintf(format, args...)))
	}
	for _, w := range s.Warnings {
		label := "note"
		if w.Sensitivity == Acts {
			label = "WARNING"
		}
		add(label, "program %s calls %s, which %s", w.Program, w.Function, w.Effect)
	}
	for i := range s.Maps {
		m := &s.Maps[i]
		add("map", "%s: %s", m.Name, &m.Attributes)
		for _, note := range m.Notes() {
			add("", "%s", note)
		}
	}
	for i := range s.Programs {
		p := &s.Programs[i]
		add("program", "%s: %s", p.Name, p.shape())
		add("", "%s", p.Hook())
		for _, list := range []struct {
			what  string
			calls []Call
		}{{"calls helpers", p.Helpers}, {"calls kernel functions", p.Functions}, {"refers to kernel variables", p.Variables}} {
			if len(list.calls) > 0 {
				add("", "%s: %s", list.what, joinCalls(list.calls))
			}
		}
		if len(p.Maps) > 0 {
			add("", "uses maps: %s", strings.Join(p.Maps, ", "))
		}
	}
	return lines
}

// shape describes the program itself.
func (p *Program) shape() string {
	text := fmt.Sprintf("%s, section %s, %d instructions", p.Kind, printable.Name(p.Section), p.Instructions)
	if p.Instructions == 1 {
		text = strings.TrimSuffix(text, "s")
	}
	if p.Flags != 0 {
		text += ", flags " + p.FlagNames
	}
	return text
}

// joinCalls lists calls.
func joinCalls(calls []Call) string {
	var names []string
	for _, c := range calls {
		names = append(names, c.String())
	}
	return strings.Join(names, ", ")
}

// String names the call. Two exclamation marks stand before a call that acts, one before a call that reads.
func (c Call) String() string {
	name := c.Name
	switch c.Sensitivity {
	case Acts:
		name = "!! " + name
	case Reads:
		name = "! " + name
	}
	if c.Weak {
		name += " (if the kernel has it)"
	}
	return name
}
