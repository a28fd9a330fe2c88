//go:build linux

package kernel_test

import (
	"crypto"
	_ "crypto/sha256" // of the signatures
	"os"
	"path/filepath"
	"testing"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/certs"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/signing"
)

// kconfig are values for the object that asks for some. What they are does not matter: they are declared, not looked up.
var kconfig = map[string]string{
	"LINUX_KERNEL_VERSION": "0x70304", "CONFIG_HZ": "250", "CONFIG_BPF_SYSCALL": "y", "CONFIG_TUN": "m",
	"CONFIG_DEFAULT_HOSTNAME": `"(none)"`,
}

// signingDir has the development key and its certificate, which are everybody's.
var signingDir = filepath.Join("..", "..", "signing")

// bundles compiles the objects of //tests/features, of a byte order, and signs them with the development key. The guest
// finds them in /data/features, beside the objects, and the key and its certificate as /data/key.pem and /data/cert.der: it
// signs too.
func bundles(t *testing.T, bigEndian bool) map[string][]byte {
	t.Helper()
	dir := filepath.Join("..", "..", "internal", "object", "testdata")
	if bigEndian {
		dir = filepath.Join(dir, "eb")
	}
	objects, err := filepath.Glob(filepath.Join(dir, "*.bpf.o"))
	if err != nil || len(objects) == 0 {
		t.Fatal("no objects: ", err)
	}
	id := developer(t)
	key, err := os.ReadFile(filepath.Join(signingDir, "development_key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"cert.der": id.Certificate.Raw, "key.pem": key}
	for _, file := range objects {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o, err := object.Parse(file, raw, object.Options{Kconfig: kconfig})
		if err != nil {
			t.Fatal(err)
		}
		b, err := loader.Compile(o, loader.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Sign(b, bundle.KindDevelopment); err != nil {
			t.Fatal(err)
		}
		data, err := bundle.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		files["features/"+o.Name+".bpfl"] = data
		files["features/"+o.Name+".bpf.o"] = raw
	}
	return files
}

// developer is the holder of the development key.
func developer(t *testing.T) *signing.Identity {
	t.Helper()
	key, err := signing.LoadKey(filepath.Join(signingDir, "development_key.pem"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certs.Load(filepath.Join(signingDir, "development_cert.der"))
	if err != nil {
		t.Fatal(err)
	}
	return &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}
}
