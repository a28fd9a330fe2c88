package bundle

import (
	"fmt"
	"slices"
)

// Kind says what a signing key is for.
type Kind string

// The kinds of signing keys.
const (
	KindDevelopment Kind = "development"
	KindTest        Kind = "test"
	KindProduction  Kind = "production"
)

// Kinds are all kinds of signing keys.
var Kinds = []Kind{KindDevelopment, KindTest, KindProduction}

// ParseKind returns the kind with a name.
func ParseKind(name string) (Kind, error) {
	if k := Kind(name); slices.Contains(Kinds, k) {
		return k, nil
	}
	return "", fmt.Errorf("unknown kind of key %.40q: want one of %q", name, Kinds)
}
