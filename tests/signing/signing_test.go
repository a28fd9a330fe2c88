//go:build linux

// Package signing_test signs a bundle in every way that docs/signing.md tells of, with the programs that it names, and
// has real kernels say what they think of it (see ../kernel/README.md for the machines).
package signing_test

import (
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
	"github.com/rules-bpf/rules_bpf/tests/internal/vm/guest"
)

// Set by BUILD.bazel; runfiles paths. Without Bazel, what they name is found and built here.
const (
	envKernel    = "RULES_BPF_TEST_KERNEL" // the file `release` beside the image
	envGuest     = "RULES_BPF_TEST_GUEST"
	envSigntool  = "RULES_BPF_TEST_SIGNTOOL"
	envLoadergen = "RULES_BPF_TEST_LOADERGEN"
)

// testCase is what the guest gets: a bundle, the certificate that it enrolls, and what is to come of it.
type testCase struct {
	Name        string
	Certificate []byte
	Bundle      []byte
	// KeyID is the key whose signature the kernel verified. Want is the error instead, by its name in package runtime.
	KeyID string
	Want  string
}

// workshop is a folder with the programs, and an unsigned bundle in.bpfl.
type workshop struct {
	t                             *testing.T
	dir                           string
	signtool, loadergen, guestBin string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, dir: t.TempDir()}
	w.signtool = w.program(envSigntool, "signtool", "build", "../../tools/signtool")
	w.loadergen = w.program(envLoadergen, "loadergen", "build", "../../tools/loadergen")
	w.guestBin = w.program(envGuest, "guest.test", "test", "./guest", "-c")
	object, err := filepath.Abs("../../internal/object/testdata/data.bpf.o")
	qt.Assert(t, qt.IsNil(err))
	w.run(w.loadergen, "-object", object, "-out", "in.bpfl")
	return w
}

// runfile returns the path of a file that Bazel names.
func runfile(path string) string {
	path, err := filepath.Abs(filepath.Join(os.Getenv("TEST_SRCDIR"), path))
	if err != nil {
		panic(err) // there is no working folder
	}
	return path
}

// program returns the path of a program that Bazel gives, or builds it.
func (w *workshop) program(variable, name, verb, pkg string, flags ...string) string {
	w.t.Helper()
	if path := os.Getenv(variable); path != "" {
		return runfile(path)
	}
	path := filepath.Join(w.dir, name)
	args := append([]string{verb, "-o", path}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	qt.Assert(w.t, qt.IsNil(err), qt.Commentf("build %s: %s", name, out))
	return path
}

// run runs a program in the folder. It must succeed.
func (w *workshop) run(name string, args ...string) {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	qt.Assert(w.t, qt.IsNil(err), qt.Commentf("%s %q: %s", filepath.Base(name), args, out))
}

// keygen makes a pair NAME.pem and NAME.der.
func (w *workshop) keygen(name, keyType string) {
	w.t.Helper()
	w.run(w.signtool, "keygen", "-type", keyType, "-key", name+".pem", "-cert", name+".der", "-cn", name)
}

// sign signs a bundle with a pair.
func (w *workshop) sign(name, hash, in, out string) {
	w.t.Helper()
	w.run(w.signtool, "sign", "-key", name+".pem", "-cert", name+".der", "-hash", hash, "-kind", "test", "-in", in, "-out", out)
}

// certificate reads NAME.der or NAME.pem.
func (w *workshop) certificate(file string) (der []byte, keyID string) {
	w.t.Helper()
	cert, err := certs.Load(filepath.Join(w.dir, file))
	qt.Assert(w.t, qt.IsNil(err))
	return cert.Raw, hex.EncodeToString(cert.SubjectKeyId)
}

// good is a case that the kernel takes, with the key of a certificate file. signtool verify and openssl must agree.
func (w *workshop) good(name, file, cert string) testCase {
	w.t.Helper()
	w.run(w.signtool, "verify", "-cert", cert, file)
	w.opensslVerify(file, cert)
	c := w.bad(name, file, cert, "")
	_, c.KeyID = w.certificate(cert)
	return c
}

// opensslVerify has openssl verify all signatures in a bundle by a certificate's key.
func (w *workshop) opensslVerify(file, cert string) {
	w.t.Helper()
	der, keyID := w.certificate(cert)
	signer := w.write("openssl.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	n := 0
	b := w.bundle(file)
	for i := range b.Loaders {
		l := &b.Loaders[i]
		tbs, err := b.SignedBytes(l)
		qt.Assert(w.t, qt.IsNil(err))
		for _, s := range l.Signatures {
			if hex.EncodeToString(s.KeyID) == keyID {
				w.openssl("cms", "-verify", "-binary", "-inform", "DER", "-in", w.write("openssl.p7s", s.CMS), "-content", w.write("openssl.tbs", tbs),
					"-certfile", signer, "-CAfile", signer, "-purpose", "any", "-out", os.DevNull)
				n++
			}
		}
	}
	qt.Assert(w.t, qt.Equals(n, 2), qt.Commentf("signatures by %s in %s", cert, file))
}

// openssl runs it, where it is installed.
func (w *workshop) openssl(args ...string) {
	w.t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		vm.Missing(w.t, "openssl is not installed")
	}
	w.run("openssl", args...)
}

// write writes a file into the folder.
func (w *workshop) write(name string, data []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	qt.Assert(w.t, qt.IsNil(os.WriteFile(path, data, 0o644)))
	return path
}

// bad is a case that the kernel refuses.
func (w *workshop) bad(name, file, cert, want string) testCase {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, file))
	qt.Assert(w.t, qt.IsNil(err))
	der, _ := w.certificate(cert)
	return testCase{Name: name, Certificate: der, Bundle: data, Want: want}
}

