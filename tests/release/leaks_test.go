//go:build linux

package release_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/signing"
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

// secrets are the byte strings by which a private key would give itself away, by what they are.
func secrets(t *testing.T, file string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(file)
	qt.Assert(t, qt.IsNil(err))
	list := map[string][]byte{}
	for _, line := range strings.Split(string(data), "\n") {
		if len(line) == 64 { // in full; the last may be too short to mean anything
			list["a line of PEM: "+line[:8]+"..."] = []byte(line)
		}
	}
	signer, err := signing.ParseKey(data, nil)
	qt.Assert(t, qt.IsNil(err))
	key := signer.(*rsa.PrivateKey)
	for name, number := range map[string][]byte{
		"the first prime": key.Primes[0].Bytes(), "the second prime": key.Primes[1].Bytes(), "the private exponent": key.D.Bytes(),
		"exponent 1": key.Precomputed.Dp.Bytes(), "exponent 2": key.Precomputed.Dq.Bytes(), "the coefficient": key.Precomputed.Qinv.Bytes(),
	} {
		// Half of it is enough: what is around it may change a form's ends.
		half := number[:len(number)/2/3*3]
		list[name+" in DER"] = half
		list[name+" in hexadecimal"] = []byte(hex.EncodeToString(half))
		list[name+" in upper-case hexadecimal"] = []byte(strings.ToUpper(hex.EncodeToString(half)))
		list[name+" in base64"] = []byte(base64.StdEncoding.EncodeToString(half))
		list[name+" in base64 for URLs"] = []byte(base64.URLEncoding.EncodeToString(half))
	}
	list["the first prime in decimal"] = []byte(key.Primes[0].String())
	list["the private exponent in decimal"] = []byte(key.D.String())
	return list
}

// searcher finds any of many byte strings in one pass, by their first eight bytes.
type searcher struct {
	pairs  [1 << 16]bool // the first two, for speed
	starts map[uint64][]secret
}

type secret struct {
	what  string
	bytes []byte
}

func newSearcher(secrets map[string][]byte) *searcher {
	s := &searcher{starts: make(map[uint64][]secret)}
	for what, b := range secrets {
		s.pairs[binary.LittleEndian.Uint16(b)] = true
		start := binary.LittleEndian.Uint64(b)
		s.starts[start] = append(s.starts[start], secret{what, b})
	}
	return s
}

// in returns what is in data.
func (s *searcher) in(data []byte) (found []string) {
	for i := 0; i+8 <= len(data); i++ {
		if !s.pairs[binary.LittleEndian.Uint16(data[i:])] {
			continue
		}
		for _, c := range s.starts[binary.LittleEndian.Uint64(data[i:])] {
			if bytes.HasPrefix(data[i:], c.bytes) {
				found = append(found, c.what)
			}
		}
	}
	return found
}

// find searches all files under the workspace's folder but some, also in what gzip has packed, and returns where there is what.
func (w *workspace) find(secrets map[string][]byte, but ...string) (found []string, files int) {
	w.t.Helper()
	s := newSearcher(secrets)
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(w.dir, path)
		if err != nil {
			return err
		}
		if slices.Contains(but, name) {
			return nil
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // a server's, which has gone since
			return nil
		} else if err != nil {
			return err
		}
		files++
		if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			unpacked, _ := io.ReadAll(r) // as far as it goes
			data = append(data, unpacked...)
		}
		for _, what := range s.in(data) {
			found = append(found, name+": "+what)
		}
		return nil
	})
	qt.Assert(w.t, qt.IsNil(err))
	return found, files
}

// spawn is what Bazel's execution log says of one action.
type spawn struct {
	Mnemonic, TargetLabel, Runner string
	Inputs                        []struct{ Path string }
	RemoteCacheable, Remotable    bool
}

// spawns reads an execution log.
func (w *workspace) spawns(file string) (list []spawn) {
	w.t.Helper()
	f, err := os.Open(w.path(file))
	qt.Assert(w.t, qt.IsNil(err))
	defer f.Close()
	dec := json.NewDecoder(f)
	for {
		var s spawn
		err := dec.Decode(&s)
		if errors.Is(err, io.EOF) {
			return list
		}
		qt.Assert(w.t, qt.IsNil(err))
		list = append(list, s)
	}
}

// leaks signs with a key in a file and looks for the key in all that there is afterwards: outputs, caches, logs, command
// lines, action keys.
func (w *workspace) leaks() {
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
	needles := secrets(t, w.path(key))
	for what, secret := range secrets(t, w.path(ceremonyKey)) {
		needles[what+", of the ceremony's key"] = secret
	}
	needles["the passphrase"] = []byte(ciPassphrase)
	found, files := w.find(needles, key, ceremonyKey, passphrase)
	qt.Check(t, qt.HasLen(found, 0))
	t.Logf("none of %d secrets in %d files", len(needles), files)

	signed, sandboxed := 0, 0
	for _, s := range w.spawns("execution.json") {
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
	found, _ = w.find(secrets(t, w.path(key)), key)
	all := strings.Join(found, "\n")
	qt.Check(t, qt.StringContains(all, "leaked.pem: a line of PEM"))
	qt.Check(t, qt.Matches(all, "(?s).*disk/[^\n]*: a line of PEM.*"))
}

func TestSearcher(t *testing.T) {
	s := newSearcher(map[string][]byte{"one": []byte("12345678901234567890"), "two": []byte("12345678abc")})
	qt.Check(t, qt.HasLen(s.in([]byte("1234567812345678ab")), 0))
	qt.Check(t, qt.DeepEquals(s.in([]byte("12345678abc 12345678901234567890")), []string{"two", "one"}))
	qt.Check(t, qt.HasLen(s.in(nil), 0))
}
