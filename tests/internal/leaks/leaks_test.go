package leaks

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"
)

func TestSearcher(t *testing.T) {
	s := newSearcher(map[string][]byte{"one": []byte("12345678901234567890"), "two": []byte("12345678abc")})
	qt.Check(t, qt.HasLen(s.in([]byte("1234567812345678ab")), 0))
	qt.Check(t, qt.DeepEquals(s.in([]byte("12345678abc 12345678901234567890")), []string{"two", "one"}))
	qt.Check(t, qt.HasLen(s.in(nil), 0))
}

// A key is found in each form that it may take, packed as well, and not where it is meant to be.
func TestFind(t *testing.T) {
	pem, err := os.ReadFile("../../../signing/development_key.pem")
	qt.Assert(t, qt.IsNil(err))
	secrets, err := Secrets(pem)
	qt.Assert(t, qt.IsNil(err))
	dir := t.TempDir()
	write := func(name string, data []byte) {
		qt.Assert(t, qt.IsNil(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)))
		qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(dir, name), data, 0o644)))
	}
	write("key.pem", pem)
	write("harmless", []byte("nothing to see"))
	for what, secret := range secrets {
		write("a/"+what[:8], append([]byte("before "), secret...))
		found, files, err := Find(dir, map[string][]byte{what: secret}, "key.pem")
		qt.Assert(t, qt.IsNil(err))
		qt.Check(t, qt.Equals(files, 2))
		qt.Check(t, qt.DeepEquals(found, []Found{{"a/" + what[:8], what}}))
		qt.Assert(t, qt.IsNil(os.RemoveAll(filepath.Join(dir, "a"))))
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(pem)
	qt.Assert(t, qt.IsNil(w.Close()))
	write("packed.gz", packed.Bytes())
	found, _, err := Find(dir, secrets, "key.pem")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.Not(qt.HasLen(found, 0)))
	found, _, err = Find(dir, secrets, "key.pem", "packed.gz")
	qt.Assert(t, qt.IsNil(err))
	qt.Check(t, qt.HasLen(found, 0))
}

func TestActions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.json")
	log := `{"mnemonic": "BpfSign", "targetLabel": "//:loader", "inputs": [{"path": "key.pem"}], "remotable": false}
{"mnemonic": "BpfCompile", "cacheHit": true, "remoteCacheable": true}`
	qt.Assert(t, qt.IsNil(os.WriteFile(path, []byte(log), 0o644)))
	list, err := Actions(path)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.HasLen(list, 2))
	qt.Check(t, qt.Equals(list[0].Inputs[0].Path, "key.pem"))
	qt.Check(t, qt.IsTrue(list[1].CacheHit && list[1].RemoteCacheable && !list[0].Remotable))
	_, err = Actions(filepath.Join(t.TempDir(), "none"))
	qt.Check(t, qt.ErrorIs(err, os.ErrNotExist))
}
