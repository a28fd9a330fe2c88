package plugin

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// runGroup runs a program in a process group of its own, and kills what is left of the group when the program ends or is
// canceled. So nothing that the program started outlives it, unless it left the group on purpose, as daemons do.
func runGroup(cmd *exec.Cmd) error {
	// If this process is killed, the program is, too. That is told when the thread ends that started the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if terminal := foreground(); terminal != nil {
		defer terminal.Close()
		defer takeBack(terminal)
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, int(terminal.Fd())
	}
	var ended atomic.Bool // and its number may be another's
	cmd.Cancel = func() error {
		if ended.Load() {
			return os.ErrProcessDone
		}
		return killGroup(cmd.Process.Pid)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if awaitEnd(cmd.Process.Pid) == nil {
		ended.Store(true)
		_ = killGroup(cmd.Process.Pid) // what may not be killed has another user's rights, and is no reason not to sign
	}
	return cmd.Wait()
}

// awaitEnd waits for a child process to end and leaves it a zombie, so that the number of its group stays its own.
func awaitEnd(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// killGroup kills a process group. One of which only zombies are left is no error.
func killGroup(pgid int) error {
	if err := unix.Kill(-pgid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// foreground returns the terminal if this process is in its foreground: the program takes its place there, or it could not
// ask for a PIN. It returns nil otherwise.
func foreground() *os.File {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	if group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		terminal.Close()
		return nil
	}
	return terminal
}

// takeBack puts this process into the foreground of the terminal again. The kernel would stop it for that, as it is in the
// background now, if it did not ignore the signal.
func takeBack(terminal *os.File) {
	if !signal.Ignored(syscall.SIGTTOU) {
		signal.Ignore(syscall.SIGTTOU)
		defer signal.Reset(syscall.SIGTTOU)
	}
	_ = unix.IoctlSetPointerInt(int(terminal.Fd()), unix.TIOCSPGRP, unix.Getpgrp())
}
