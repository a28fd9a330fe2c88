// Package signing is what signtool does, without its command line: it reads keys and certificates, adds signatures to
// bundles and takes them away, and takes part in offline ceremonies.
package signing
