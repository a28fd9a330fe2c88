package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// checkout makes a folder with files in it, and a release of that folder.
func checkout(t *testing.T, files map[string]string) *release {
	t.Helper()
	r := &release{root: t.TempDir()}
	for name, data := range files {
		path := filepath.Join(r.root, name)
		qt.Assert(t, qt.IsNil(os.MkdirAll(filepath.Dir(path), 0o755)))
		qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte(data), 0o644)))
	}
	return r
}

const goodModule = `module(name = "rules_bpf", version = "1.2.3")
bazel_dep(name = "rules_go", version = "0.64.2")
go_sdk = use_extension("@rules_go//go:extensions.bzl", "go_sdk", dev_dependency = True)
`

var good = map[string]string{
	"MODULE.bazel":              goodModule,
	"CHANGELOG.md":              "# Changelog\n\n## 1.2.3 (unreleased)\n\n## 1.2.2 (2026-01-01)\n",
	"README.md":                 "bazel_dep(name = \"rules_bpf\", version = \"1.2.3\")\n",
	".bcr/presubmit.yml":        "bcr_test_module:\n  module_path: e2e/smoke\n",
	".bcr/source.template.json": `{"integrity": "", "strip_prefix": "{REPO}-{VERSION}", "url": "https://example.com/{OWNER}/{TAG}/{REPO}-{VERSION}.tar.gz"}`,
	".bcr/metadata.template.json": `{"homepage": "https://example.com", "maintainers": [{"name": "a", "github": "b"}], "repository": ["github:acme/rules_bpf"],
		"versions": [], "yanked_versions": {}}`,
	"e2e/smoke/MODULE.bazel": "",
}

// but returns good with one file changed.
func but(name, data string) map[string]string {
	files := map[string]string{}
	for n, d := range good {
		files[n] = d
	}
	files[name] = data
	return files
}

func TestGood(t *testing.T) {
	r := checkout(t, good)
	qt.Assert(t, qt.IsNil(r.readModule()))
	qt.Check(t, qt.Equals(r.prefix(), "rules_bpf-1.2.3"))
	qt.Check(t, qt.IsNil(r.versions()))
	qt.Check(t, qt.ErrorMatches(r.final(), "CHANGELOG.md: 1.2.3 has no date"))
	r.archive = []byte("archive")
	qt.Assert(t, qt.IsNil(r.makeEntry("")))
	var s source
	qt.Assert(t, qt.IsNil(json.Unmarshal(r.entry["modules/rules_bpf/1.2.3/source.json"], &s)))
	// printf archive | openssl dgst -sha256 -binary | base64
	qt.Check(t, qt.Equals(s, source{"sha256-DrPja/sk3Nm7HRvs4VMSFrWVOaj94X7oAiSvBlPJKqM=", "rules_bpf-1.2.3", "https://example.com/acme/v1.2.3/rules_bpf-1.2.3.tar.gz"}))
	qt.Check(t, qt.Equals(string(r.entry["modules/rules_bpf/1.2.3/MODULE.bazel"]), goodModule))
	out := t.TempDir()
	qt.Assert(t, qt.IsNil(r.write(out)))
	data, err := os.ReadFile(filepath.Join(out, "modules", "rules_bpf", "metadata.json"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(string(data), "\"versions\": [\n    \"1.2.3\"\n  ]"))
}

func TestModule(t *testing.T) {
	for want, module := range map[string]string{
		`version "1.2": want MAJOR.MINOR.PATCH`:                        `module(name = "m", version = "1.2")`,
		`bazel_dep rules_go: version "": want one.*`:                   `module(name = "m", version = "1.2.3")` + "\n" + `bazel_dep(name = "rules_go")`,
		`local_path_override: it counts only in the root module.*`:     goodModule + `local_path_override(module_name = "rules_go", path = "..")`,
		`go_sdk is for work on this repository: want dev_dependency.*`: strings.Replace(goodModule, ", dev_dependency = True", "", 1),
	} {
		qt.Check(t, qt.ErrorMatches(checkout(t, but("MODULE.bazel", module)).readModule(), want))
	}
}

func TestVersions(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"CHANGELOG.md begins with 1.2.2, and MODULE.bazel says 1.2.3":       but("CHANGELOG.md", "## 1.2.2 (2026-01-01)\n"),
		"CHANGELOG.md: no heading.*":                                        but("CHANGELOG.md", "## soon\n"),
		".*docs/a.md depends on version 1.0.0, and MODULE.bazel says 1.2.3": but("docs/a.md", "bazel_dep(name = \"rules_bpf\", version = \"1.0.0\")\n"),
		".*remote_test.go depends on version 1.0.0, and MODULE.bazel says 1.2.3": but("tests/remote/remote_test.go",
			"`bazel_dep(name = \"rules_bpf\", version = \"1.0.0\")`\n"),
		"no document says how to depend on the module": but("README.md", ""),
	} {
		r := checkout(t, files)
		qt.Assert(t, qt.IsNil(r.readModule()))
		qt.Check(t, qt.ErrorMatches(r.versions(), want))
	}
}

