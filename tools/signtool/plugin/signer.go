package plugin

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/rules-bpf/rules_bpf/bundle/printable"
	"github.com/rules-bpf/rules_bpf/internal/cms"
	"github.com/rules-bpf/rules_bpf/internal/file"
)

// ErrSigner is in the chain of every error of a signer program.
var ErrSigner = errors.New("signer")

// maxResponse is the longest answer that is read, in bytes.
const maxResponse = 64 << 10

// Signer is a crypto.Signer whose signatures a program makes. Sign does not verify them: cms.Sign does.
type Signer struct {
	// Command is the program and its arguments.
	Command []string
	// Key is handed to the program as the key's name.
	Key string
	// PublicKey is the key's public half: the program is not asked for it.
	PublicKey crypto.PublicKey
	// Certificate is the key's; nil while it is being made.
	Certificate *x509.Certificate
	// Timeout is the longest that a signature may take; 0: no limit.
	Timeout time.Duration
	// Env is the program's environment, as os/exec has it; nil: this process's.
	Env []string
	// Stderr is where the program's own messages go.
	Stderr io.Writer
}

// Public returns the key's public half.
func (s *Signer) Public() crypto.PublicKey { return s.PublicKey }

// Sign runs the program once.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	req, err := s.request(digest, opts.HashFunc())
	if err != nil {
		return nil, err
	}
	in, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	out, err := s.run(append(in, '\n'))
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrSigner, s.Command[0], err)
	}
	raw, err := parseResponse(req, out)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrSigner, s.Command[0], err)
	}
	return raw, nil
}

// request returns what the program is asked.
func (s *Signer) request(digest []byte, hash crypto.Hash) (*Request, error) {
	algorithm, err := cms.KeyAlgorithm(s.PublicKey)
	if err != nil {
		return nil, err
	}
	if err := cms.CheckHash(hash); err != nil {
		return nil, err
	}
	req := &Request{
		Version:   Version,
		Operation: "sign",
		Algorithm: map[cms.Algorithm]string{cms.RSA: AlgorithmRSA, cms.ECDSA: AlgorithmECDSA}[algorithm],
		Hash:      cms.HashName(hash),
		Digest:    digest,
		Key:       s.Key,
	}
	if s.Certificate != nil {
		req.KeyID, req.Certificate = hex.EncodeToString(s.Certificate.SubjectKeyId), s.Certificate.Raw
	}
	return req, nil
}

// run runs the program and returns what it wrote.
func (s *Signer) run(in []byte) ([]byte, error) {
	ctx := context.Background()
	if signals := endings(); len(signals) > 0 {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, signals...)
		defer stop()
	}
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	out := &limited{left: maxResponse}
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.Env = s.Env
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stdout = out
	cmd.Stderr = s.Stderr
	cmd.WaitDelay = time.Second // for what has left the process group and holds the pipes
	err := runGroup(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the program itself has ended, and its answer is complete
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("no answer within %v", s.Timeout)
	case ctx.Err() != nil:
		return nil, errors.New("interrupted by a signal")
	case out.over:
		return nil, fmt.Errorf("an answer of more than %d bytes", maxResponse)
	case err != nil:
		if msg := answeredError(out.buf); msg != "" {
			return nil, fmt.Errorf("%s (%w)", msg, err)
		}
		return nil, err
	}
	return out.buf, nil
}

// endings are the signals that would end this process and not the program, whose group is another.
func endings() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
	return slices.DeleteFunc(all, signal.Ignored)
}

// answeredError returns the error in an answer, if it is one.
func answeredError(out []byte) string {
	var resp Response
	if json.Unmarshal(out, &resp) != nil {
		return ""
	}
	return message(resp.Error)
}

// message returns a signer's words as a part of a line, cut to what people read.
func message(text string) string {
	const most = 1000
	text = strings.TrimSpace(text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return printable.Text(text)
}

// parseResponse returns the raw signature in an answer. It is strict: what is not an answer of this protocol is an error.
func parseResponse(req *Request, out []byte) ([]byte, error) {
	if len(bytes.TrimSpace(out)) == 0 {
		return nil, errors.New("it answered nothing")
	}
	var resp Response
	if err := file.ParseJSON(out, &resp); err != nil {
		return nil, fmt.Errorf("malformed answer: %w", err)
	}
	switch {
	case resp.Error != "":
		return nil, errors.New(message(resp.Error))
	case resp.Version != Version:
		return nil, fmt.Errorf("it answered in version %d of the protocol, want %d", resp.Version, Version)
	case len(resp.Signature) == 0:
		return nil, errors.New("an answer without a signature")
	}
	switch resp.Encoding {
	case "", EncodingDER:
		return resp.Signature, nil
	case EncodingP1363:
		if req.Algorithm == AlgorithmECDSA {
			return derOf(resp.Signature)
		}
	}
	return nil, fmt.Errorf("encoding %.20q for an %s signature", resp.Encoding, req.Algorithm)
}

// derOf returns r and s side by side (IEEE P1363) as SEQUENCE {r, s} (RFC 3279, section 2.2.3).
func derOf(raw []byte) ([]byte, error) {
	if len(raw)%2 != 0 {
		return nil, fmt.Errorf("r and s of %d bytes together", len(raw))
	}
	r, s := raw[:len(raw)/2], raw[len(raw)/2:]
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(r))
		b.AddASN1BigInt(new(big.Int).SetBytes(s))
	})
	return b.Bytes()
}

// limited is a buffer that fails when it is full, so that a program cannot fill the memory.
type limited struct {
	buf  []byte
	left int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		l.over = true
		return 0, io.ErrShortBuffer
	}
	l.left -= len(p)
	l.buf = append(l.buf, p...)
	return len(p), nil
}
