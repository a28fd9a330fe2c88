package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/signing"
	"github.com/rules-bpf/rules_bpf/tools/internal/cli"
)

// ceremony is a tool whose folder has the bundle in.bpfl and, under tbs, its bytes to sign.
func ceremony(t *testing.T) (s *tool, in, tbs string) {
	s = newTool(t)
	in, tbs = s.bundle("in.bpfl", small()), s.path("tbs")
	s.ok("tbs", "-in", in, "-out", tbs)
	return s, in, tbs
}

// The bytes are those of the kernel's two schemes, and the manifest is as documented.
func TestTBS(t *testing.T) {
	s, _, tbs := ceremony(t)
	b := small()
	insns, err := os.ReadFile(filepath.Join(tbs, "map-hash.tbs"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(insns, b.Loaders[0].Insns))
	payload, err := os.ReadFile(filepath.Join(tbs, "payload.tbs"))
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.DeepEquals(payload, append(bytes.Clone(b.Loaders[1].Insns), b.Blob...)))

	got, err := os.ReadFile(filepath.Join(tbs, "manifest.json"))
	qt.Assert(t, qt.IsNil(err))
	golden := filepath.Join("testdata", "manifest.json")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		qt.Assert(t, qt.IsNil(os.WriteFile(golden, got, 0o644)))
	}
	want, err := os.ReadFile(golden)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Equals(string(got), string(want)))
	s.ok("tbs", "-in", s.path("in.bpfl"), "-out", tbs) // again is no error
}

// A ceremony ends in the same file as signing at once.
func TestCeremony(t *testing.T) {
	for _, c := range [][2]string{{rsaKey, rsaCert}, {ecdsaKey, ecdsaCert}} {
		s, in, tbs := ceremony(t)
		sigs, manifest := s.path("sigs"), filepath.Join(tbs, "manifest.json")
		s.ok("sign-tbs", "-key", c[0], "-cert", c[1], "-in", tbs, "-out", sigs)
		qt.Assert(t, qt.Equals(s.stdout.String(), filepath.Join(sigs, "map-hash.p7s")+"\n"+filepath.Join(sigs, "payload.p7s")+"\n"))

		s.ok("attach", "-cert", c[1], "-kind", "production", "-signature", filepath.Join(sigs, "payload.p7s"),
			"-signature", "map-hash="+filepath.Join(sigs, "map-hash.p7s"), "-manifest", manifest, "-in", in, "-out", s.path("attached"))
		s.ok("sign", "-key", c[0], "-cert", c[1], "-kind", "production", "-in", in, "-out", s.path("signed"))
		attached, err := os.ReadFile(s.path("attached"))
		qt.Assert(t, qt.IsNil(err))
		direct, err := os.ReadFile(s.path("signed"))
		qt.Assert(t, qt.IsNil(err))
		qt.Assert(t, qt.DeepEquals(attached, direct))
	}
}

// The documented ceremony with openssl alone: CMS, and raw values as hardware modules give them.
func TestCeremonyWithOpenSSL(t *testing.T) {
	for _, c := range []struct{ name, key, cert string }{{"RSA", rsaKey, rsaCert}, {"ECDSA", ecdsaKey, ecdsaCert}} {
		t.Run(c.name, func(t *testing.T) {
			s, in, _ := ceremony(t)
			key, err := os.ReadFile(c.key)
			qt.Assert(t, qt.IsNil(err))
			s.write("key.pem", key)
			cert, err := os.ReadFile(c.cert)
			qt.Assert(t, qt.IsNil(err))
			s.write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
			for _, scheme := range []string{"map-hash", "payload"} {
				s.openssl("cms", "-sign", "-binary", "-noattr", "-nocerts", "-keyid", "-md", "sha256", "-signer", "cert.pem",
					"-inkey", "key.pem", "-in", filepath.Join("tbs", scheme+".tbs"), "-outform", "DER", "-out", scheme+".p7s")
				s.openssl("dgst", "-sha384", "-sign", "key.pem", "-out", scheme+".raw", filepath.Join("tbs", scheme+".tbs"))
			}
			out := s.path("out.bpfl")
			s.ok("attach", "-cert", s.path("cert.pem"), "-signature", s.path("map-hash.p7s"), "-signature", s.path("payload.p7s"),
				"-in", in, "-out", out)
			s.ok("verify", "-cert", c.cert, out)

			raw := s.path("raw.bpfl")
			s.ok("attach", "-cert", c.cert, "-raw", "sha384", "-signature", s.path("map-hash.raw"), "-signature", s.path("payload.raw"),
				"-in", in, "-out", raw)
			s.ok("verify", "-cert", c.cert, raw)
		})
	}
}

