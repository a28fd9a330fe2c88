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

// bundles compiles the objects of //tests/features, of a byte order, and signs them with the development key. The guest
// finds them in /data/features, beside the objects, and the certificate as /data/cert.der.
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
	files := map[string][]byte{"cert.der": id.Certificate.Raw}
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
	dir := filepath.Join("..", "..", "signing")
	key, err := signing.LoadKey(filepath.Join(dir, "development_key.pem"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certs.Load(filepath.Join(dir, "development_cert.der"))
	if err != nil {
		t.Fatal(err)
	}
	return &signing.Identity{Signer: key, Certificate: cert, Hash: crypto.SHA256}
}
