package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// protocolVersion is the version of the signer protocol (docs/signer-protocol.md).
const protocolVersion = 1

// request asks for one signature.
type request struct {
	Version     int    `json:"version"`
	Operation   string `json:"operation"`
	Algorithm   string `json:"algorithm"`
	Hash        string `json:"hash"`
	Digest      []byte `json:"digest"`
	Key         string `json:"key"`
	KeyID       string `json:"keyId"`
	Certificate []byte `json:"certificate"`
}

// response is the answer.
type response struct {
	Version   int    `json:"version"`
	Signature []byte `json:"signature,omitempty"`
	Encoding  string `json:"encoding,omitempty"`
	Error     string `json:"error,omitempty"`
}

// readRequest reads a request of this version.
func readRequest(r io.Reader) (*request, error) {
	req := new(request)
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(req); err != nil {
		return nil, fmt.Errorf("malformed request: %w", err)
	}
	if req.Version != protocolVersion || req.Operation != "sign" {
		return nil, fmt.Errorf("operation %.40q in version %d of the protocol: this signer knows \"sign\" in version %d", req.Operation, req.Version, protocolVersion)
	}
	return req, nil
}
