package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rules-bpf/rules_bpf/bundle"
	whole "github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
)

// file is an object file.
type file struct {
	name, path string
	raw        []byte
}

// readFile reads an object file. It is named after its folder and itself.
func readFile(path string) (file, error) {
	raw, err := whole.Read(path, whole.MaxBinary)
	name := filepath.Base(path)
	for _, ext := range []string{".o", ".elf", ".bpf"} {
		name = strings.TrimSuffix(name, ext)
	}
	return file{strings.TrimSuffix(name, "-el"), path, raw}, err
}

// glob reads all files of a pattern.
func glob(pattern string) (files []file, err error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	for _, p := range paths {
		f, err := readFile(p)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// compile makes our unsigned bundle in this process.
func (f file) compile() (*bundle.Bundle, error) {
	obj, err := object.Parse(f.path, f.raw, object.Options{})
	if err != nil {
		return nil, err
	}
	return loader.Compile(obj, loader.Options{})
}

// set is a number of object files that belong together.
type set struct {
	name  string
	files []file
}

// sets returns all objects that are at hand: this repository's fixtures, those that cilium/ebpf is tested with, and the
// kernel's selftests where tests/upstream has compiled some.
func (b *bench) sets() ([]set, error) {
	ebpf, err := output("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cilium/ebpf")
	if err != nil {
		return nil, err
	}
	cache := os.Getenv("RULES_BPF_CACHE")
	if cache == "" {
		home, _ := os.UserHomeDir()
		cache = filepath.Join(home, ".cache/rules_bpf")
	}
	var all []set
	for _, s := range []struct{ name, pattern string }{
		{"fixtures", filepath.Join(b.root, "internal/object/testdata/*.bpf.o")},
		{"cilium/ebpf's", filepath.Join(ebpf, "testdata/*-el.elf")},
		{"selftests", filepath.Join(cache, "kernels/7.3/source/objects-*/*.bpf.o")},
	} {
		files, err := glob(s.pattern)
		if err != nil {
			return nil, err
		}
		if len(files) > 0 {
			all = append(all, set{s.name, files})
		}
	}
	return all, nil
}

// clang compiles BPF C as bpf_object does.
func (b *bench) clang(source, out string) error {
	args := []string{"-target", "bpfel", "-mcpu=v3", "-O2", "-g", "-Wall", "-D__TARGET_ARCH_x86", "-nostdlibinc",
		"-isystem", "/usr/include", "-isystem", "/usr/include/x86_64-linux-gnu", "-c", source, "-o", out}
	if _, err := output("clang", args...); err != nil {
		return err
	}
	_, err := output("llvm-strip", "-g", out)
	return err
}

// compiled compiles a source and reads the object.
func (b *bench) compiled(name, source string) (file, error) {
	out := filepath.Join(b.dir, name+".bpf.o")
	if err := b.clang(source, out); err != nil {
		return file{}, err
	}
	return readFile(out)
}

// output runs a command and returns what it prints, without the end of the line.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
