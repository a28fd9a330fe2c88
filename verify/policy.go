package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// policyVersion is the version of policy files.
const policyVersion = 1

// policyFile is a policy file: JSON. Certificates are PEM, or names of files beside the policy's, in PEM or DER.
type policyFile struct {
	Version int `json:"version"`
	Signers []struct {
		// Certificate is the signer's; its chain may follow.
		Certificate string `json:"certificate"`
		Kind        string `json:"kind"`
	} `json:"signers"`
	Roots   []string `json:"roots"`
	Kinds   []string `json:"kinds"`
	Schemes []string `json:"schemes"`
	Hashes  []string `json:"hashes"`
	Audit   string   `json:"minimum_audit"`
}

// LoadPolicy reads a policy file and the certificates that it names.
func LoadPolicy(path string) (*Policy, error) {
	data, err := file.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	p, err := ParsePolicy(data, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// ParsePolicy reads the contents of a policy file. Certificate files that it names are looked for in dir.
func ParsePolicy(data []byte, dir string) (*Policy, error) {
	var policy policyFile
	if err := file.ParseJSON(data, &policy); err != nil {
		return nil, fmt.Errorf("malformed policy: %w", err)
	}
	if policy.Version != policyVersion {
		return nil, fmt.Errorf("version %d of policy files, and this program reads version %d", policy.Version, policyVersion)
	}
	if len(policy.Signers) == 0 {
		return nil, errors.New("the policy trusts nobody: list signers")
	}

	p := new(Policy)
	for _, s := range policy.Signers {
		var kind bundle.Kind
		if s.Kind != "" {
			var err error
			if kind, err = bundle.ParseKind(s.Kind); err != nil {
				return nil, err
			}
		}
		chain, err := readCertificates(s.Certificate, dir)
		if err != nil {
			return nil, fmt.Errorf("signer: %w", err)
		}
		p.AddSigner(kind, chain)
	}
	for _, r := range policy.Roots {
		roots, err := readCertificates(r, dir)
		if err != nil {
			return nil, fmt.Errorf("root: %w", err)
		}
		p.Roots = append(p.Roots, roots...)
	}
	for _, name := range policy.Kinds {
		kind, err := bundle.ParseKind(name)
		if err != nil {
			return nil, err
		}
		p.Kinds = append(p.Kinds, kind)
	}
	for _, name := range policy.Schemes {
		s, err := bundle.ParseScheme(name)
		if err != nil {
			return nil, err
		}
		p.Schemes = append(p.Schemes, s)
	}
	for _, name := range policy.Hashes {
		h, err := cms.ParseHash(name)
		if err != nil {
			return nil, err
		}
		p.Hashes = append(p.Hashes, h)
	}
	var err error
	if p.MinimumAudit, err = parseAudit(policy.Audit); err != nil {
		return nil, err
	}
	return p, nil
}

// AddSigner trusts the first certificate of a chain to sign. The others help to get from it to a root. An empty kind
// leaves it to the bundle what the key is for.
func (p *Policy) AddSigner(kind bundle.Kind, chain []*x509.Certificate) {
	p.Signers = append(p.Signers, Signer{Certificate: chain[0], Kind: kind})
	p.Intermediates = append(p.Intermediates, chain[1:]...)
}

// readCertificates reads certificates that are PEM, or in a file.
func readCertificates(value, dir string) ([]*x509.Certificate, error) {
	if strings.HasPrefix(value, "-----BEGIN") {
		return certs.Parse([]byte(value))
	}
	if value == "" {
		return nil, errors.New("no certificate")
	}
	if !filepath.IsAbs(value) {
		value = filepath.Join(dir, value)
	}
	return certs.LoadAll(value)
}