// bundle reads a bundle.
func (w *workshop) bundle(file string) *bundle.Bundle {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, file))
	qt.Assert(w.t, qt.IsNil(err))
	b, err := bundle.Decode(data)
	qt.Assert(w.t, qt.IsNil(err))
	return b
}

// change changes a bundle.
func (w *workshop) change(in, out string, change func(b *bundle.Bundle)) {
	w.t.Helper()
	b := w.bundle(in)
	change(b)
	data, err := bundle.Encode(b)
	qt.Assert(w.t, qt.IsNil(err))
	w.write(out, data)
}

// files are keys in files, of each type.
func (w *workshop) files() (cases []testCase) {
	for _, c := range [][2]string{
		{"rsa-2048", "sha256"}, {"rsa-2048", "sha512"}, {"rsa-3072", "sha384"}, {"rsa-4096", "sha256"},
		{"ecdsa-p256", "sha256"}, {"ecdsa-p256", "sha512"}, {"ecdsa-p384", "sha256"}, {"ecdsa-p384", "sha384"},
	} {
		name := c[0] + "-" + c[1]
		w.keygen(name, c[0])
		w.sign(name, c[1], "in.bpfl", name+".bpfl")
		cases = append(cases, w.good("key in a file: "+name, name+".bpfl", name+".der"))
	}
	return cases
}

// rotation is a bundle by an old and a new key, on hosts that have one of them.
func (w *workshop) rotation() (cases []testCase) {
	for _, has := range []string{"old", "new"} {
		pair := map[string]string{"old": has + "-host-old", "new": has + "-host-new"}
		w.keygen(pair["old"], "rsa-2048")
		w.keygen(pair["new"], "ecdsa-p256")
		both := has + "-both.bpfl"
		w.sign(pair["old"], "sha256", "in.bpfl", both)
		w.sign(pair["new"], "sha256", both, both)
		cases = append(cases, w.good("rotation: host has the "+has+" key", both, pair[has]+".der"))
	}
	// Once the old key's signature is gone, hosts that only have the old key refuse.
	w.keygen("gone-old", "rsa-2048")
	w.keygen("gone-new", "rsa-2048")
	w.sign("gone-old", "sha256", "in.bpfl", "gone.bpfl")
	w.sign("gone-new", "sha256", "gone.bpfl", "gone.bpfl")
	w.run(w.signtool, "strip", "-cert", "gone-old.der", "-in", "gone.bpfl", "-out", "gone.bpfl")
	return append(cases, w.bad("rotation: old signature is gone", "gone.bpfl", "gone-old.der", "ErrKeyNotInKeyring"))
}

