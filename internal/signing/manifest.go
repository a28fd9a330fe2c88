package signing

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// ManifestName is the manifest's name in a folder of bytes to sign.
const ManifestName = "manifest.json"

const (
	manifestFormat  = "rules_bpf bytes to sign"
	manifestVersion = 2
)

// hashes are the digest algorithms that a manifest has digests by.
var hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// Manifest says what a folder of bytes to sign holds, and what they were made from.
type Manifest struct {
	Format  string         `json:"format"`
	Version int            `json:"version"`
	Object  ManifestObject `json:"object"`
	// Contract is the digest of the bundle's contract, in hexadecimal.
	Contract string           `json:"contract"`
	Blob     BytesSummary     `json:"blob"`
	Loaders  []ManifestLoader `json:"loaders"`
}

// ManifestObject is the object file that the loaders were made from.
type ManifestObject struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// ManifestLoader is one file of bytes to sign.
type ManifestLoader struct {
	Scheme string `json:"scheme"`
	// File is its name in the manifest's folder.
	File string `json:"file"`
	Size int    `json:"size"`
	// Digests are those of the file, in hexadecimal, by the algorithm's name.
	Digests      map[string]string `json:"digests"`
	Instructions BytesSummary      `json:"instructions"`
}

// newManifest describes the bytes to sign of a bundle.
func newManifest(b *bundle.Bundle) (*Manifest, error) {
	m := &Manifest{
		Format:   manifestFormat,
		Version:  manifestVersion,
		Object:   ManifestObject{b.Object.Name, hex.EncodeToString(b.Object.SHA256)},
		Contract: hex.EncodeToString(b.ContractDigest()),
		Blob:     digestOf(b.Blob),
	}
	for i := range b.Loaders {
		l := &b.Loaders[i]
		tbs, err := b.SignedBytes(l)
		if err != nil {
			return nil, err
		}
		m.Loaders = append(m.Loaders, ManifestLoader{
			Scheme:       l.Scheme.String(),
			File:         tbsName(l.Scheme),
			Size:         len(tbs),
			Digests:      digestsOf(tbs),
			Instructions: digestOf(l.Insns),
		})
	}
	return m, nil
}

// ReadManifest reads a manifest file.
func ReadManifest(path string) (*Manifest, error) {
	data, err := file.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	m, err := ParseManifest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ParseManifest is ReadManifest for a file's contents.
func ParseManifest(data []byte) (*Manifest, error) {
	m := new(Manifest)
	if err := file.ParseJSON(data, m); err != nil {
		return nil, err
	}
	if m.Format != manifestFormat || m.Version != manifestVersion {
		return nil, fmt.Errorf("not a manifest of bytes to sign of version %d: format %.40q, version %d", manifestVersion, m.Format, m.Version)
	}
	if len(m.Loaders) == 0 {
		return nil, errors.New("no loader")
	}
	for i, l := range m.Loaders {
		scheme, err := bundle.ParseScheme(l.Scheme)
		if err != nil {
			return nil, err
		}
		if l.File != tbsName(scheme) {
			return nil, fmt.Errorf("the bytes of the %v loader are in %q, want %q", scheme, l.File, tbsName(scheme))
		}
		if slices.ContainsFunc(m.Loaders[:i], func(o ManifestLoader) bool { return o.Scheme == l.Scheme }) {
			return nil, fmt.Errorf("two loaders for %v", scheme)
		}
	}
	return m, nil
}

// WriteTBS writes the bytes to sign of a bundle into a folder, a file for each loader, and the manifest last: all of them,
// or none.
func WriteTBS(dir string, b *bundle.Bundle) error {
	if err := b.CheckContract(); err != nil {
		return err
	}
	m, err := newManifest(b)
	if err != nil {
		return err
	}
	var outputs []file.Output
	for i := range b.Loaders {
		l := &b.Loaders[i]
		tbs, err := b.SignedBytes(l)
		if err != nil {
			return err
		}
		outputs = append(outputs, file.Output{Path: filepath.Join(dir, tbsName(l.Scheme)), Data: tbs})
	}
	data, err := file.FormatJSON(m)
	if err != nil {
		return err
	}
	return writeFolder(dir, append(outputs, file.Output{Path: filepath.Join(dir, ManifestName), Data: data}))
}

// writeFolder writes files into a folder, which is made if there is none, and removed again if the files cannot be written.
func writeFolder(dir string, outputs []file.Output) error {
	made := os.Mkdir(dir, 0o755) == nil
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	err := file.WriteAll(outputs...)
	if err != nil && made {
		os.Remove(dir)
	}
	return err
}

// changes says what differs between what the manifest was made from and a bundle.
func (m *Manifest) changes(b *bundle.Bundle) ([]string, error) {
	now, err := newManifest(b)
	if err != nil {
		return nil, err
	}
	var list []string
	differs := func(what, was, is string) {
		if was != is {
			list = append(list, fmt.Sprintf("%s (sha256 was %.16s..., is %.16s...)", what, was, is))
		}
	}
	differs("the object file "+now.Object.Name, m.Object.SHA256, now.Object.SHA256)
	for _, l := range now.Loaders {
		if i := slices.IndexFunc(m.Loaders, func(o ManifestLoader) bool { return o.Scheme == l.Scheme }); i >= 0 {
			differs("the instructions of the "+l.Scheme+" loader", m.Loaders[i].Instructions.SHA256, l.Instructions.SHA256)
		}
	}
	differs("the contract", m.Contract, now.Contract)
	differs("the metadata blob", m.Blob.SHA256, now.Blob.SHA256)
	return list, nil
}

// signedBy returns the loader of the manifest whose bytes a signature is of, or nil.
func (m *Manifest) signedBy(sd *cms.SignedData, cert *x509.Certificate) *ManifestLoader {
	for i := range m.Loaders {
		digest, err := hex.DecodeString(m.Loaders[i].Digests[cms.HashName(sd.Hash)])
		if err == nil && len(digest) == sd.Hash.Size() && sd.VerifyDigest(cert, digest) == nil {
			return &m.Loaders[i]
		}
	}
	return nil
}

// tbsName names the file of the bytes to sign, signatureName that of their signature.
func tbsName(s bundle.Scheme) string       { return s.String() + ".tbs" }
func signatureName(s bundle.Scheme) string { return s.String() + ".p7s" }

// digestsOf returns the digests by each algorithm.
func digestsOf(data []byte) map[string]string {
	m := make(map[string]string, len(hashes))
	for _, hash := range hashes {
		h := hash.New()
		h.Write(data)
		m[cms.HashName(hash)] = hex.EncodeToString(h.Sum(nil))
	}
	return m
}
