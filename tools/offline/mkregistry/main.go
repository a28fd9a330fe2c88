// Command mkregistry makes what Bazel needs when it reaches no registry of its
// own: modules as local folders, a file registry over them, and the Go SDK as a
// repository.
//
// rules_go and Gazelle are Go modules too, and their zips hold every file that
// Bazel reads. Debian's Bazel brings skylib, platforms and most rules_*. The few
// modules left are only names in the graph, and stubs do.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	rulesGo   = "github.com/bazelbuild/rules_go@v0.64.2"
	gazelle   = "github.com/bazelbuild/bazel-gazelle@v0.53.0"
	gazelleV2 = "github.com/bazel-contrib/bazel-gazelle/v2@v2.0.0-3"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mkregistry: ")
	out := flag.String("out", "", "folder to make")
	debian := flag.String("debian", "", "Debian's share/bazel folder")
	stubs := flag.String("stubs", "", "folder of stub modules")
	goroot := flag.String("goroot", "", "the Go SDK")
	flag.Parse()
	modules := filepath.Join(*out, "modules")
	for _, step := range []func() error{
		func() error { return os.MkdirAll(*out, 0o755) },
		func() error { return copyTree(*stubs, modules) },
		func() error { return goModules(modules) },
		func() error { return features(*debian, filepath.Join(modules, "bazel_features")) },
		func() error { return registry(modules, filepath.Join(*out, "registry"), *debian) },
		func() error { return sdk(*goroot, filepath.Join(modules, "rules_go"), filepath.Join(*out, "gosdk")) },
	} {
		if err := step(); err != nil {
			log.Fatal(err)
		}
	}
}

// goModules copies rules_go and Gazelle out of the Go module cache.
func goModules(modules string) error {
	for _, m := range []struct{ module, dir string }{
		{rulesGo, "rules_go"},
		{gazelle, "gazelle"},
		{gazelleV2, "gazelle/v2"}, // a nested Go module has a zip of its own
	} {
		src, err := download(m.module)
		if err != nil {
			return err
		}
		dst := filepath.Join(modules, m.dir)
		if err := copyTree(src, dst); err != nil {
			return err
		}
		// Released archives have the version written in; the Go module has not.
		_, version, _ := strings.Cut(m.module, "@v")
		if err := edit(filepath.Join(dst, "MODULE.bazel"), `version = ""`, `version = "`+version+`"`); err != nil && m.dir != "gazelle/v2" {
			return err
		}
	}
	// Gazelle's list of sources names this file, and its zip lacks it.
	sum, err := os.OpenFile(filepath.Join(modules, "gazelle/v2/go.sum"), os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return sum.Close()
}

// features copies Debian's bazel_features, with the one name that rules_go asks
// for and that it is too old to know.
func features(debian, dst string) error {
	if err := copyTree(filepath.Join(debian, "tools/features"), dst); err != nil {
		return err
	}
	return edit(filepath.Join(dst, "features.bzl"), "\n_rules = struct(",
		"\n_rules = struct(\n    instrumented_files_info_has_baseline_coverage_files = False,")
}

// download returns the module's folder in the Go module cache.
func download(module string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // not in this module: its go.mod has no say here
	out, err := cmd.Output()
	var got struct{ Dir, Error string }
	if jerr := json.Unmarshal(out, &got); jerr != nil || got.Error != "" {
		return "", fmt.Errorf("%s: %v %s", module, err, got.Error)
	}
	return got.Dir, nil
}

// edit replaces the first occurrence of old in the file.
func edit(file, old, new string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), old) {
		return fmt.Errorf("%s has no %q", file, old)
	}
	return os.WriteFile(file, []byte(strings.Replace(string(b), old, new, 1)), 0o644)
}

// copyTree copies a folder. Module zips carry no execute bits: scripts get them back.
func copyTree(src, dst string) error {
	return filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(b), "#!") {
			mode = 0o755
		}
		return os.WriteFile(to, b, mode)
	})
}
