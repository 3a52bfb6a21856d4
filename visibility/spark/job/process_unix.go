//go:build unix

package job

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// runOwn runs a program in a process group of its own.
func runOwn(cmd *exec.Cmd, attr *syscall.SysProcAttr, started func(pid int)) error {
	cmd.SysProcAttr = attr
	kill := func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.Cancel = kill
	if err := cmd.Start(); err != nil {
		return err
	}
	if started != nil {
		started(cmd.Process.Pid)
	}
	err := cmd.Wait()
	_ = kill() // what it has left behind, if anything
	return err
}
