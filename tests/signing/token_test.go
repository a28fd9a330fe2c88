//go:build linux

package signing_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/vm"
)

// Bazel does not run this: the signer is a Go module of its own, which needs the go command and a C compiler. tools/test
// runs it with go test, where SoftHSM is.

// Keys that are generated in a token, and never leave it, sign what kernels then load.
func TestSoftHSM(t *testing.T) {
	for _, program := range []string{"softhsm2-util", "pkcs11-tool", "cc"} {
		if _, err := exec.LookPath(program); err != nil {
			vm.Missing(t, "%s is not installed: apt-get install softhsm2 opensc gcc libc6-dev", program)
		}
	}
	kernels := signingKernels(t)
	w := newWorkshop(t)
	w.load(kernels, w.softHSM())
}

func (w *workshop) softHSM() []testCase {
	const module = "/usr/lib/softhsm/libsofthsm2.so"
	signer := filepath.Join(w.dir, "pkcs11")
	cmd := exec.Command("go", "build", "-o", signer, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	cmd.Dir = "../../signers/pkcs11"
	out, err := cmd.CombinedOutput()
	qt.Assert(w.t, qt.IsNil(err), qt.Commentf("%s", out))

	conf := filepath.Join(w.dir, "softhsm2.conf")
	tokens := filepath.Join(w.dir, "tokens")
	qt.Assert(w.t, qt.IsNil(os.Mkdir(tokens, 0o700)))
	w.write("softhsm2.conf", []byte("directories.tokendir = "+tokens+"\n"))
	for name, value := range map[string]string{"SOFTHSM2_CONF": conf, "PKCS11_MODULE": module, "PKCS11_PIN": "1234"} {
		w.t.Setenv(name, value)
	}
	w.run("softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", "1234", "--so-pin", "5678")
	var cases []testCase
	for _, c := range []struct{ name, keyType string }{{"rsa", "rsa:2048"}, {"ecdsa", "EC:prime256v1"}} {
		w.run("pkcs11-tool", "--module", module, "--token-label", "release", "--login", "--pin", "1234", "--keypairgen",
			"--key-type", c.keyType, "--label", c.name, "--usage-sign")
		key := "pkcs11:token=release;object=" + c.name
		public := exec.Command(signer, "public", key)
		pem, err := public.Output()
		qt.Assert(w.t, qt.IsNil(err))
		name := "softhsm-" + c.name
		w.write(name+".pub", pem)
		by := []string{"-signer", signer, "-signer-key", key}
		w.run(w.signtool, append([]string{"certify", "-public", name + ".pub", "-cert", name + ".der", "-cn", name}, by...)...)
		w.run(w.signtool, append([]string{"sign", "-kind", "test", "-cert", name + ".der", "-in", "in.bpfl", "-out", name + ".bpfl"}, by...)...)
		cases = append(cases, w.good("key in SoftHSM: "+c.name, name+".bpfl", name+".der"))
	}
	return cases
}
