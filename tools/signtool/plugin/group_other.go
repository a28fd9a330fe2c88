//go:build !linux

package plugin

import "os/exec"

// runGroup runs a program. Only on Linux do the processes that it started end with it.
func runGroup(cmd *exec.Cmd) error { return cmd.Run() }
