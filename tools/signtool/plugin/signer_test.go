package plugin

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/cms"
)

// modeVariable makes the test's own program a signer, which behaves as its value says.
const modeVariable = "RULES_BPF_TEST_SIGNER"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(modeVariable); mode {
	case "":
	case "sleeper":
		os.Exit(sleeperMain())
	case "caller":
		os.Exit(callerMain())
	default:
		os.Exit(signerMain(mode))
	}
	os.Exit(m.Run())
}

// signerMain is the signer program. Its key is the one that -signer-key names, in hexadecimal PKCS#8.
func signerMain(mode string) int {
	answer := func(resp Response) int {
		if json.NewEncoder(os.Stdout).Encode(resp) != nil {
			return 3
		}
		return 0
	}
	var req Request
	dec := json.NewDecoder(os.Stdin)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	if req.Version != 1 || req.Operation != "sign" || len(req.KeyID) == 0 || len(req.Certificate) == 0 {
		return answer(Response{Version: 1, Error: fmt.Sprintf("strange request %+v", req)})
	}
	der, err := hex.DecodeString(req.Key)
	if err != nil {
		return 3
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return 3
	}
	key, hash := parsed.(crypto.Signer), map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384}[req.Hash]
	raw, err := key.Sign(rand.Reader, req.Digest, hash)
	if err != nil {
		return 3
	}
	switch mode {
	case "good":
		return answer(Response{Version: 1, Signature: raw})
	case "p1363":
		var v struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(raw, &v); err != nil {
			return 3
		}
		raw = make([]byte, 96)
		v.R.FillBytes(raw[:48])
		v.S.FillBytes(raw[48:])
		return answer(Response{Version: 1, Signature: raw, Encoding: EncodingP1363})
	case "odd":
		return answer(Response{Version: 1, Signature: raw[:1], Encoding: EncodingP1363})
	case "pss":
		raw, err := rsa.SignPSS(rand.Reader, parsed.(*rsa.PrivateKey), hash, req.Digest, nil)
		if err != nil {
			return 3
		}
		return answer(Response{Version: 1, Signature: raw})
	case "hashes again":
		sum := sha256.Sum256(req.Digest)
		raw, err := key.Sign(rand.Reader, sum[:], hash)
		if err != nil {
			return 3
		}
		return answer(Response{Version: 1, Signature: raw})
	case "error":
		return answer(Response{Version: 1, Error: "token not present\n"})
	case "error and status":
		answer(Response{Version: 1, Error: "wrong PIN"})
		return 5
	case "version 2":
		return answer(Response{Version: 2, Signature: raw})
	case "empty":
		return answer(Response{Version: 1})
	case "encoding":
		return answer(Response{Version: 1, Signature: raw, Encoding: "base85"})
	case "unknown field":
		fmt.Println(`{"version": 1, "sig": "AAAA"}`)
	case "two answers":
		answer(Response{Version: 1, Signature: raw})
		return answer(Response{Version: 1, Signature: raw})
	case "garbage":
		fmt.Println("Signing with token 0 ...")
	case "nothing":
	case "status":
		return 7
	case "flood":
		for range 100 {
			os.Stdout.Write(bytes.Repeat([]byte(" "), 1024))
		}
	case "hangs":
		time.Sleep(time.Minute)
	case "leaves a child":
		if startSleeper(nil) != nil {
			return 3
		}
		return answer(Response{Version: 1, Signature: raw})
	case "leaves a daemon":
		if startSleeper(&syscall.SysProcAttr{Setsid: true}) != nil {
			return 3
		}
		return answer(Response{Version: 1, Signature: raw})
	case "hangs with a child":
		if startSleeper(nil) != nil {
			return 3
		}
		time.Sleep(time.Minute)
	case "escapes":
		return answer(Response{Version: 1, Error: "no\x1b[2J\nsigntool: all is well \u202e" + strings.Repeat("x", 5000)})
	case "asks":
		return answer(Response{Version: 1, Error: "the PIN is " + ask()})
	default:
		return 3
	}
	return 0
}

