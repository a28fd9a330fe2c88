package cms

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

// Whatever Parse takes is within its limits, and is the one form: assembled again with its own values it parses to the
// same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.der")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds in testdata", err)
	}
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
		f.Add(der[:len(der)/2])
	}
	certs := map[Algorithm]*x509.Certificate{RSA: loadKey(f, "rsa").cert, ECDSA: loadKey(f, "ecdsa").cert}
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := Parse(der)
		if err != nil {
			qt.Assert(t, qt.IsNil(s))
			qt.Assert(t, qt.ErrorIs(err, ErrMalformed))
			return
		}
		qt.Assert(t, qt.IsTrue(len(der) <= MaxSize && len(s.KeyID) > 0 && len(s.KeyID) <= MaxKeyID))
		qt.Assert(t, qt.IsNil(CheckHash(s.Hash)))
		cert := *certs[s.Algorithm]
		cert.SubjectKeyId = s.KeyID
		again, err := Assemble(&cert, s.Hash, s.Signature)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.IsTrue(len(again) <= len(der)), qt.Commentf("parameters may only be left out"))
		s2, err := Parse(again)
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.DeepEquals(s2, s))
		qt.Assert(t, qt.IsNotNil(s.Verify(&cert, der)))
	})
}
