// Command release checks that the repository can be released as it is, and makes what a release is made of: the source archive and
// the entry for the Bazel Central Registry.
//
//	go run ./tools/release [-out DIR [-url PREFIX]] [-final]
//
// It prints a line `PASS name` or `FAIL name` for each check, and what is wrong on stderr. DIR gets the archive, and the entry in
// DIR/modules: with -url file://DIR it is a registry that Bazel can use.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rules-bpf/rules_bpf/internal/file"
)

func main() {
	out := flag.String("out", "", "the `folder` to write the archive and the registry's entry to")
	url := flag.String("url", "", "where the archive is going to be, a `URL` without the file's name (default a release on GitHub)")
	final := flag.Bool("final", false, "want everything committed, and the version dated in the changelog")
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	root, err := git(".", "rev-parse", "--show-toplevel")
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
	if !run(strings.TrimSpace(root), *out, *url, *final) {
		os.Exit(1)
	}
}

// run makes all checks and says whether they passed.
func run(root, out, url string, final bool) bool {
	passed := true
	check := func(name string, err error) {
		if err == nil {
			fmt.Println("PASS release:", name)
			return
		}
		passed = false
		fmt.Println("FAIL release:", name)
		fmt.Fprintf(os.Stderr, "release: %s: %v\n", name, err)
	}
	r := &release{root: root}
	check("MODULE.bazel is one for the Central Registry", r.readModule())
	check("versions agree", r.versions())
	if final {
		check("ready to be tagged", r.final())
	}
	if !passed {
		return false
	}
	check("the archive is the same from another checkout", r.pack())
	if r.archive == nil {
		return false
	}
	check("the archive builds", r.build())
	check("the registry's entry is whole", r.makeEntry(url))
	if passed && out != "" {
		check("written to "+out, r.write(out))
	}
	return passed
}

// git runs git and returns what it prints.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-c", "safe.directory=*"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, failed.Stderr)
	}
	return string(out), err
}

// write writes the archive and the entry.
func (r *release) write(out string) error {
	files := map[string][]byte{r.prefix() + ".tar.gz": r.archive}
	for name, data := range r.entry {
		files[name] = data
	}
	var outputs []file.Output
	for name, data := range files {
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		outputs = append(outputs, file.Output{Path: path, Data: data})
	}
	return file.WriteAll(outputs...)
}
