//go:build linux

// Package kernel_test runs the tests in ./guest in virtual machines with
// Debian's kernels. See README.md.
package kernel_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rules-bpf/rules_bpf/tests/attack/matrix"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// Set by kernel_test.bzl; runfiles paths. Without Bazel, what they name is
// found and built here.
const (
	envKernel = "RULES_BPF_TEST_KERNEL" // the file `release` beside the image
	envGuest  = "RULES_BPF_TEST_GUEST"  // the guest's test binary
	envData   = "RULES_BPF_TEST_DATA"   // files for /data, space-separated
)

var (
	guestRun = flag.String("guest.run", "", "run only the guest's tests that match this regular expression")
	update   = flag.Bool("update", false, "write what was measured into docs/kernels.md")
	console  = flag.Bool("guest.console", false, "show the guest's console as it comes")
)

func TestKernel(t *testing.T) {
	if release := os.Getenv(envKernel); release != "" {
		dir := filepath.Dir(runfile(release))
		k, err := vm.LoadKernel(dir)
		if errors.Is(err, fs.ErrNotExist) {
			vm.Missing(t, "no kernel %s: run tests/kernel/fetch-kernels %[1]s", filepath.Base(dir))
		}
		if err != nil {
			t.Fatal(err)
		}
		boot(t, k, *guestRun, nil)
		return
	}

	for _, k := range kernels(t) {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			boot(t, k, *guestRun, nil)
		})
	}
}

// kernels are all that were fetched.
func kernels(t *testing.T) []vm.Kernel {
	t.Helper()
	kernels, err := vm.Kernels()
	if err != nil {
		t.Fatal(err)
	}
	if len(kernels) == 0 {
		vm.Missing(t, "no kernels: run tests/kernel/fetch-kernels")
	}
	return kernels
}

// boot runs the guest's tests in a kernel, as subtests of t: those whose names match run. The guest gets more files.
func boot(t *testing.T, k vm.Kernel, run string, more map[string][]byte) {
	t.Logf("kernel %s", k.Release)
	vm.NeedQEMU(t, k.Arch())
	files := data(t, k.Arch())
	maps.Copy(files, more)
	cfg := vm.Config{
		Kernel: k.Image,
		Arch:   k.Arch(),
		Init:   guestBinary(t, k.Arch()),
		Args:   []string{"-test.run=" + run, "-test.timeout=8m"},
		Files:  files,
	}
	if *console {
		cfg.Console = t.Output()
	}
	ctx := t.Context()
	if deadline, ok := t.Deadline(); ok { // leave time to tell what the guest did
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-10*time.Second))
		defer cancel()
	}
	result, err := vm.Run(ctx, cfg)
	if result == nil {
		t.Fatal(err)
	}
	if _, err := result.SaveConsole("console-" + k.Name + ".log"); err != nil {
		t.Error(err)
	}
	result.Replay(t, err)
	compareRow(t, k.Name, result)
}

// compareRow compares what the guest has measured with the kernel's row in
// docs/kernels.md, or writes it there.
func compareRow(t *testing.T, kernel string, result *vm.Result) {
	t.Helper()
	var row []string
	for _, c := range result.Cases {
		if _, line, ok := strings.Cut(c.Output, guest.Measured); ok {
			line, _, _ = strings.Cut(line, "\n")
			row = strings.Split(strings.TrimSpace(line), " | ")
		}
	}
	if row == nil { // the test was not asked for, or has failed
		return
	}
	file := filepath.Join("..", "..", "docs", "kernels.md")
	rowMutex.Lock()
	defer rowMutex.Unlock()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	committed := matrix.Row(string(text), kernel)
	if slices.Equal(committed, row) {
		return
	}
	if !*update {
		t.Errorf("docs/kernels.md says of %s\n\t%q\nand it was measured\n\t%q\nIf that is as it should be: go test ./tests/kernel -run 'TestKernel/%[1]s$' -guest.run Matrix -update",
			kernel, committed, row)
		return
	}
	changed, err := matrix.Update(string(text), kernel, row)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rowMutex is for the table, of which every kernel has a row.
var rowMutex sync.Mutex

// data returns the bundles, the files in testdata and those that Bazel gives,
// for the guest's folder /data.
func data(t *testing.T, arch string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	add := func(path, name string) {
		content := read(t, path)
		name = guest.DataDir + "/" + name
		if _, ok := files[name]; ok {
			t.Fatalf("two data files are named %s", name)
		}
		files[name] = content
	}
	for name, content := range bundles(t, arch == "s390x") {
		files[guest.DataDir+"/"+name] = content
	}
	maps.Copy(files, tools(t, arch))
	for _, path := range strings.Fields(os.Getenv(envData)) {
		add(runfile(path), filepath.Base(path))
	}
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel("testdata", path)
		add(path, name)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// runfile returns the path of a file that Bazel names.
func runfile(path string) string {
	return filepath.Join(os.Getenv("TEST_SRCDIR"), path)
}

// Guest binaries that were built without Bazel, once an architecture.
var (
	built    sync.Map
	buildDir string
)

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "rules_bpf-guest"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// guestBinary returns the path of the guest's test binary.
func guestBinary(t *testing.T, arch string) string {
	t.Helper()
	if path := os.Getenv(envGuest); path != "" {
		return runfile(path)
	}
	build, _ := built.LoadOrStore(arch, sync.OnceValues(func() (string, error) {
		path := filepath.Join(buildDir, arch+".test")
		cmd := exec.Command("go", "test", "-c", "-o", path, "./guest")
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build the guest's tests: %w\n%s", err, out)
		}
		return path, nil
	}))
	path, err := build.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
