package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// uri is a PKCS#11 URI (RFC 7512): which token, which key in it.
type uri struct {
	token, serial, object string
	id                    []byte
	slot                  *uint
	modulePath, pinSource string
}

// parseURI reads a URI. An attribute that it does not know is an error: it might have told two keys apart.
func parseURI(s string) (*uri, error) {
	rest, ok := strings.CutPrefix(s, "pkcs11:")
	if !ok {
		return nil, fmt.Errorf("the key's name %q is not a PKCS#11 URI: want pkcs11:token=NAME;object=NAME", s)
	}
	u := new(uri)
	path, query, _ := strings.Cut(rest, "?")
	if err := eachAttribute(path, ";", u.setPath); err != nil {
		return nil, err
	}
	if err := eachAttribute(query, "&", u.setQuery); err != nil {
		return nil, err
	}
	if u.object == "" && u.id == nil {
		return nil, errors.New("the PKCS#11 URI names no key: add object=NAME or id=%XX")
	}
	return u, nil
}

// eachAttribute calls set for each attribute of a list.
func eachAttribute(list, separator string, set func(name, value string) error) error {
	if list == "" {
		return nil
	}
	for _, attribute := range strings.Split(list, separator) {
		name, value, ok := strings.Cut(attribute, "=")
		if !ok {
			return fmt.Errorf("attribute %q of the PKCS#11 URI has no value", attribute)
		}
		value, err := url.PathUnescape(value)
		if err != nil {
			return fmt.Errorf("attribute %s of the PKCS#11 URI: %w", name, err)
		}
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (u *uri) setPath(name, value string) error {
	switch name {
	case "token":
		u.token = value
	case "serial":
		u.serial = value
	case "object":
		u.object = value
	case "id":
		u.id = []byte(value)
	case "slot-id":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("attribute slot-id of the PKCS#11 URI: %w", err)
		}
		slot := uint(n)
		u.slot = &slot
	case "type":
		if value != "private" {
			return fmt.Errorf("attribute type of the PKCS#11 URI is %q: only private keys sign", value)
		}
	default:
		return fmt.Errorf("attribute %q of the PKCS#11 URI is not known: use token, serial, slot-id, object and id", name)
	}
	return nil
}

func (u *uri) setQuery(name, value string) error {
	switch name {
	case "module-path":
		u.modulePath = value
	case "pin-source":
		u.pinSource = value
	case "pin-value":
		return errors.New("a PIN in the URI is seen by everyone who lists processes: use pin-source, or the environment variable " + variablePIN)
	default:
		return fmt.Errorf("attribute %q of the PKCS#11 URI is not known: use module-path and pin-source", name)
	}
	return nil
}

// readPIN reads the PIN from the file that a pin-source names, without the line feed at its end.
func readPIN(source string) (string, error) {
	data, err := os.ReadFile(strings.TrimPrefix(strings.TrimPrefix(source, "file:"), "//"))
	if err != nil {
		return "", fmt.Errorf("pin-source: %w", err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}
