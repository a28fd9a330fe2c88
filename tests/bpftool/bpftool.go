// Package bpftool runs bpftool where it is installed and reads the light skeletons that it generates: the loaders that
// ours are compared with in tests.
package bpftool

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Skeleton is what a light skeleton (a C header) holds of a loader.
type Skeleton struct {
	Insns, Blob []byte
	// Signature is the loader's signature, if it was generated with one.
	Signature []byte
	// Maps and Programs are the names that the skeleton gives them, in the order of the context.
	Maps, Programs []string
	// CtxSize is the size of the context, in bytes.
	CtxSize int
}

// Sizes of the context's parts: struct bpf_loader_ctx, bpf_map_desc and bpf_prog_desc.
const (
	ctxHeader = 24
	mapDesc   = 16
	progDesc  = 4
)

var descRE = regexp.MustCompile(`(?m)^\t\tstruct bpf_(map|prog)_desc (\w+);$`)

// Parse reads a light skeleton.
func Parse(header []byte) (*Skeleton, error) {
	s := &Skeleton{}
	structs, _, _ := bytes.Cut(header, []byte("\n};\n"))
	for _, m := range descRE.FindAllSubmatch(structs, -1) {
		if string(m[1]) == "map" {
			s.Maps = append(s.Maps, string(m[2]))
		} else {
			s.Programs = append(s.Programs, string(m[2]))
		}
	}
	s.CtxSize = ctxHeader + mapDesc*len(s.Maps) + progDesc*len(s.Programs)
	for name, to := range map[string]*[]byte{"opts_data": &s.Blob, "opts_insn": &s.Insns, "opts_sig": &s.Signature} {
		_, lit, found := bytes.Cut(header, []byte("static const char "+name+"[]"))
		if !found {
			continue
		}
		_, lit, _ = bytes.Cut(lit, []byte{'"'})
		lit, _, _ = bytes.Cut(lit, []byte{'"'})
		var err error
		if *to, err = unquote(lit); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(s.Insns) == 0 || len(s.Blob) == 0 {
		return nil, errors.New("no light skeleton: a loader's instructions or data are missing")
	}
	return s, nil
}

// unquote reads a C string literal of \0 and \xNN.
func unquote(lit []byte) ([]byte, error) {
	var out []byte
	for _, part := range strings.Split(string(lit), `\`) {
		switch part = strings.TrimSuffix(part, "\n"); {
		case part == "":
		case part == "0":
			out = append(out, 0)
		case part[0] == 'x':
			b, err := strconv.ParseUint(part[1:], 16, 8)
			if err != nil {
				return nil, err
			}
			out = append(out, byte(b))
		default:
			return nil, fmt.Errorf("unknown escape %q", part)
		}
	}
	return out, nil
}

// Tool is a bpftool.
type Tool struct {
	Path string
	// key and cert are files, made on the first use.
	key, cert string
}

// ErrRefused says that bpftool cannot make a loader of an object.
var ErrRefused = errors.New("bpftool refuses")

// Generate makes a loader of an object file, one for a signature if signed is set. The temporary files go to dir.
func (t *Tool) Generate(object, dir string, signed bool) (*Skeleton, error) {
	args := []string{"gen", "skeleton", "-L"}
	if signed {
		if err := t.makeKey(dir); err != nil {
			return nil, err
		}
		args = append(args, "-S", "-k", t.key, "-i", t.cert)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(t.Path, append(args, object, "name", name(object))...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w %s: %w: %s", ErrRefused, object, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return Parse(stdout.Bytes())
}

// name is what libbpf calls an object: the file's name without folders and extension, as an identifier.
func name(object string) string {
	base, _, _ := strings.Cut(filepath.Base(object), ".")
	return strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, base)
}

// makeKey makes a key and a certificate as bpftool wants them.
func (t *Tool) makeKey(dir string) error {
	if t.key != "" {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, SubjectKeyId: []byte("test key"),
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	keyFile, certFile := filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	err = errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	if err != nil {
		return err
	}
	t.key, t.cert = keyFile, certFile
	return nil
}