// pair returns a key and its certificate.
func pair(t *testing.T, key crypto.Signer) (name string, cert *x509.Certificate) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), SubjectKeyId: []byte{1, 2, 3}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	qt.Assert(t, qt.IsNil(err))
	cert, err = x509.ParseCertificate(der)
	qt.Assert(t, qt.IsNil(err))
	private, err := x509.MarshalPKCS8PrivateKey(key)
	qt.Assert(t, qt.IsNil(err))
	return hex.EncodeToString(private), cert
}

func TestSigner(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	qt.Assert(t, qt.IsNil(err))
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	qt.Assert(t, qt.IsNil(err))
	self, err := os.Executable()
	qt.Assert(t, qt.IsNil(err))
	for _, c := range []struct {
		mode string
		key  crypto.Signer
		want string // in the error, empty if it signs
	}{
		{"good", rsaKey, ""},
		{"good", ecKey, ""},
		{"p1363", ecKey, ""},
		{"odd", ecKey, "r and s"},
		{"odd", rsaKey, "encoding"},
		{"pss", rsaKey, "RSA-PSS"},
		{"hashes again", rsaKey, "of other bytes"},
		{"hashes again", ecKey, "does not hold"},
		{"error", rsaKey, "token not present"},
		{"error and status", rsaKey, "wrong PIN (exit status 5)"},
		{"version 2", rsaKey, "version 2"},
		{"empty", rsaKey, "without a signature"},
		{"encoding", ecKey, "encoding \"base85\""},
		{"unknown field", rsaKey, "unknown field"},
		{"two answers", rsaKey, "after its end"},
		{"garbage", rsaKey, "malformed answer"},
		{"nothing", rsaKey, "answered nothing"},
		{"status", rsaKey, "exit status 7"},
		{"flood", rsaKey, "more than"},
		{"hangs", rsaKey, "no answer within"},
		{"escapes", rsaKey, `no\\x1b\[2J\\nsigntool: all is well \\u202ex{900,1000}\.\.\.$`},
	} {
		t.Run(fmt.Sprintf("%s/%T", c.mode, c.key), func(t *testing.T) {
			t.Setenv(modeVariable, c.mode)
			name, cert := pair(t, c.key)
			s := &Signer{Command: []string{self}, Key: name, PublicKey: cert.PublicKey, Certificate: cert, Stderr: io.Discard}
			if strings.HasPrefix(c.mode, "hangs") {
				s.Timeout = 100 * time.Millisecond
			}
			digest := sha256.Sum256([]byte("message"))
			der, err := cms.Sign(s, cert, crypto.SHA256, digest[:])
			if c.want == "" {
				qt.Assert(t, qt.IsNil(err))
				sd, err := cms.Parse(der)
				qt.Assert(t, qt.IsNil(err))
				qt.Assert(t, qt.IsNil(sd.Verify(cert, []byte("message"))))
				return
			}
			qt.Assert(t, qt.ErrorMatches(err, "(?s).*"+strings.NewReplacer("(", `\(`, ")", `\)`).Replace(c.want)+".*"))
		})
	}
}

func TestSignerMissing(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	qt.Assert(t, qt.IsNil(err))
	_, cert := pair(t, key)
	s := &Signer{Command: []string{"./no-such-signer"}, PublicKey: cert.PublicKey, Certificate: cert}
	_, err = s.Sign(nil, make([]byte, 32), crypto.SHA256)
	qt.Assert(t, qt.ErrorIs(err, ErrSigner))
	qt.Assert(t, qt.ErrorIs(err, os.ErrNotExist))
	_, err = s.Sign(nil, make([]byte, 20), crypto.SHA1)
	qt.Assert(t, qt.ErrorIs(err, cms.ErrUnsupportedHash))
}
