package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of stardoc_output.proto (src/main/protobuf in Bazel), as far as a reader of the rules wants to know them.

// module is what a .bzl file gives its users: a ModuleInfo.
type module struct {
	file, doc  string
	rules      []rule
	providers  []provider
	functions  []function
	extensions []extension
}

// rule is a RuleInfo.
type rule struct {
	name, doc  string
	attributes []attribute
	provides   []string
	test       bool
}

// attribute is an AttributeInfo.
type attribute struct {
	name, doc, defaultValue string
	kind                    uint64
	mandatory               bool
	// providers are alternatives, of each of which a target must have all.
	providers [][]string
}

// provider is a ProviderInfo.
type provider struct {
	name, doc string
	fields    []docItem
}

// docItem is something with a name, and what is to be said of it.
type docItem struct{ name, doc string }

// function is a StarlarkFunctionInfo.
type function struct {
	name, doc  string
	parameters []parameter
}

// parameter is a FunctionParamInfo.
type parameter struct {
	name, doc, defaultValue string
	mandatory               bool
	role                    uint64
}

// Roles of parameters: FunctionParamRole.
const (
	roleVarargs = 4
	roleKwargs  = 5
)

// extension is a ModuleExtensionInfo.
type extension struct{ name, doc string }

// visit calls f for each field of a message, in its order.
func visit(message []byte, f func(number protowire.Number, value field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var v field
		switch kind {
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			v.varint, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := f(number, v); err != nil {
			return fmt.Errorf("field %d: %w", number, err)
		}
	}
	return nil
}

// field is the value of a field: bytes of a string or a message, or a number.
type field struct {
	bytes  []byte
	varint uint64
}

// fields says where the values of a message's fields go: a *string, *bool or *uint64, or a function for a message.
type fields map[protowire.Number]any

func parse(message []byte, to fields) error {
	return visit(message, func(number protowire.Number, v field) error {
		switch to := to[number].(type) {
		case *string:
			*to = string(v.bytes)
		case *bool:
			*to = v.varint != 0
		case *uint64:
			*to = v.varint
		case func([]byte) error:
			return to(v.bytes)
		}
		return nil
	})
}

// each parses a repeated message with one and appends it to list.
func each[T any](list *[]T, one func([]byte) (T, error)) func([]byte) error {
	return func(message []byte) error {
		v, err := one(message)
		*list = append(*list, v)
		return err
	}
}

func parseModule(message []byte) (*module, error) {
	var m module
	err := parse(message, fields{
		1: each(&m.rules, parseRule),
		2: each(&m.providers, parseProvider),
		3: each(&m.functions, parseFunction),
		5: &m.doc,
		6: &m.file,
		7: each(&m.extensions, func(message []byte) (e extension, err error) {
			err = parse(message, fields{1: &e.name, 2: &e.doc})
			return e, err
		}),
	})
	if err == nil && m.file == "" {
		err = fmt.Errorf("no module's documentation: it names no file")
	}
	return &m, err
}

func parseRule(message []byte) (r rule, err error) {
	var provides [][]string
	err = parse(message, fields{
		1: &r.name, 2: &r.doc, 3: each(&r.attributes, parseAttribute), 5: each(&provides, parseProviders), 6: &r.test,
	})
	for _, p := range provides {
		r.provides = append(r.provides, p...)
	}
	return r, err
}

func parseAttribute(message []byte) (a attribute, err error) {
	err = parse(message, fields{
		1: &a.name, 2: &a.doc, 3: &a.kind, 4: &a.mandatory, 5: each(&a.providers, parseProviders), 6: &a.defaultValue,
	})
	return a, err
}

// parseProviders parses a ProviderNameGroup.
func parseProviders(message []byte) (names []string, err error) {
	err = parse(message, fields{1: each(&names, func(b []byte) (string, error) { return string(b), nil })})
	return names, err
}

func parseProvider(message []byte) (p provider, err error) {
	err = parse(message, fields{1: &p.name, 2: &p.doc, 3: each(&p.fields, func(message []byte) (f docItem, err error) {
		err = parse(message, fields{1: &f.name, 2: &f.doc})
		return f, err
	})})
	return p, err
}

func parseFunction(message []byte) (f function, err error) {
	err = parse(message, fields{1: &f.name, 2: each(&f.parameters, parseParameter), 3: &f.doc})
	return f, err
}

func parseParameter(message []byte) (p parameter, err error) {
	err = parse(message, fields{1: &p.name, 2: &p.doc, 3: &p.defaultValue, 4: &p.mandatory, 5: &p.role})
	return p, err
}

// undocumented returns what has no documentation.
func (m *module) undocumented() (names []string) {
	add := func(doc string, of ...string) {
		if strings.TrimSpace(doc) == "" {
			names = append(names, strings.Join(of, "."))
		}
	}
	add(m.doc, m.file)
	for _, r := range m.rules {
		add(r.doc, r.name)
		for _, a := range r.attributes {
			add(a.doc, r.name, a.name)
		}
	}
	for _, p := range m.providers {
		add(p.doc, p.name)
		for _, f := range p.fields {
			add(f.doc, p.name, f.name)
		}
	}
	for _, f := range m.functions {
		add(f.doc, f.name)
		for _, a := range f.parameters {
			add(a.doc, f.name, a.name)
		}
	}
	for _, e := range m.extensions {
		add(e.doc, e.name)
	}
	return names
}
