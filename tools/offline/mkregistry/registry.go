package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	comment = regexp.MustCompile(`(?m)^\s*#.*\n`)
	call    = regexp.MustCompile(`(?ms)^(module|bazel_dep)\((.*?)^?\)`)
	keyword = regexp.MustCompile(`(\w+) = (?:"([^"]*)"|(\w+))`)
)

// module is one folder of modules.
type module struct {
	dir   string
	text  string
	level string          // compatibility level
	want  map[string]bool // the versions that somebody asks for
}

// registry writes a file registry whose modules are local folders, in each
// version that any known MODULE.bazel asks for: version selection fails on one
// that the registry lacks. The highest has the real MODULE.bazel; the others are
// nodes for the selection only, and have no dependencies.
func registry(modules, out, debian string) error {
	own, err := filepath.Glob(filepath.Join(modules, "*/MODULE.bazel"))
	if err != nil {
		return err
	}
	known := map[string]*module{}
	files := slices.Clone(own)
	for _, pattern := range []string{"embedded_tools", "rules/*", "tools/*"} {
		more, err := filepath.Glob(filepath.Join(debian, pattern, "MODULE.bazel"))
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	want := map[string]map[string]bool{}
	ask := func(name, version string) {
		if want[name] == nil {
			want[name] = map[string]bool{}
		}
		want[name][version] = true
	}
	for i, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, c := range call.FindAllStringSubmatch(comment.ReplaceAllString(string(b), ""), -1) {
			kw := map[string]string{}
			for _, k := range keyword.FindAllStringSubmatch(c[2], -1) {
				kw[k[1]] = k[2] + k[3]
			}
			switch {
			case c[1] == "module" && i < len(own):
				known[kw["name"]] = &module{dir: filepath.Base(filepath.Dir(file)), text: string(b), level: cmp.Or(kw["compatibility_level"], "0")}
				ask(kw["name"], kw["version"])
			case c[1] == "bazel_dep" && kw["dev_dependency"] != "True" && kw["version"] != "":
				ask(kw["name"], kw["version"])
			}
		}
	}
	for name, m := range known {
		m.want = want[name]
		if err := m.write(filepath.Join(out, "modules", name), name); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(out, "bazel_registry.json"), map[string]string{"module_base_path": "../modules"})
}

func (m *module) write(dir, name string) error {
	var versions []string
	for v := range m.want {
		versions = append(versions, v)
	}
	slices.SortFunc(versions, compareVersions)
	for i, v := range versions {
		d := filepath.Join(dir, v)
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
		text := fmt.Sprintf("module(name = %q, version = %q, compatibility_level = %s)\n", name, v, m.level)
		if i == len(versions)-1 {
			text = setVersion(m.text, v)
		}
		if err := os.WriteFile(filepath.Join(d, "MODULE.bazel"), []byte(text), 0o644); err != nil {
			return err
		}
		if err := writeJSON(filepath.Join(d, "source.json"), map[string]string{"type": "local_path", "path": m.dir}); err != nil {
			return err
		}
	}
	return nil
}

var ownVersion = regexp.MustCompile(`(?s)(\bmodule\(.*?version = ")[^"]*`)

// setVersion writes the version into the text's module() call, its first.
func setVersion(text, version string) string {
	at := ownVersion.FindStringSubmatchIndex(text)
	if at == nil {
		return text
	}
	return text[:at[3]] + version + text[at[1]:]
}

// compareVersions orders dotted versions, numbers by value and before words.
func compareVersions(a, b string) int {
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == '.' || r == '-' })
	}
	return slices.CompareFunc(split(a), split(b), func(x, y string) int {
		i, errX := strconv.Atoi(x)
		j, errY := strconv.Atoi(y)
		switch {
		case errX == nil && errY == nil:
			return cmp.Compare(i, j)
		case errX == nil:
			return -1
		case errY == nil:
			return 1
		}
		return cmp.Compare(x, y)
	})
}

func writeJSON(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}