// Each input that changes after the ceremony is named, with RSA and with ECDSA, which does not show what was signed.
func TestAttachSaysWhatChanged(t *testing.T) {
	for _, key := range [][2]string{{rsaKey, rsaCert}, {ecdsaKey, ecdsaCert}} {
		s, _, tbs := ceremony(t)
		s.ok("sign-tbs", "-key", key[0], "-cert", key[1], "-in", tbs, "-out", tbs)
		for _, c := range []struct {
			name   string
			change func(b *bundle.Bundle)
			want   []string
		}{
			{"object and instructions", func(b *bundle.Bundle) {
				b.Object.SHA256[0] ^= 1
				b.Loaders[0].Insns[9] ^= 1
			}, []string{"the object file small.bpf.o (", "the instructions of the map-hash loader (", "the contract ("}},
			{"contract", func(b *bundle.Bundle) {
				b.Maps[0].Pinning = 1
				b.Loaders[0].Insns[9] ^= 1
			}, []string{"the contract ("}},
			{"instructions of payload", func(b *bundle.Bundle) { b.Loaders[1].Insns[9] ^= 1 }, []string{"the instructions of the payload loader ("}},
			{"blob", func(b *bundle.Bundle) { b.Blob[bundle.ContractSize] ^= 1 }, []string{"the metadata blob ("}},
		} {
			t.Run(c.name, func(t *testing.T) {
				s.t = t
				b := small()
				c.change(b)
				qt.Assert(t, qt.IsNil(b.Seal()))
				args := []string{"attach", "-cert", key[1], "-in", s.bundle("changed.bpfl", b), "-out", s.path("out.bpfl"),
					"-signature", filepath.Join(tbs, "map-hash.p7s"), "-signature", filepath.Join(tbs, "payload.p7s")}
				s.fails(cli.ExitFailed, []string{"-signature", ".p7s", "-manifest"}, args...)
				s.fails(cli.ExitFailed, append(c.want, "-signature", ".p7s", "since then"), append(args, "-manifest", filepath.Join(tbs, "manifest.json"))...)
				qt.Assert(t, qt.DeepEquals(s.files(), []string{"changed.bpfl", "in.bpfl", "tbs"}))
			})
		}
	}
}