// ceremony is one by openssl alone: it makes the key, the certificate and the signatures. The raw values are as
// hardware modules give them.
func (w *workshop) ceremony() (cases []testCase) {
	w.run(w.signtool, "tbs", "-in", "in.bpfl", "-out", "tbs")
	for _, c := range []struct{ name, key string }{
		{"rsa", "rsa:3072"},
		{"ecdsa", "ec"},
	} {
		name := "openssl-" + c.name
		req := []string{"req", "-x509", "-newkey", c.key, "-nodes", "-keyout", name + ".pem", "-out", name + ".crt", "-days", "30",
			"-subj", "/CN=" + name, "-addext", "keyUsage=digitalSignature", "-addext", "subjectKeyIdentifier=hash"}
		if c.key == "ec" {
			req = append(req, "-pkeyopt", "ec_paramgen_curve:P-384")
		}
		w.openssl(req...)
		var attach, raw []string
		for _, scheme := range []string{"map-hash", "payload"} {
			cmsFile, rawFile := name+"-"+scheme+".p7s", name+"-"+scheme+".raw"
			w.openssl("cms", "-sign", "-binary", "-noattr", "-nocerts", "-keyid", "-md", "sha256", "-signer", name+".crt",
				"-inkey", name+".pem", "-in", "tbs/"+scheme+".tbs", "-outform", "DER", "-out", cmsFile)
			w.openssl("dgst", "-sha384", "-sign", name+".pem", "-out", rawFile, "tbs/"+scheme+".tbs")
			attach, raw = append(attach, "-signature", cmsFile), append(raw, "-signature", rawFile)
		}
		common := []string{"attach", "-cert", name + ".crt", "-manifest", "tbs/manifest.json", "-in", "in.bpfl"}
		w.run(w.signtool, append(append(common, attach...), "-out", name+".bpfl")...)
		w.run(w.signtool, append(append(common, raw...), "-raw", "sha384", "-out", name+"-raw.bpfl")...)
		cases = append(cases,
			w.good("ceremony with openssl: "+c.name, name+".bpfl", name+".crt"),
			w.good("ceremony with openssl: "+c.name+", raw", name+"-raw.bpfl", name+".crt"))
	}
	return cases
}

