package signing

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// SignTBS signs what WriteTBS wrote into a folder, as on a machine that has the key and no bundle, and writes a
// signature for each loader into another, or the same. Files that are not those of the manifest are an error.
func (id *Identity) SignTBS(in, out string) ([]string, error) {
	m, err := ReadManifest(filepath.Join(in, ManifestName))
	if err != nil {
		return nil, err
	}
	signatures := make(map[string][]byte)
	var names []string
	for _, l := range m.Loaders {
		path := filepath.Join(in, l.File)
		tbs, err := readFile(path, maxBundleFile)
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
		signatures[name] = der
		names = append(names, name)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := file.Write(name, signatures[name]); err != nil {
			return nil, err
		}
	}
	return names, nil
}
