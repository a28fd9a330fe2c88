//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-quicktest/qt"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

func TestInitramfs(t *testing.T) {
	archive, err := initramfs(map[string][]byte{
		"init":        []byte("#!/bin/true\n"),
		"/data/a/b.x": {1, 2, 3, 4, 5},
		"data/empty":  {},
	})
	qt.Assert(t, qt.IsNil(err))

	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio to read the archive with")
	}
	dir := t.TempDir()
	cmd := exec.Command(cpio, "--extract", "--quiet", "--no-absolute-filenames", "init", "data*")
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(archive)
	out, err := cmd.CombinedOutput()
	qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))

	for name, want := range map[string]string{"init": "#!/bin/true\n", "data/a/b.x": "\x01\x02\x03\x04\x05", "data/empty": ""} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(string(got), want))
	}
	info, err := os.Stat(filepath.Join(dir, "init"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(info.Mode().Perm(), 0o755))

	list := exec.Command(cpio, "--list", "--verbose", "--numeric-uid-gid", "--quiet")
	list.Stdin = bytes.NewReader(archive)
	out, err = list.Output()
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Matches(string(out), `(?s).*crw-------.* 5, +1 .* dev/console\n.*`))
}

func TestInitramfsRefusesFolders(t *testing.T) {
	for _, name := range []string{"", "/", "..", "dev"} {
		_, err := initramfs(map[string][]byte{name: nil})
		qt.Check(t, qt.ErrorMatches(err, `initramfs: ".*" is a folder`))
	}
}

func TestParseTests(t *testing.T) {
	cases := ParseTests([]byte("noise\n" +
		"\x16=== RUN   TestA\n" +
		"    a_test.go:1: from A\n" +
		"\x16=== RUN   TestA/sub\n" +
		"no end of line\x16--- SKIP: TestA/sub (0.00s)\n" +
		"    a_test.go:2: the reason\n" +
		"\x16=== NAME  TestA\n" +
		"--- FAIL: TestFake (0.00s)\n" +
		"\x16--- PASS: TestA (1.20s)\n" +
		"\x16=== NAME  \n" +
		"between\n" +
		"\x16=== RUN   TestB\n" +
		"\x16--- FAIL: TestB (0.00s)\n" +
		"\x16=== RUN   TestC\n" +
		"panic: out of cheese\n" +
		"\x16FAIL\n" +
		"exit status 1\n"))
	want := []Case{
		{"TestA", Passed, "    a_test.go:1: from A\n--- FAIL: TestFake (0.00s)\n"},
		{"TestA/sub", Skipped, "no end of line    a_test.go:2: the reason\n"},
		{"TestB", Failed, ""},
		{"TestC", Unfinished, "panic: out of cheese\n"},
	}
	qt.Assert(t, qt.HasLen(cases, len(want)))
	for i := range want {
		qt.Check(t, qt.Equals(*cases[i], want[i]))
	}
}

// A subtest's name may have slashes, and is replayed all the same.
func TestDirectly(t *testing.T) {
	cases := []*Case{{Name: "TestA"}, {Name: "TestA/x/y"}, {Name: "TestA/x/y/z"}, {Name: "TestAB"}}
	for _, test := range []struct {
		parent string
		want   []string
	}{
		{"", []string{"TestA", "TestAB"}},
		{"TestA/", []string{"TestA/x/y"}},
		{"TestA/x/y/", []string{"TestA/x/y/z"}},
	} {
		var got []string
		for _, c := range cases {
			if strings.HasPrefix(c.Name, test.parent) && directly(cases, c, test.parent) {
				got = append(got, c.Name)
			}
		}
		qt.Check(t, qt.DeepEquals(got, test.want))
	}
}

// fakeQEMU puts a shell script on PATH in the place of QEMU. The script has the
// initramfs as file 3.
func fakeQEMU(t *testing.T, script string) Config {
	t.Helper()
	if machines[runtime.GOARCH].qemu == "" {
		t.Skipf("no machine for %s", runtime.GOARCH)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, machines[runtime.GOARCH].qemu)
	qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755)))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))

	file := filepath.Join(dir, "file")
	qt.Assert(t, qt.IsNil(os.WriteFile(file, []byte("a kernel, an init"), 0o600)))
	return Config{Kernel: file, Init: file, Timeout: time.Minute}
}

// ends is what a guest writes after the tests.
func ends(code string) string { return "printf '\\r\\n" + guest.End + code + "\\r\\n'\n" }

const begins = "printf 'kernel\\r\\n" + guest.Begin + "\\r\\n'\n"

