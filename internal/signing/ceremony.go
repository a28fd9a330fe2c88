package signing

import (
	"fmt"
	"maps"
	"path/filepath"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// SignTBS signs what WriteTBS wrote into a folder, as on a machine that has the key and no bundle, and writes a
// signature for each loader into another, or the same: all of them, or none. Files that are not those of the manifest are an error.
func (id *Identity) SignTBS(in, out string) ([]string, error) {
	m, err := ReadManifest(filepath.Join(in, ManifestName))
	if err != nil {
		return nil, err
	}
	var outputs []file.Output
	var names []string
	for _, l := range m.Loaders {
		path := filepath.Join(in, l.File)
		tbs, err := file.Read(path, file.MaxBinary)
		if err != nil {
			return nil, err
		}
		if len(tbs) != l.Size || !maps.Equal(digestsOf(tbs), l.Digests) {
			return nil, fmt.Errorf("%s: it is not what %s says: copy the folder again", path, ManifestName)
		}
		h := id.Hash.New()
		h.Write(tbs)
		der, err := cms.Sign(id.Signer, id.Certificate, id.Hash, h.Sum(nil))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		scheme, err := bundle.ParseScheme(l.Scheme)
		if err != nil {
			return nil, err
		}
		name := filepath.Join(out, signatureName(scheme))
		outputs = append(outputs, file.Output{Path: name, Data: der})
		names = append(names, name)
	}
	if err := writeFolder(out, outputs); err != nil {
		return nil, err
	}
	return names, nil
}
