package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"path"
	"strings"
)

//go:embed header.md
var header string

// kinds are the names of attribute types: AttributeType.
var kinds = map[uint64]string{
	1: "name", 2: "integer", 3: "label", 4: "string", 5: "strings", 6: "integers", 7: "labels", 8: "boolean", 9: "labels to strings",
	10: "strings to strings", 11: "strings to lists of strings", 12: "output", 13: "outputs",
}

// page is a Markdown document in the making.
type page struct {
	bytes.Buffer
	// providers are those that have an entry.
	providers map[string]bool
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// render writes the reference of modules, in their order and in the order of names within each.
func render(modules []*module) []byte {
	p := &page{providers: map[string]bool{}}
	for _, m := range modules {
		for _, v := range m.providers {
			p.providers[v.name] = true
		}
	}
	p.line("<!-- Made from the .bzl files: bazel run //docs:update -->")
	p.WriteString(header)
	p.line("")
	for _, m := range modules {
		p.item(fmt.Sprintf("[`%s`](#%s):", label(m), anchor(label(m))), m.names())
	}
	for _, m := range modules {
		p.line("\n## `%s`\n", label(m))
		p.text(m.doc)
		for _, r := range m.rules {
			p.rule(&r)
		}
		for _, f := range m.functions {
			p.function(&f)
		}
		for _, e := range m.extensions {
			p.line("\n### %s (module extension)\n", e.name)
			p.text(e.doc)
		}
		for _, v := range m.providers {
			p.provider(&v)
		}
	}
	return p.Bytes()
}

// item writes an item of a list: a title, and the elements behind it, wrapped between them.
func (p *page) item(title string, elements []string) {
	const width = 140
	line := "- " + title
	for i, e := range elements {
		if i < len(elements)-1 {
			e += ","
		}
		if len(line)+1+len(e) > width {
			p.line("%s", line)
			line = " "
		}
		line += " " + e
	}
	p.line("%s", line)
}

// label is how users load the module.
func label(m *module) string {
	return "@rules_bpf//:" + path.Base(strings.TrimPrefix(strings.ReplaceAll(m.file, ":", "/"), "//"))
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// names returns links to all that is in a module.
func (m *module) names() (list []string) {
	add := func(name, heading string) { list = append(list, fmt.Sprintf("[%s](#%s)", name, anchor(heading))) }
	for _, r := range m.rules {
		add(r.name, r.name)
	}
	for _, f := range m.functions {
		add(f.name, f.name)
	}
	for _, e := range m.extensions {
		add(e.name, e.name+" (module extension)")
	}
	for _, p := range m.providers {
		add(p.name, p.name)
	}
	return list
}

func (p *page) rule(r *rule) {
	p.line("\n### %s\n", r.name)
	p.text(r.doc)
	if len(r.provides) > 0 {
		p.line("\nProvides %s.", p.links(r.provides))
	}
	p.line("\n| Attribute | Type | Default | |")
	p.line("| --- | --- | --- | --- |")
	for _, a := range r.attributes {
		kind := kinds[a.kind]
		if kind == "" {
			kind = "?"
		}
		p.line("| `%s` | %s | %s | %s%s |", a.name, kind, value(a.defaultValue, a.mandatory), cell(a.doc), p.wants(a.providers))
	}
}

// wants says which providers the targets of an attribute must have.
func (p *page) wants(providers [][]string) string {
	var ways []string
	for _, all := range providers {
		ways = append(ways, p.links(all))
	}
	if len(ways) == 0 {
		return ""
	}
	return " Wants " + strings.Join(ways, ", or ") + "."
}

func (p *page) function(f *function) {
	p.line("\n### %s\n", f.name)
	p.text(f.doc)
	p.line("\n| Parameter | Default | |")
	p.line("| --- | --- | --- |")
	for _, a := range f.parameters {
		name, def := a.name, value(a.defaultValue, a.mandatory)
		switch {
		case a.role == roleVarargs:
			name, def = "*"+name, ""
		case a.role == roleKwargs, a.role == 0 && name == "kwargs": // Bazel 7 tells no roles
			name, def = "**"+name, ""
		}
		p.line("| `%s` | %s | %s |", name, def, cell(a.doc))
	}
}

func (p *page) provider(v *provider) {
	p.line("\n### %s\n", v.name)
	p.text(v.doc)
	p.line("\n| Field | |")
	p.line("| --- | --- |")
	for _, f := range v.fields {
		p.line("| `%s` | %s |", f.name, cell(f.doc))
	}
}

// text writes a docstring, what is indented in it as a block of Starlark.
func (p *page) text(doc string) {
	inCode, blank := false, 0
	for line := range strings.Lines(strings.Trim(doc, "\n") + "\n") {
		line = strings.TrimRight(line, " \n")
		if line == "" {
			blank++
			continue
		}
		indented := strings.HasPrefix(line, "    ")
		if inCode && !indented {
			p.line("```")
		}
		if blank > 0 {
			p.WriteString(strings.Repeat("\n", blank))
		}
		if !inCode && indented {
			p.line("```starlark")
		}
		inCode, blank = indented, 0
		if indented {
			line = line[4:]
		}
		p.line("%s", line)
	}
	if inCode {
		p.line("```")
	}
}

// cell is a docstring in a table: one line.
func cell(doc string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(doc), " "), "|", `\|`)
}

func value(v string, mandatory bool) string {
	switch {
	case mandatory:
		return "**required**"
	case v == "":
		return ""
	}
	return "`" + cell(v) + "`"
}

// links lists providers, with links to those that have an entry.
func (p *page) links(names []string) string {
	var list []string
	for _, name := range names {
		entry := "`" + name + "`"
		if p.providers[name] {
			entry = "[" + entry + "](#" + anchor(name) + ")"
		}
		list = append(list, entry)
	}
	return strings.Join(list, ", ")
}
