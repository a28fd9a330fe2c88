package bpftool

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Env is the environment variable that lists bpftools for tests, as PATH does: "/opt/7.2/bpftool:/opt/7.3/bpftool".
const Env = "BPFTOOL"

// Installed returns the bpftools that a test can use: those that Env names, or the installed one.
func Installed() (tools []*Tool) {
	for _, path := range strings.Split(os.Getenv(Env), string(os.PathListSeparator)) {
		if path != "" {
			tools = append(tools, &Tool{Path: path})
		}
	}
	if len(tools) == 0 {
		for _, name := range []string{"bpftool", "/usr/sbin/bpftool"} { // Debian's place is not on everyone's PATH
			if path, err := exec.LookPath(name); err == nil {
				return append(tools, &Tool{Path: path})
			}
		}
	}
	return tools
}

// ForTest returns them, too. Without any it skips the test, visibly.
func ForTest(t testing.TB) []*Tool {
	t.Helper()
	tools := Installed()
	if len(tools) == 0 {
		t.Skipf("no bpftool: install it, or name some in $%s", Env)
	}
	return tools
}
