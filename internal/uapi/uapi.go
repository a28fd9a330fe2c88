// Package uapi names the numbers of the kernel's interface for BPF: commands, types, flags, helpers, and the layout of what
// bpf(2) takes. A number that the kernel defines is written here, once, and nowhere else.
//
// There are three exceptions. internal/insn has the encoding of instructions, internal/btf that of types, and
// internal/simkernel numbers of its own: it checks the compiler, and would repeat a mistake that it shared. Programs that
// ship with a bundle have runtime/internal/sys.
package uapi

import (
	"fmt"
	"strings"
)

// nameOf returns the n-th name, or "unknown(n)" if there is none.
func nameOf(names []string, n uint32) string {
	if int64(n) < int64(len(names)) {
		return names[n]
	}
	return fmt.Sprintf("unknown(%d)", n)
}

// flagNames returns the names of the bits that are set, from bit 0, separated by commas. Bits without a name become one
// hexadecimal number.
func flagNames(names []string, flags uint64) string {
	var set []string
	for bit, name := range names {
		if flags>>bit&1 != 0 {
			set = append(set, name)
		}
	}
	if unknown := flags >> len(names) << len(names); unknown != 0 {
		set = append(set, fmt.Sprintf("%#x", unknown))
	}
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(set, ",")
}
