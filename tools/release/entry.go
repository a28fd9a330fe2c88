package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/file"
)

// The files of .bcr, from which a registry's entry is made: https://github.com/bazel-contrib/publish-to-bcr.
const (
	metadataTemplate = ".bcr/metadata.template.json"
	sourceTemplate   = ".bcr/source.template.json"
	presubmit        = ".bcr/presubmit.yml"
)

// metadata is metadata.json.
type metadata struct {
	Homepage    string `json:"homepage"`
	Maintainers []struct {
		Name   string `json:"name"`
		Email  string `json:"email,omitempty"`
		GitHub string `json:"github"`
	} `json:"maintainers"`
	Repository     []string          `json:"repository"`
	Versions       []string          `json:"versions"`
	YankedVersions map[string]string `json:"yanked_versions"`
}

// source is source.json.
type source struct {
	Integrity   string `json:"integrity"`
	StripPrefix string `json:"strip_prefix"`
	URL         string `json:"url"`
}

// modulePath is the workspace that the registry builds, in presubmit.yml.
var modulePath = regexp.MustCompile(`(?m)^  module_path: (\S+)$`)

// makeEntry makes the registry's files; the archive is going to be at url, or in a release on GitHub.
func (r *release) makeEntry(url string) error {
	var m metadata
	var s source
	if err := r.decode(metadataTemplate, &m); err != nil {
		return err
	}
	if err := r.decode(sourceTemplate, &s); err != nil {
		return err
	}
	repository, ok := strings.CutPrefix(strings.Join(m.Repository, " "), "github:")
	owner, repo, ok2 := strings.Cut(repository, "/")
	switch {
	case !ok || !ok2:
		return fmt.Errorf("%s: repository: want one, github:OWNER/REPO", metadataTemplate)
	case m.Homepage == "" || len(m.Maintainers) == 0 || m.Maintainers[0].GitHub == "":
		return fmt.Errorf("%s: want a homepage and a maintainer with an account", metadataTemplate)
	}
	fill := strings.NewReplacer("{OWNER}", owner, "{REPO}", repo, "{VERSION}", r.version, "{TAG}", "v"+r.version)
	digest := sha256.Sum256(r.archive)
	s = source{Integrity: "sha256-" + base64.StdEncoding.EncodeToString(digest[:]), StripPrefix: fill.Replace(s.StripPrefix), URL: fill.Replace(s.URL)}
	if s.StripPrefix != r.prefix() {
		return fmt.Errorf("%s: strip_prefix is %s, and the archive's folder %s", sourceTemplate, s.StripPrefix, r.prefix())
	}
	if name := r.prefix() + ".tar.gz"; path.Base(s.URL) != name {
		return fmt.Errorf("%s: url ends in %s, and the archive is %s", sourceTemplate, path.Base(s.URL), name)
	}
	if url != "" {
		s.URL = strings.TrimSuffix(url, "/") + "/" + r.prefix() + ".tar.gz"
	}
	m.Versions = append(m.Versions, r.version)

	tasks, err := os.ReadFile(filepath.Join(r.root, presubmit))
	if err != nil {
		return err
	}
	dir := modulePath.FindSubmatch(tasks)
	if dir == nil {
		return fmt.Errorf("%s: no module_path", presubmit)
	}
	if _, err := os.Stat(filepath.Join(r.root, string(dir[1]), "MODULE.bazel")); err != nil {
		return fmt.Errorf("%s: module_path: %w", presubmit, err)
	}
	module, err := os.ReadFile(filepath.Join(r.root, "MODULE.bazel"))
	if err != nil {
		return err
	}
	of := "modules/" + r.module + "/"
	r.entry = map[string][]byte{
		"bazel_registry.json":             []byte("{}\n"),
		of + "metadata.json":              encode(m),
		of + r.version + "/MODULE.bazel":  module,
		of + r.version + "/presubmit.yml": tasks,
		of + r.version + "/source.json":   encode(s),
	}
	return nil
}

// decode reads a JSON file, and takes no field for another.
func (r *release) decode(name string, to any) error {
	data, err := file.Read(filepath.Join(r.root, name), file.MaxText)
	if err != nil {
		return err
	}
	if err := file.ParseJSON(data, to); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func encode(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // none of these types can fail
	}
	return append(data, '\n')
}
