//go:build linux

// Package remote_test builds with a remote cache, as a team does: two output bases that know nothing of one another, and
// bazel-remote between them. tools/test runs it where Bazel and that server are.
package remote_test

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
	"github.com/rules-bpf/rules_bpf/tests/internal/leaks"
)

// envServer names the variable with the path of bazel-remote.
const envServer = "RULES_BPF_TEST_BAZEL_REMOTE"

// The workspace. The name of the SDK is what tools/offline replaces.
var files = map[string]string{
	"MODULE.bazel": `module(name = "team")

bazel_dep(name = "rules_bpf", version = "0.1.0")
bazel_dep(name = "rules_go", version = "0.64.2")

go_sdk = use_extension("@rules_go//go:extensions.bzl", "go_sdk")
go_sdk.download(name = "sdk", version = "1.26.0")
`,
	"BUILD.bazel": `load("@rules_bpf//:defs.bzl", "bpf_object", "bpf_signed_loader", "bpf_signing_key")

bpf_object(
    name = "object",
    srcs = ["program.bpf.c"],
)

bpf_signing_key(
    name = "key",
    certificate = "cert.der",
    private_key = "key.pem",
)

bpf_signed_loader(
    name = "loader",
    object = ":object",
    signing_key = ":key",
)
`,
	"program.bpf.c": `#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile char marker[] = "` + marker + `";

SEC("socket")
int count(void *ctx)
{
	return marker[0];
}

char LICENSE[] SEC("license") = "GPL";
`,
}

// marker is in the object, and in what is made of it.
const marker = "a string that is in no other program"

// serve starts the server with its files in dir, and returns its address.
func serve(t *testing.T, dir string) string {
	t.Helper()
	program := os.Getenv(envServer)
	if program == "" {
		t.Skip("no bazel-remote: tools/test names one in " + envServer)
	}
	web, api := freeAddress(t), freeAddress(t)
	// Uncompressed, so that a search finds what is there.
	cmd := exec.Command(program, "--dir", dir, "--max_size", "2", "--storage_mode", "uncompressed", "--http_address", web, "--grpc_address", api)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	qt.Assert(t, qt.IsNil(cmd.Start()))
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("bazel-remote:\n%s", log.String()[max(0, log.Len()-4000):])
		}
	})
	for range 300 {
		if answer, err := http.Get("http://" + web + "/status"); err == nil {
			_ = answer.Body.Close()
			return "grpc://" + api
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("bazel-remote does not answer")
	return ""
}

// freeAddress returns an address on loopback where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	qt.Assert(t, qt.IsNil(err))
	defer l.Close()
	return l.Addr().String()
}

// build builds the loader in an output base of its own and returns it, with the actions that ran or were found.
func build(t *testing.T, w *guide.Workspace, base, flags string) ([]byte, []leaks.Action) {
	t.Helper()
	log := filepath.Join(w.Bin, base+".json")
	script := fmt.Sprintf(`bazel --output_base=%[1]s build //:loader --disk_cache= --execution_log_json_file=%[2]s %[3]s
cp -L bazel-bin/loader.bpfl ../bin/%[4]s.bpfl
bazel --output_base=%[1]s shutdown`, filepath.Join(filepath.Dir(w.Dir), base), log, flags, base)
	out, err := w.Shell(script)
	qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
	loader, err := os.ReadFile(filepath.Join(w.Bin, base+".bpfl"))
	qt.Assert(t, qt.IsNil(err))
	actions, err := leaks.Actions(log)
	qt.Assert(t, qt.IsNil(err))
	return loader, actions
}

// What one has compiled and generated, another gets from the cache, byte for byte. Both sign for themselves: neither key nor
// signature reaches the server.
func TestRemoteCache(t *testing.T) {
	dir := t.TempDir()
	cache := serve(t, dir)
	w := guide.NewWorkspace(t, "../..", "remote", "tools/signtool")
	for name, data := range files {
		qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(w.Dir, name), []byte(data), 0o644)))
	}
	out, err := w.Shell(`signtool keygen -key key.pem -cert cert.der -cn team; chmod -R u+w ../first ../second 2>/dev/null || true; rm -rf ../first ../second`)
	qt.Assert(t, qt.IsNil(err), qt.Commentf("%s", out))
	t.Cleanup(func() { _, _ = w.Shell("chmod -R u+w ../first ../second; rm -rf ../first ../second") })

	const pure = " --@rules_go//go/config:pure"
	first, made := build(t, w, "first", "--remote_cache="+cache+pure)
	second, got := build(t, w, "second", "--remote_download_minimal --remote_cache="+cache+pure)
	qt.Check(t, qt.IsTrue(bytes.Equal(first, second)), qt.Commentf("the two loaders differ"))

	for _, s := range made {
		qt.Check(t, qt.IsFalse(s.CacheHit), qt.Commentf("the first build found %s of %s", s.Mnemonic, s.TargetLabel))
	}
	hits := map[string]int{}
	signed := 0
	for _, s := range got {
		switch {
		case s.Mnemonic == "BpfSign":
			signed++
			qt.Check(t, qt.IsFalse(s.CacheHit || s.RemoteCacheable), qt.Commentf("%+v", s))
		case !s.CacheHit:
			t.Errorf("the second build ran %s of %s (%s)", s.Mnemonic, s.TargetLabel, s.Runner)
		default:
			hits[s.Mnemonic]++
		}
	}
	t.Logf("%d actions first; then cache hits %v, and %d signing", len(made), hits, signed)
	qt.Check(t, qt.Equals(signed, 1))
	for _, mnemonic := range []string{"BpfCompile", "BpfLoaderGen", "GoStdlib"} {
		qt.Check(t, qt.Not(qt.Equals(hits[mnemonic], 0)), qt.Commentf("%s", mnemonic))
	}

	b, err := bundle.Decode(first)
	qt.Assert(t, qt.IsNil(err))
	pem, err := os.ReadFile(filepath.Join(w.Dir, "key.pem"))
	qt.Assert(t, qt.IsNil(err))
	needles := map[string][]byte{"marker": []byte(marker), "signature": b.Loaders[0].Signatures[0].CMS}
	secrets, err := leaks.Secrets(pem)
	qt.Assert(t, qt.IsNil(err))
	maps.Copy(needles, secrets)
	found, n, err := leaks.Find(dir, needles)
	qt.Assert(t, qt.IsNil(err))
	t.Logf("%d files on the server", n)
	// The search finds what is there.
	qt.Check(t, qt.Not(qt.HasLen(found, 0)))
	for _, f := range found {
		qt.Check(t, qt.Equals(f.What, "marker"), qt.Commentf("in %s", f.Path))
	}
}