func TestAttachRefuses(t *testing.T) {
	s, in, tbs := ceremony(t)
	s.ok("sign-tbs", "-key", rsaKey, "-cert", rsaCert, "-in", tbs, "-out", tbs)
	mapHash, payload := filepath.Join(tbs, "map-hash.p7s"), filepath.Join(tbs, "payload.p7s")
	good, err := os.ReadFile(mapHash)
	qt.Assert(t, qt.IsNil(err))
	digest := sha256.Sum256([]byte("something else"))
	other, err := loadTestKey(t).Sign(rand.Reader, digest[:], crypto.SHA256)
	qt.Assert(t, qt.IsNil(err))
	manifest := filepath.Join(tbs, "manifest.json")
	for _, c := range []struct {
		name string
		cert string
		args []string
		want []string
	}{
		{"one scheme missing", rsaCert, []string{"-signature", mapHash}, []string{"no signature for the payload loader"}},
		{"wrong certificate", ecdsaCert, []string{"-signature", mapHash, "-signature", payload}, []string{mapHash, "by another key"}},
		{"twice the same", rsaCert, []string{"-signature", mapHash, "-signature", mapHash}, []string{"second signature"}},
		{"schemes swapped", rsaCert, []string{"-signature", "payload=" + mapHash, "-signature", "map-hash=" + payload}, []string{"made for another scheme: map-hash"}},
		{"truncated", rsaCert, []string{"-signature", s.write("short", good[:100]), "-signature", payload}, []string{"short", "truncated"}},
		{"PEM", rsaCert, []string{"-signature", s.write("pem", []byte("-----BEGIN CMS-----\n")), "-signature", payload}, []string{"pem", "-outform DER"}},
		{"CMS as raw", rsaCert, []string{"-raw", "sha256", "-signature", mapHash, "-signature", payload}, []string{"375 bytes"}},
		{"of quite other bytes", rsaCert, []string{"-raw", "sha256", "-signature", s.write("raw", other), "-manifest", manifest}, []string{"not of the manifest's bytes either"}},
		{"missing file", rsaCert, []string{"-signature", "missing.p7s"}, []string{"-signature", "missing.p7s"}},
		{"no manifest", rsaCert, []string{"-signature", mapHash, "-manifest", in}, []string{"-manifest", in}},
		{"certificate expired", rsaCert, []string{"-signature", mapHash, "-at", "2200-01-01T00:00:00Z"}, []string{"-cert", "expired"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.fails(cli.ExitFailed, c.want, append([]string{"attach", "-cert", c.cert, "-in", in, "-out", s.path("out.bpfl")}, c.args...)...)
			_, err := os.Stat(s.path("out.bpfl"))
			qt.Assert(t, qt.ErrorIs(err, os.ErrNotExist))
		})
	}
	s.t = t
	s.ok("attach", "-cert", rsaCert, "-signature", mapHash, "-partial", "-in", in, "-out", s.path("partial"))
	s.ok("attach", "-cert", rsaCert, "-signature", payload, "-in", s.path("partial"), "-out", s.path("whole"))
	s.ok("verify", "-cert", rsaCert, s.path("whole"))
}

// The air-gapped machine notices a folder that was damaged or changed on its way.
func TestSignTBSRefuses(t *testing.T) {
	edit := func(change func(m *signing.Manifest)) func(t *testing.T, tbs string) {
		return func(t *testing.T, tbs string) {
			path := filepath.Join(tbs, "manifest.json")
			m, err := signing.ReadManifest(path)
			qt.Assert(t, qt.IsNil(err))
			change(m)
			data, err := json.Marshal(m)
			qt.Assert(t, qt.IsNil(err))
			qt.Assert(t, qt.IsNil(os.WriteFile(path, data, 0o644)))
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, tbs string)
		want   string
	}{
		{"byte", func(t *testing.T, tbs string) {
			qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(tbs, "payload.tbs"), make([]byte, 65), 0o644)))
		}, "payload.tbs: it is not what"},
		{"missing file", func(t *testing.T, tbs string) {
			qt.Assert(t, qt.IsNil(os.Remove(filepath.Join(tbs, "map-hash.tbs"))))
		}, "map-hash.tbs"},
		{"digest left out", edit(func(m *signing.Manifest) { delete(m.Loaders[0].Digests, "sha384") }), "map-hash.tbs: it is not what"},
		{"path in the manifest", edit(func(m *signing.Manifest) { m.Loaders[0].File = "../in.bpfl" }), "../in.bpfl"},
		{"unknown scheme", edit(func(m *signing.Manifest) { m.Loaders[0].Scheme = "rot13" }), "rot13"},
		{"twice the same scheme", edit(func(m *signing.Manifest) { m.Loaders[1] = m.Loaders[0] }), "two loaders"},
		{"no loader", edit(func(m *signing.Manifest) { m.Loaders = nil }), "no loader"},
		{"later version", edit(func(m *signing.Manifest) { m.Version = 3 }), "version"},
		{"no manifest", func(t *testing.T, tbs string) {
			qt.Assert(t, qt.IsNil(os.WriteFile(filepath.Join(tbs, "manifest.json"), []byte(`{"bytes": 1}`), 0o644)))
		}, "manifest.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _, tbs := ceremony(t)
			c.change(t, tbs)
			s.fails(cli.ExitFailed, []string{c.want}, "sign-tbs", "-key", rsaKey, "-cert", rsaCert, "-in", tbs, "-out", s.path("sigs"))
			_, err := os.Stat(s.path("sigs"))
			qt.Assert(t, qt.ErrorIs(err, os.ErrNotExist))
		})
	}
}
