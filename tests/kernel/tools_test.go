//go:build linux

package kernel_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// tools returns bpftool and what it is linked with, where the guest's test finds them by their paths. There is none for other
// architectures than this one, nor where it is not installed: what needs it skips.
func tools(t *testing.T, arch string) map[string][]byte {
	t.Helper()
	if arch != runtime.GOARCH {
		return nil
	}
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		path := filepath.Join(dir, "bpftool")
		// A script, which some distributions have in its place, is none that ldd knows.
		if libraries, err := exec.Command("ldd", path).Output(); err == nil {
			files := map[string][]byte{"bin/bpftool": read(t, path)}
			for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(libraries), -1) {
				files[library[1:]] = read(t, library)
			}
			return files
		}
	}
	t.Log("no bpftool: the guest goes without")
	return nil
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
