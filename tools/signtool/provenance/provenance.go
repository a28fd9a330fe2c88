// Package provenance writes and reads the in-toto statement of a bundle: what it was made from, by what, with which
// flags. The same inputs give the same bytes, so it has no times and no host names.
package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// Identifiers of the formats. They are names: nothing is fetched from there.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://slsa.dev/provenance/v1"
	BuildType     = "https://github.com/rules-bpf/rules_bpf/signed-loader/v1"
	Builder       = "https://github.com/rules-bpf/rules_bpf"
)

// ErrMismatch: the statement is of another bundle.
var ErrMismatch = errors.New("the statement is not of this bundle")

// Statement is an in-toto statement, version 1, whose predicate is SLSA provenance, version 1: as much of both as is
// used here.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     Predicate  `json:"predicate"`
}

// Resource is a named string of bytes.
type Resource struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Predicate is SLSA provenance.
type Predicate struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition says how the bundle was made, and from what.
type BuildDefinition struct {
	BuildType            string     `json:"buildType"`
	ExternalParameters   Parameters `json:"externalParameters"`
	ResolvedDependencies []Resource `json:"resolvedDependencies"`
}

// Parameters are what the bundle's author chose.
type Parameters struct {
	// Compiler is what the compiler calls itself.
	Compiler string `json:"compiler,omitempty"`
	// Flags are the compiler's.
	Flags []string `json:"flags"`
	// Kconfig are values of the kernel's configuration that were compiled into the loader.
	Kconfig map[string]string `json:"kconfig,omitempty"`
	// Schemes are those that there is a loader for.
	Schemes []string `json:"schemes"`
}

// RunDetails says who made it.
type RunDetails struct {
	Builder BuilderID `json:"builder"`
}

// BuilderID names a builder.
type BuilderID struct {
	ID string `json:"id"`
}

// Build is what a bundle does not say of how it was made.
type Build struct {
	Compiler string
	Flags    []string
	Kconfig  map[string]string
	// Materials are further inputs, such as sources.
	Materials []Resource
	// Builder is who made it; empty: rules_bpf.
	Builder string
}

// New returns the statement of a bundle. Signatures are not part of it: it is the same before and after signing.
func New(b *bundle.Bundle, build Build) (*Statement, error) {
	s := &Statement{
		Type:          StatementType,
		Subject:       subjects(b),
		PredicateType: PredicateType,
		Predicate: Predicate{
			BuildDefinition: BuildDefinition{
				BuildType: BuildType,
				ExternalParameters: Parameters{
					Compiler: build.Compiler,
					Flags:    append([]string{}, build.Flags...),
					Kconfig:  build.Kconfig,
				},
				ResolvedDependencies: append([]Resource{object(b)}, build.Materials...),
			},
			RunDetails: RunDetails{BuilderID{Builder}},
		},
	}
	for _, l := range b.Loaders {
		if _, err := l.Scheme.Attestation(); err != nil {
			return nil, err
		}
		p := &s.Predicate.BuildDefinition.ExternalParameters
		p.Schemes = append(p.Schemes, l.Scheme.String())
	}
	if build.Builder != "" {
		s.Predicate.RunDetails.Builder.ID = build.Builder
	}
	return s, nil
}

// NewResource names bytes.
func NewResource(name string, data []byte) Resource {
	sum := sha256.Sum256(data)
	return Digest(name, sum[:])
}

// Digest names bytes by their SHA-256.
func Digest(name string, sum []byte) Resource {
	return Resource{name, map[string]string{"sha256": hex.EncodeToString(sum)}}
}

// subjects are what signatures cover: the instructions for each scheme, and the blob.
func subjects(b *bundle.Bundle) []Resource {
	name := strings.TrimSuffix(strings.TrimSuffix(b.Object.Name, ".o"), ".bpf")
	var list []Resource
	for _, l := range b.Loaders {
		list = append(list, NewResource(fmt.Sprintf("%s/%v.insns", name, l.Scheme), l.Insns))
	}
	return append(list, NewResource(name+"/blob", b.Blob))
}

// object is the object file that a bundle was made from.
func object(b *bundle.Bundle) Resource {
	return Digest(b.Object.Name, b.Object.SHA256)
}

// Encode returns the statement as a file's contents.
func (s *Statement) Encode() ([]byte, error) {
	return file.FormatJSON(s)
}

// Decode reads a statement that Encode wrote.
func Decode(data []byte) (*Statement, error) {
	s := new(Statement)
	if err := file.ParseJSON(data, s); err != nil {
		return nil, fmt.Errorf("malformed statement: %w", err)
	}
	if s.Type != StatementType || s.PredicateType != PredicateType || s.Predicate.BuildDefinition.BuildType != BuildType {
		return nil, fmt.Errorf("not a statement of how a loader was built: type %.80q, predicate %.80q, build %.80q",
			s.Type, s.PredicateType, s.Predicate.BuildDefinition.BuildType)
	}
	return s, nil
}

// Check returns ErrMismatch, with what differs, if the statement is not of the bundle.
func (s *Statement) Check(b *bundle.Bundle) error {
	var errs []error
	want := subjects(b)
	for _, r := range want {
		errs = append(errs, lookFor(s.Subject, r))
	}
	if len(s.Subject) != len(want) {
		errs = append(errs, fmt.Errorf("%w: %d subjects, the bundle has %d", ErrMismatch, len(s.Subject), len(want)))
	}
	errs = append(errs, lookFor(s.Predicate.BuildDefinition.ResolvedDependencies, object(b)))
	return errors.Join(errs...)
}

// lookFor returns nil if a resource is in a list, with its digest.
func lookFor(list []Resource, r Resource) error {
	i := slices.IndexFunc(list, func(o Resource) bool { return o.Name == r.Name })
	if i < 0 {
		return fmt.Errorf("%w: it does not name %s", ErrMismatch, printable.Name(r.Name))
	}
	if was, is := list[i].Digest["sha256"], r.Digest["sha256"]; was != is {
		return fmt.Errorf("%w: %s has sha256 %s in it, %s in the bundle", ErrMismatch, printable.Name(r.Name), printable.Name(was), is)
	}
	return nil
}
