// Package lsm tells whether the kernel calls BPF LSM programs. It loads and attaches them even if it does not.
package lsm

import (
	"errors"
	"os"
	"slices"
	"strings"
)

// Check returns an error if the kernel calls no BPF LSM programs, as far as it can be known.
func Check() error {
	active, err := os.ReadFile("/sys/kernel/security/lsm")
	if err != nil { // securityfs is not mounted
		return nil
	}
	if !slices.Contains(strings.Split(strings.TrimSpace(string(active)), ","), "bpf") {
		return errors.New("the kernel runs no BPF LSM programs: add bpf to the list of lsm= on its command line")
	}
	return nil
}