func TestRun(t *testing.T) {
	var console bytes.Buffer
	cfg := fakeQEMU(t, "grep -q 'a kernel, an init' /dev/fd/3 || exit 9\n"+
		begins+`printf '\026=== RUN   TestX\r\n\026--- FAIL: TestX (0.00s)\r\n'`+"\n"+ends("1")+"echo kernel log\n")
	cfg.Console = &console
	r, err := Run(t.Context(), cfg)
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Equals(r.ExitCode, 1))
	qt.Check(t, qt.Equals(string(r.Output), "\x16=== RUN   TestX\n\x16--- FAIL: TestX (0.00s)\n"))
	qt.Assert(t, qt.HasLen(r.Cases, 1))
	qt.Check(t, qt.Equals(*r.Cases[0], Case{Name: "TestX", Status: Failed}))
	qt.Check(t, qt.StringContains(string(r.Console), "kernel log"))
	qt.Check(t, qt.StringContains(console.String(), "\n=== RUN   TestX\n"))
	qt.Check(t, qt.Not(qt.Equals(r.Boot, 0)))
}

func TestRunPanic(t *testing.T) {
	cfg := fakeQEMU(t, begins+"echo Kernel panic\n")
	r, err := Run(t.Context(), cfg)
	qt.Assert(t, qt.ErrorMatches(err, `(?s)guest ended before its tests did: .*Kernel panic`))
	qt.Check(t, qt.Equals(r.ExitCode, -1))
}

func TestRunQEMUFails(t *testing.T) {
	cfg := fakeQEMU(t, "echo no such machine >&2\nexit 3\n")
	_, err := Run(t.Context(), cfg)
	qt.Assert(t, qt.ErrorMatches(err, `qemu-system-.*: exit status 3: no such machine`))
}

func TestRunTimeout(t *testing.T) {
	cfg := fakeQEMU(t, begins+"exec sleep 600\n")
	cfg.Timeout = 300 * time.Millisecond
	start := time.Now()
	r, err := Run(t.Context(), cfg)
	qt.Assert(t, qt.ErrorIs(err, context.DeadlineExceeded))
	qt.Check(t, qt.IsTrue(time.Since(start) < 30*time.Second))
	qt.Check(t, qt.StringContains(string(r.Console), "kernel\n"))
}

func TestRunRefuses(t *testing.T) {
	_, err := Run(t.Context(), Config{Arch: "pdp11"})
	qt.Check(t, qt.ErrorMatches(err, "no machine for architecture pdp11 .*"))

	cfg := fakeQEMU(t, "")
	cfg.Files = map[string][]byte{"/init": nil}
	_, err = Run(t.Context(), cfg)
	qt.Check(t, qt.ErrorMatches(err, "file /init is reserved"))

	cfg.Kernel = filepath.Join(t.TempDir(), "absent")
	_, err = Run(t.Context(), cfg)
	qt.Check(t, qt.ErrorIs(err, os.ErrNotExist))

	t.Setenv("PATH", t.TempDir())
	_, err = Run(t.Context(), cfg)
	qt.Check(t, qt.ErrorIs(err, ErrNoQEMU))
	qt.Check(t, qt.ErrorIs(err, exec.ErrNotFound))
}

func TestKernels(t *testing.T) {
	t.Setenv("RULES_BPF_CACHE", t.TempDir())
	dir, err := KernelDir()
	qt.Assert(t, qt.IsNil(err))

	kernels, err := Kernels()
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(kernels, 0))

	for _, name := range []string{"7.10", "7.3-armhf", "7.3-arm64", "7.3"} {
		qt.Assert(t, qt.IsNil(os.MkdirAll(filepath.Join(dir, name), 0o755)))
		for file, text := range map[string]string{"release": name + ".1-test\n", "vmlinuz": "image"} {
			qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(dir, name, file), []byte(text), 0o600)))
		}
	}
	kernels, err = Kernels()
	qt.Assert(t, qt.IsNil(err))
	var got []string
	for _, k := range kernels {
		got = append(got, strings.Join([]string{k.Name, k.Arch(), k.Release}, " "))
	}
	qt.Check(t, qt.DeepEquals(got, []string{
		"7.3 amd64 7.3.1-test",
		"7.3-arm64 arm64 7.3-arm64.1-test",
		"7.3-armhf arm 7.3-armhf.1-test",
		"7.10 amd64 7.10.1-test",
	}))

	_, err = LoadKernel(filepath.Join(dir, "7.9"))
	qt.Check(t, qt.IsTrue(errors.Is(err, os.ErrNotExist)))
}