func TestEntry(t *testing.T) {
	for want, files := range map[string]map[string]string{
		".*strip_prefix is rules_bpf-v1.2.3, and the archive's folder rules_bpf-1.2.3": but(".bcr/source.template.json",
			`{"integrity": "", "strip_prefix": "{REPO}-{TAG}", "url": ""}`),
		".*url ends in x.zip, and the archive is rules_bpf-1.2.3.tar.gz": but(".bcr/source.template.json",
			`{"integrity": "", "strip_prefix": "{REPO}-{VERSION}", "url": "https://example.com/x.zip"}`),
		".*unknown field \"urls\"":        but(".bcr/source.template.json", `{"urls": []}`),
		".*repository: want one.*":        but(".bcr/metadata.template.json", `{}`),
		".*want a homepage.*":             but(".bcr/metadata.template.json", `{"repository": ["github:a/b"]}`),
		".*module_path: .*no such file.*": but(".bcr/presubmit.yml", "  module_path: e2e/none\n"),
		".*: no module_path":              but(".bcr/presubmit.yml", ""),
	} {
		r := checkout(t, files)
		qt.Assert(t, qt.IsNil(r.readModule()))
		qt.Check(t, qt.ErrorMatches(r.makeEntry(""), want))
	}
}

func TestArchive(t *testing.T) {
	r := checkout(t, map[string]string{"a": "1", "d/run": "2"})
	qt.Assert(t, qt.IsNil(os.Chmod(filepath.Join(r.root, "d", "run"), 0o744)))
	qt.Assert(t, qt.IsNil(os.Symlink("../a", filepath.Join(r.root, "d", "link"))))
	files := []string{"a", "d/link", "d/run"}
	first, err := archive(r.root, files, "p-1")
	qt.Assert(t, qt.IsNil(err))
	copied := t.TempDir()
	qt.Assert(t, qt.IsNil(copyFiles(r.root, copied, files)))
	second, err := archive(copied, files, "p-1")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsTrue(bytes.Equal(first, second)))

	dir := t.TempDir()
	qt.Assert(t, qt.IsNil(unpack(first, dir)))
	info, err := os.Stat(filepath.Join(dir, "p-1", "d", "run"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(info.Mode().Perm(), 0o755))
	data, err := os.ReadFile(filepath.Join(dir, "p-1", "d", "link"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(string(data), "1"))

	// What is not the same is not called the same: a byte, a name, the right to execute.
	qt.Assert(t, qt.IsNil(os.Chmod(filepath.Join(copied, "a"), 0o755)))
	third, err := archive(copied, files, "p-1")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.IsFalse(bytes.Equal(first, third)))

	qt.Assert(t, qt.IsNil(os.Symlink("../../etc/passwd", filepath.Join(r.root, "d", "out"))))
	_, err = archive(r.root, []string{"d/out"}, "p-1")
	qt.Check(t, qt.ErrorMatches(err, "d/out: a link to ../../etc/passwd leads out of the archive"))
}
