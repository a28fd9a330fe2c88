// Package cms makes, reads and verifies the one form of signature that rules_bpf hands to the kernel: a CMS SignedData
// (RFC 5652, PKCS#7 to the kernel) in DER that is detached, of content type data, without certificates, CRLs and
// attributes, with one signer who is named by SubjectKeyIdentifier (so both versions are 3).
//
// It is what "openssl cms -sign -binary -noattr -nocerts -keyid" and bpftool's -S write. The kernel's parser
// (crypto/asymmetric_keys/pkcs7_parser.c) takes more than that; Parse does not, since every other form is a mistake of
// whoever signed. Signature algorithms are RSA PKCS#1 v1.5 and ECDSA: the kernel has no RSA-PSS and no Ed25519 for
// PKCS#7. ML-DSA has a place in algorithms.go for when Go's library signs with it.
package cms
