// Package cheader writes a kernel's types as a C header, vmlinux.h, from the kernel's BTF.
//
// Compiled for BPF, a type has the size that the kernel's has, and its members and their values are where and what the
// kernel's are. BTF knows offsets, but not the attributes that led to them; layout.go therefore knows how clang lays out a
// record, and adds what is needed: unnamed bit-fields, packed, aligned. (A 32-bit kernel's types cannot be laid out for BPF,
// whose pointers have 64 bits. Their header serves CO-RE, which takes offsets from the running kernel.)
//
// C wants types declared in an order, and has names that are unique and not keywords: order.go and names.go. declare.go
// turns a type into a declaration, header.go makes the whole.
package cheader
