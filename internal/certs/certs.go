// Package certs reads certificate files.
package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/file"
)

// LoadAll reads a certificate file: one in DER, or one or more in PEM. With several the signer's comes first and
// the others are its chain.
func LoadAll(path string) ([]*x509.Certificate, error) {
	data, err := file.Read(path, file.MaxText)
	if err != nil {
		return nil, err
	}
	certs, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certs, nil
}

// Load reads a signer's certificate: a file's first.
func Load(path string) (*x509.Certificate, error) {
	certs, err := LoadAll(path)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}

// Parse is LoadAll for a file's contents. It returns at least one.
func Parse(data []byte) ([]*x509.Certificate, error) {
	if len(data) > 0 && data[0] == 0x30 { // a SEQUENCE: DER
		cert, err := x509.ParseCertificate(data)
		if err != nil {
			return nil, fmt.Errorf("malformed certificate: %w", err)
		}
		return []*x509.Certificate{cert}, nil
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("malformed certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	if certs == nil {
		return nil, errors.New("no certificate in DER or PEM in it")
	}
	return certs, nil
}
