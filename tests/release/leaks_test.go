//go:build linux

package release_test

import (
	"os"
	"strings"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/leaks"
)

// leakBuild is a build that signs, tests and embeds a loader. Its target peek lists all that an action sees that has a signed
// loader and a key among its inputs; leak is what must not be: it shows that the search would find it.
const leakBuild = `load("@rules_bpf//:defs.bzl", "bpf_go_library", "bpf_loader_audit_test", "bpf_loader_verify_test", "bpf_object", "bpf_signed_loader", "bpf_signing_key")

bpf_signing_key(
    name = "key",
    certificate = "cert.der",
    private_key = "key.pem",
)

bpf_object(
    name = "object",
    srcs = ["execsnoop.bpf.c"],
)

bpf_signed_loader(
    name = "loader",
    object = ":object",
    signing_key = ":key",
)

bpf_go_library(
    name = "execsnoop",
    importpath = "example.com/execsnoop",
    loader = ":loader",
)

bpf_loader_audit_test(
    name = "audit_test",
    size = "small",
    loader = ":loader",
)

bpf_loader_verify_test(
    name = "verify_test",
    size = "small",
    certificate = ":key",
    loader = ":loader",
)

genrule(
    name = "peek",
    srcs = [":key", ":loader"],
    outs = ["peek.txt"],
    cmd = "find -L . -type f > $@; env >> $@",
)

bpf_signing_key(
    name = "wrong_key",
    certificate = "wrong.der",
    private_key = "key.pem",
)

# It fails, and says why.
bpf_signed_loader(
    name = "wrong_loader",
    object = ":object",
    signing_key = ":wrong_key",
    tags = ["manual"],
)

genrule(
    name = "leak",
    srcs = ["key.pem"],
    outs = ["leaked.pem"],
    cmd = "cp $< $@",
    tags = ["manual"],
)
`

// exportKey shows a key's file to all packages, in each order of the two calls: neither package may load.
func (w *workspace) exportKey() {
	const key = `bpf_signing_key(name = "key", certificate = "cert.der", private_key = "key.pem")`
	const export = `exports_files(["cert.der", "key.pem"])`
	for name, calls := range map[string]string{"before": export + "\n" + key, "after": key + "\n" + export} {
		w.write("acme/"+name+"/BUILD.bazel", "load(\"@rules_bpf//:defs.bzl\", \"bpf_signing_key\")\n"+calls+"\n")
		out, err := w.try("bazel query //" + name + ":all")
		qt.Check(w.t, qt.IsNotNil(err), qt.Commentf("the key is exported %s", name))
		qt.Check(w.t, qt.StringContains(out, "visibility for exported file 'key.pem' declared twice"))
		w.sh("rm -r " + name)
	}
}

// secrets are the byte strings by which a private key would give itself away.
func (w *workspace) secrets(key string) map[string][]byte {
	w.t.Helper()
	pem, err := os.ReadFile(w.path(key))
	qt.Assert(w.t, qt.IsNil(err))
	list, err := leaks.Secrets(pem)
	qt.Assert(w.t, qt.IsNil(err))
	return list
}

// find searches the whole of the workspace's folder but some files.
func (w *workspace) find(secrets map[string][]byte, but ...string) ([]leaks.Found, int) {
	w.t.Helper()
	found, files, err := leaks.Find(w.dir, secrets, but...)
	qt.Assert(w.t, qt.IsNil(err))
	return found, files
}

// searchLeaks signs with a key in a file and looks for the key in all that there is afterwards: outputs, caches, logs, command
// lines, action keys.
func (w *workspace) searchLeaks() {
	t := w.t
	const key = "acme/leak/key.pem"
	w.write("acme/leak/BUILD.bazel", leakBuild)
	w.sh(`cp execsnoop.bpf.c leak
		signtool keygen -key leak/key.pem -cert leak/cert.der -cn leak
		signtool keygen -key ../wrong.pem -cert leak/wrong.der -cn wrong`)
	w.sh(`bazel test //leak/... --subcommands --test_output=all --explain=../explain.txt --verbose_explanations \
		--execution_log_json_file=../execution.json --build_event_json_file=../events.json > ../console.txt 2>&1 || { cat ../console.txt; exit 1; }`)
	out, err := w.try(`bazel build //leak:wrong_loader --subcommands > ../wrong.txt 2>&1`)
	qt.Assert(t, qt.IsNotNil(err), qt.Commentf("%s", out))
	for _, format := range []string{"text", "jsonproto"} {
		w.sh(`bazel aquery 'deps(//leak:all)' --output=` + format + ` --include_commandline --include_artifacts --include_param_files \
			--include_file_write_contents > ../aquery.` + format + ` 2>/dev/null`)
	}

	// What must be there, so that what is not there means something.
	wrong, err := os.ReadFile(w.path("wrong.txt"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.StringContains(string(wrong), "the private key does not belong to the certificate"))
	actions, err := os.ReadFile(w.path("aquery.text"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.StringContains(string(actions), "ActionKey: "))
	qt.Assert(t, qt.StringContains(string(actions), "leak/key.pem"))

	// The guide's ceremony and its encrypted key have left nothing, either.
	const ceremonyKey, passphrase = "acme/vault/release.pem", "secrets/bpf-ci"
	needles := w.secrets(key)
	for what, secret := range w.secrets(ceremonyKey) {
		needles[what+", of the ceremony's key"] = secret
	}
	needles["the passphrase"] = []byte(ciPassphrase)
	found, files := w.find(needles, key, ceremonyKey, passphrase)
	qt.Check(t, qt.HasLen(found, 0))
	t.Logf("none of %d secrets in %d files", len(needles), files)

	signed, sandboxed := 0, 0
	actionsRun, err := leaks.Actions(w.path("execution.json"))
	qt.Assert(t, qt.IsNil(err))
	for _, s := range actionsRun {
		if s.Runner == "linux-sandbox" {
			sandboxed++
		}
		for _, in := range s.Inputs {
			if !strings.HasSuffix(in.Path, ".pem") {
				continue
			}
			qt.Check(t, qt.Equals(s.Mnemonic, "BpfSign"), qt.Commentf("%s has %s", s.TargetLabel, in.Path))
			qt.Check(t, qt.IsFalse(s.RemoteCacheable || s.Remotable), qt.Commentf("%s", s.TargetLabel))
			signed++
		}
	}
	qt.Check(t, qt.Equals(signed, 1))
	qt.Check(t, qt.Not(qt.Equals(sandboxed, 0)))
	peek, err := os.ReadFile(w.path("acme", "bazel-bin", "leak", "peek.txt"))
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.StringContains(string(peek), "leak/cert.der\n"))
	qt.Check(t, qt.StringContains(string(peek), "leak/loader.bpfl\n"))
	qt.Check(t, qt.IsFalse(strings.Contains(string(peek), "key.pem")), qt.Commentf("%s", peek))

	// The search finds a key where there is one: in the output, and in the cache.
	w.sh("bazel build //leak:leak")
	found, _ = w.find(w.secrets(key), key)
	all := ""
	for _, f := range found {
		all += f.Path + ": " + f.What + "\n"
	}
	qt.Check(t, qt.StringContains(all, "leaked.pem: a line of PEM"))
	qt.Check(t, qt.Matches(all, "(?s).*disk/[^\n]*: a line of PEM.*"))
}
