//go:build linux

package vm

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Kernel is one that tests/kernel/fetch-kernels has fetched.
type Kernel struct {
	// Name is its series, as 7.3, and for other architectures than amd64 the
	// architecture in Debian's words, as 7.3-arm64.
	Name string
	// Image is the path of the kernel's image.
	Image string
	// Release is what uname -r answers in it.
	Release string
}

// debianArch are Debian's names for GOARCH values where they differ.
var debianArch = map[string]string{"arm": "armhf"}

// Arch returns the kernel's architecture as in GOARCH.
func (k Kernel) Arch() string {
	_, debian, ok := strings.Cut(k.Name, "-")
	if !ok {
		return "amd64"
	}
	for arch, name := range debianArch {
		if name == debian {
			return arch
		}
	}
	return debian
}

// Before reports whether the kernel is of an older series than the one named, as 6.18.
func (k Kernel) Before(series string) bool {
	return slices.Compare(version(k.Name), version(series)) < 0
}

// LoadKernel reads the kernel in a folder of the cache.
func LoadKernel(dir string) (Kernel, error) {
	release, err := os.ReadFile(filepath.Join(dir, "release"))
	if err != nil {
		return Kernel{}, fmt.Errorf("kernel: %w", err)
	}
	k := Kernel{
		Name:    filepath.Base(dir),
		Image:   filepath.Join(dir, "vmlinuz"),
		Release: strings.TrimSpace(string(release)),
	}
	if _, err := os.Stat(k.Image); err != nil {
		return Kernel{}, fmt.Errorf("kernel: %w", err)
	}
	return k, nil
}

// KernelDir is the folder that fetch-kernels fetches into.
func KernelDir() (string, error) {
	cache := os.Getenv("RULES_BPF_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("kernel cache: %w", err)
		}
		cache = filepath.Join(dir, "rules_bpf")
	}
	return filepath.Join(cache, "kernels"), nil
}

// Kernels returns the kernels in the cache, oldest series first.
func Kernels() ([]Kernel, error) {
	dir, err := KernelDir()
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "[0-9]*", "release"))
	if err != nil {
		return nil, err
	}
	var kernels []Kernel
	for _, path := range paths {
		k, err := LoadKernel(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		kernels = append(kernels, k)
	}
	slices.SortFunc(kernels, func(a, b Kernel) int {
		return cmp.Or(slices.Compare(version(a.Name), version(b.Name)), strings.Compare(a.Name, b.Name))
	})
	return kernels, nil
}

// version returns the numbers of a name such as 7.3-arm64.
func version(name string) []int {
	var numbers []int
	series, _, _ := strings.Cut(name, "-")
	for part := range strings.SplitSeq(series, ".") {
		n, _ := strconv.Atoi(part)
		numbers = append(numbers, n)
	}
	return numbers
}