// refused are bundles that neither the kernel nor signtool verify takes.
func (w *workshop) refused() []testCase {
	w.keygen("mallory", "rsa-2048")
	w.keygen("trusted", "rsa-2048")
	w.sign("mallory", "sha256", "in.bpfl", "mallory.bpfl")
	w.sign("trusted", "sha256", "in.bpfl", "trusted.bpfl")
	trusted, err := certs.Load(filepath.Join(w.dir, "trusted.der"))
	qt.Assert(w.t, qt.IsNil(err))
	each := func(change func(b *bundle.Bundle, l *bundle.Loader)) func(b *bundle.Bundle) {
		return func(b *bundle.Bundle) {
			for i := range b.Loaders {
				change(b, &b.Loaders[i])
			}
		}
	}
	var cases []testCase
	for _, c := range []struct {
		name, in, want string
		change         func(b *bundle.Bundle)
	}{
		{"by an unknown key", "mallory.bpfl", "ErrKeyNotInKeyring", func(*bundle.Bundle) {}},
		{"not signed", "in.bpfl", "ErrUnsigned", func(*bundle.Bundle) {}},
		{"damaged", "trusted.bpfl", "ErrSignatureRejected", each(func(_ *bundle.Bundle, l *bundle.Loader) {
			der := l.Signatures[0].CMS
			der[len(der)-1] ^= 1
		})},
		{"another key under the trusted key's id", "mallory.bpfl", "ErrSignatureRejected", each(func(b *bundle.Bundle, l *bundle.Loader) {
			sd, err := cms.Parse(l.Signatures[0].CMS)
			qt.Assert(w.t, qt.IsNil(err))
			der, err := cms.Assemble(trusted, sd.Hash, sd.Signature)
			qt.Assert(w.t, qt.IsNil(err))
			l.Signatures[0] = bundle.Signature{KeyID: trusted.SubjectKeyId, Kind: bundle.KindProduction, CMS: der}
		})},
		{"signatures of the two schemes exchanged", "trusted.bpfl", "ErrSignatureRejected", func(b *bundle.Bundle) {
			b.Loaders[0].Signatures, b.Loaders[1].Signatures = b.Loaders[1].Signatures, b.Loaders[0].Signatures
		}},
		{"instruction changed", "trusted.bpfl", "ErrSignatureRejected", each(func(_ *bundle.Bundle, l *bundle.Loader) {
			l.Insns[len(l.Insns)-4] ^= 1
		})},
	} {
		file := "refused-" + strconv.Itoa(len(cases)) + ".bpfl"
		w.change(c.in, file, c.change)
		cmd := exec.Command(w.signtool, "verify", "-cert", "trusted.der", file)
		cmd.Dir = w.dir
		out, err := cmd.CombinedOutput()
		var status *exec.ExitError
		qt.Assert(w.t, qt.ErrorAs(err, &status), qt.Commentf("%s: signtool verify takes it: %s", c.name, out))
		qt.Assert(w.t, qt.Equals(status.ExitCode(), 1))
		cases = append(cases, w.bad("refused: "+c.name, file, "trusted.der", c.want))
	}
	return cases
}

// cases makes all bundles.
func (w *workshop) cases() []testCase {
	w.t.Helper()
	list := w.files()
	list = append(list, w.rotation()...)
	list = append(list, w.ceremony()...)
	return append(list, w.refused()...)
}

func TestSignedLoads(t *testing.T) {
	kernels := signingKernels(t)
	w := newWorkshop(t)
	w.load(kernels, w.cases())
}

// load has each kernel load the cases, or refuse them, as they say.
func (w *workshop) load(kernels []vm.Kernel, cases []testCase) {
	data, err := json.Marshal(cases)
	qt.Assert(w.t, qt.IsNil(err))
	for _, k := range kernels {
		w.t.Run(k.Name, func(t *testing.T) {
			result, err := vm.Run(t.Context(), vm.Config{
				Kernel: k.Image,
				Arch:   k.Arch(),
				Init:   w.guestBin,
				Args:   []string{"-test.timeout=3m"},
				Files:  map[string][]byte{guest.DataDir + "/cases.json": data},
			})
			if result == nil {
				t.Fatal(err)
			}
			if _, err := result.SaveConsole("console-" + k.Name + ".log"); err != nil {
				t.Error(err)
			}
			result.Replay(t, err)
			qt.Assert(t, qt.HasLen(result.Cases, 1+len(cases)))
		})
	}
}

// signingKernels returns the kernels that can attest, newest last: one a scheme would do, but each has its own ways.
func signingKernels(t *testing.T) []vm.Kernel {
	t.Helper()
	if release := os.Getenv(envKernel); release != "" {
		k, err := vm.LoadKernel(filepath.Dir(runfile(release)))
		if err != nil {
			vm.Missing(t, "%v: run tests/kernel/fetch-kernels", err)
		}
		vm.NeedQEMU(t, k.Arch())
		return []vm.Kernel{k}
	}
	vm.NeedQEMU(t, "amd64")
	all, err := vm.Kernels()
	qt.Assert(t, qt.IsNil(err))
	var list []vm.Kernel
	for _, k := range all {
		if k.Arch() == "amd64" && (k.Name == "7.2" || k.Name == "7.3") {
			list = append(list, k)
		}
	}
	if len(list) == 0 {
		vm.Missing(t, "no kernels: run tests/kernel/fetch-kernels")
	}
	return list
}
