//go:build linux

package runtime

import (
	"os"
	"strconv"
	"strings"

	"github.com/rules-bpf/rules_bpf/runtime/internal/sys"
)

// KeyringState is what can be seen of a keyring.
type KeyringState struct {
	ID KeyringID
	// Exists is Unknown if the process may not see the keyring.
	Exists Answer
	// Keys is how many keys and keyrings it holds, or -1 if that is unknown.
	Keys int
}

// probeKeyrings looks for the keyrings. The kernel's own are not for processes: /proc/keys may show them to root.
func probeKeyrings(kernel sys.Kernel) []KeyringState {
	listed, err := os.ReadFile("/proc/keys")
	counts := parseKeys(string(listed))
	bySerial := parseKeySerials(string(listed))
	system := map[KeyringID]string{KeyringBuiltin: ".builtin_trusted_keys", KeyringSecondary: ".secondary_trusted_keys", KeyringPlatform: ".platform"}
	var states []KeyringState
	for _, k := range keyringNames {
		s := KeyringState{ID: k.id, Keys: -1}
		if name, ok := system[k.id]; ok {
			n, ok := counts[name]
			switch {
			case ok:
				s.Exists, s.Keys = Yes, n
			case err == nil && len(counts) > 0 && os.Geteuid() == 0:
				s.Exists = No
			}
		} else if serial, err := kernel.FindKeyring(int(k.id)); err == nil {
			s.Exists = Yes
			if n, ok := bySerial[uint32(serial)]; ok {
				s.Keys = n
			}
		} else {
			s.Exists = No
		}
		states = append(states, s)
	}
	return states
}

// keyringLines calls f for each keyring in /proc/keys, whose lines end in "keyring   .builtin_trusted_keys: 2" and begin
// with the serial number (proc_keys_show, security/keys/proc.c).
func keyringLines(keys string, f func(serial uint32, name string, n int)) {
	for _, line := range strings.Split(keys, "\n") {
		before, what, ok := strings.Cut(line, " keyring ")
		fields := strings.Fields(before)
		name, count, ok2 := strings.Cut(strings.TrimSpace(what), ": ")
		if !ok || !ok2 || len(fields) == 0 {
			continue
		}
		serial, err := strconv.ParseUint(fields[0], 16, 32)
		if err != nil {
			continue
		}
		n, err := strconv.Atoi(count)
		if err != nil && count != "empty" {
			continue
		}
		f(uint32(serial), name, n)
	}
}

func parseKeys(keys string) map[string]int {
	m := map[string]int{}
	keyringLines(keys, func(_ uint32, name string, n int) { m[name] = n })
	return m
}

func parseKeySerials(keys string) map[uint32]int {
	m := map[uint32]int{}
	keyringLines(keys, func(serial uint32, _ string, n int) { m[serial] = n })
	return m
}
